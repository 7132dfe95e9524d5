//! Naming the primary contact of a company by hand.
//!
//! Invariant: naming takes nothing away from a company with documents, or with a grant under which
//! there may be some. The contact is held before the company is, as wherever a company follows.

use policy::company::{Kind, change_primary};
use policy::definition::Mode;
use prost::Message as _;
use proto::pipeline::v1::{SetPrimaryContactResponse, position};
use store::Conn;
use store::change_log::{self, Scope};
use types::ContactName;

use super::companies::{self, By};
use super::gate::{self, Scene};
use super::requests::{self, Identity};
use super::{ATTEMPTS_MAX, Abort, App, Call, Stale, completions, conversions, steps};
use crate::domain::contacts::Contact;
use crate::domain::positions::Position;
use crate::error::Error;
use crate::store as tables;
use crate::wire;

/// A primary contact that somebody names.
#[derive(Clone, Debug)]
pub struct Naming {
    /// The company.
    pub company: ContactName,
    /// Who is to be its primary contact: of the same workspace.
    pub contact: ContactName,
    /// The etag of the company's position that was read; empty for any.
    pub etag: String,
    /// Check everything, change nothing.
    pub validate_only: bool,
    /// The request's identity, where it has one.
    pub identity: Option<Identity>,
}

/// The answer, and whether the request was a repetition.
type Named = (SetPrimaryContactResponse, bool);

impl App {
    /// Names the primary contact of a company, which stands from then on where that contact does.
    pub async fn set_primary_contact(&self, call: &Call, naming: Naming) -> Result<Named, Error> {
        let identity = naming.identity.as_ref().filter(|_| !naming.validate_only);
        if let Some(stored) = requests::look_up(&self.store, identity, call.deadline).await? {
            return self.named_before(decoded(&stored)?, call).await;
        }
        // Whoever was never looked at is opened first.
        for name in [&naming.contact, &naming.company] {
            self.position_shown(name, &[], call.deadline).await?;
        }
        let workspace = &naming.company.workspace;
        let mut lineage = self.lineage(workspace, call.deadline).await?;
        let mut superseded = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            let company = self.contacts.get(&naming.company, call.deadline).await?;
            let contact = self.contacts.get(&naming.contact, call.deadline).await?;
            let id = requests::id_of(naming.identity.as_ref());
            let scene = Scene {
                superseded: superseded.clone(),
                ..self.scene(lineage.clone(), workspace, &call.actor, id)
            };
            let asked = naming.clone();
            let done = self
                .store
                .within(workspace)
                .write("company.name_primary", call.deadline, move |conn| {
                    name(conn, &scene, &company, &contact, &asked)
                })
                .await;
            match done {
                Ok((response, true)) => return self.named_before(response, call).await,
                Ok(done) => return Ok(done),
                Err(Abort::Preview(done)) => return Ok(*done),
                Err(Abort::Error(error)) => return Err(*error),
                Err(Abort::Stale(Stale::Lineage)) => {
                    lineage = self.lineage_read(workspace, call.deadline).await?;
                }
                Err(Abort::Stale(Stale::Facts(age))) => superseded.push(age),
            }
        }
        Err(Error::ConcurrentUpdate {
            resource: naming.company.position().to_string(),
        })
    }

    /// The answer to a repetition. Where the company's move waited, the company is shown as it stands
    /// by now.
    async fn named_before(
        &self,
        mut response: SetPrimaryContactResponse,
        call: &Call,
    ) -> Result<Named, Error> {
        let waited = response
            .position
            .as_ref()
            .filter(|position| position.state() == position::State::Revoking);
        if let Some(company) = waited.and_then(|position| position.contact.parse().ok()) {
            let (shown, _) = self.position_shown(&company, &[], call.deadline).await?;
            response.position = Some(wire::positions::position(&shown));
        }
        Ok((response, true))
    }
}

/// The transaction: claims the key, names, has the company follow, stores the answer.
fn name(
    conn: &mut Conn,
    scene: &Scene,
    company: &Contact,
    contact: &Contact,
    naming: &Naming,
) -> Result<Named, Abort<Named>> {
    let identity = naming.identity.as_ref().filter(|_| !naming.validate_only);
    if let Some(stored) = requests::claim(conn, identity, scene.now)? {
        return Ok((decoded(&stored)?, true));
    }
    gate::enter::<Abort<_>>(conn, scene, false)?;
    may_lead(scene, company, contact)?;
    let (led, _) = steps::locked(conn, scene, contact)?;
    let (position, newer) = steps::locked(conn, scene, company)?;
    completions::refuse_pending(conn, &led)?;
    completions::refuse_pending(conn, &position)?;
    if !naming.etag.is_empty() && naming.etag != position.etag() {
        return Err(Error::EtagMismatch {
            resource: company.name.position().to_string(),
        }
        .into());
    }
    refuse_loss(conn, scene, &position, &led)?;
    if newer {
        // They count as decided on from now on, but what they fire was not looked at.
        tables::evaluations::evaluation_request(conn, &company.name, scene.now)?;
    }
    let before = tables::companies::company_primary(conn, &company.name)?;
    let changes = before.as_ref() != Some(&contact.name);
    if changes {
        tables::companies::company_delete(conn, &company.name)?;
        tables::companies::company_insert(conn, &company.name, &contact.name.contact)?;
    }
    let by = By {
        cause: policy::Cause::Manual,
        actor: &scene.actor,
    };
    let step = companies::catch_up(conn, scene, position, Some(&led), changes, &by)
        .map_err(conversions::without_preview)?;
    if let Some(step) = step {
        gate::carry_out(conn, scene, vec![step])?;
    }
    let mut response = shown(conn, scene, &company.name)?;
    if naming.validate_only {
        response.consistency_token.clear();
        response.position = response.position.map(wire::positions::unstored);
        return Err(Abort::Preview(Box::new((response, false))));
    }
    let resource = company.name.position().to_string();
    requests::complete(conn, identity, &resource, 0, &response.encode_to_vec())?;
    Ok((response, false))
}

/// Whether companies come first, and the contact is a person of this company.
fn may_lead(scene: &Scene, company: &Contact, contact: &Contact) -> Result<(), Error> {
    let active = scene.lineage.active();
    if active.policy.mode() != Mode::CompanyFirst {
        return Err(Error::ContactsFirst {
            company: company.name.clone(),
            policy: active.reference.clone(),
        });
    }
    conversions::present(company)?;
    conversions::present(contact)?;
    let cannot = |contact: &ContactName, problem: String| Error::CannotLead {
        company: company.name.clone(),
        contact: contact.clone(),
        problem,
    };
    if company.kind != Kind::Company {
        return Err(cannot(&company.name, "must be a company".to_owned()));
    }
    if !contact.is_person_of(&company.name) {
        let problem = format!("must belong to {}, as a person or a group", company.name);
        return Err(cannot(&contact.name, problem));
    }
    Ok(())
}

/// Refuses what would take something away from a company with documents, or where there may be some.
fn refuse_loss(
    conn: &mut Conn,
    scene: &Scene,
    position: &Position,
    led: &Position,
) -> Result<(), Error> {
    let active = scene.lineage.active();
    let (from, to) = (
        companies::mapped(&scene.lineage, position),
        companies::mapped(&scene.lineage, led),
    );
    let documents = companies::may_have_documents(conn, position)?;
    change_primary(&active.policy, from.as_deref(), to.as_deref(), documents)
        .map(|_| ())
        .map_err(|refusal| Error::Refused {
            contact: position.name.clone(),
            policy: active.reference.clone(),
            refusal: Box::new(refusal),
        })
}

/// The company as it stands by now.
fn shown(
    conn: &mut Conn,
    scene: &Scene,
    company: &ContactName,
) -> Result<SetPrimaryContactResponse, Abort<Named>> {
    let position = tables::positions::position_lock(conn, company)?.ok_or(Stale::Lineage)?;
    let shown = gate::show(conn, &scene.lineage, position)?;
    let position = wire::positions::position(&shown);
    let scope = Scope::Workspace(&company.workspace);
    let newest = change_log::newest(conn, scope)?.ok_or(Stale::Lineage)?;
    Ok(SetPrimaryContactResponse {
        primary_contact: position.primary_contact.clone(),
        position: Some(position),
        consistency_token: conversions::token(newest),
    })
}

fn decoded(stored: &[u8]) -> Result<SetPrimaryContactResponse, Error> {
    SetPrimaryContactResponse::decode(stored).map_err(|_| {
        Error::Store(store::Error::Corrupt {
            table: "idempotency_keys",
            id: "company.name_primary".to_owned(),
        })
    })
}
