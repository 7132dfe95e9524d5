//! Companies that stand where their primary contact stands, in workspaces that put companies first.
//!
//! Invariant: what a company copies is its primary contact's position, locked; or the company will be
//! looked at again. Naming another primary contact, or none, or beginning to follow the one of before
//! again, takes nothing away from a company with documents: it keeps its place and follows nobody until
//! somebody stands there who may become its primary contact. A primary contact is locked before its
//! companies, whoever moves which. Who is primary is remembered while companies do not come first, but
//! is not believed afterwards: a company asks the directory whenever it is looked at.

use policy::Cause;
use policy::company::{Kind, change_primary};
use policy::definition::Mode;
use serde_json::json;
use store::Conn;
use types::{ContactName, Deadline};

use super::evaluation::{Verdict, settle};
use super::gate::{self, Scene, Step};
use super::reopening::is_gone;
use super::{Abort, App, Stale, completions, steps};
use crate::domain::activations::Lineage;
use crate::domain::contacts::Contact;
use crate::domain::positions::{Position, State};
use crate::domain::transitions::{Effect, Move, role_name};
use crate::error::Error;
use crate::store as tables;

/// Whom a company is to follow, as the directory told it before the transaction.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// Who was its primary contact then.
    pub before: Option<ContactName>,
    /// Who is to be: the same one while it belongs to the company, and else the first of its persons.
    pub contact: Option<Contact>,
}

impl Candidate {
    fn stays(&self) -> bool {
        self.before.as_ref() == self.contact.as_ref().map(|contact| &contact.name)
    }
}

impl App {
    /// Whom a contact would follow: nobody, unless it is a company and companies come first.
    pub(super) async fn candidate(
        &self,
        contact: &Contact,
        lineage: &Lineage,
        deadline: Deadline,
    ) -> Result<Candidate, Error> {
        if !follows(lineage, contact.kind) {
            return Ok(Candidate::default());
        }
        let company = contact.name.clone();
        let before = self
            .store
            .within(&company.workspace)
            .read_point("company.primary", deadline, move |conn| {
                tables::companies::company_primary(conn, &company)
            })
            .await?;
        if let Some(before) = &before {
            // It may have left while companies did not come first, when nobody looked.
            let primary = self.look_up(before, deadline).await?;
            if primary.is_person_of(&contact.name) {
                return Ok(Candidate {
                    before: Some(before.clone()),
                    contact: Some(primary),
                });
            }
        }
        let first = self.contacts.first_associate(&contact.name, deadline);
        Ok(Candidate {
            before,
            contact: first.await?,
        })
    }
}

/// Whether contacts of this kind stand where somebody else does.
pub fn follows(lineage: &Lineage, kind: Kind) -> bool {
    lineage.active().policy.mode() == Mode::CompanyFirst && kind == Kind::Company
}

/// The position of whom a company follows, or is about to follow: held before the company is.
pub fn leader<T>(
    conn: &mut Conn,
    scene: &Scene,
    candidate: &Candidate,
) -> Result<Option<Position>, Abort<T>> {
    let Some(named) = &candidate.contact else {
        return Ok(None);
    };
    // Also one that was never opened is held: it could be opened at the same time.
    let unopened = scene.unopened(named.name.clone(), named.kind);
    let led = tables::positions::position_ensure(conn, &unopened)?;
    if !scene.lineage.reaches(led.activation) {
        return Err(Stale::Lineage.into());
    }
    // One that became no primary contact yet may have left the company meanwhile, and whoever looked
    // at it then did not find that it led anybody.
    let seen = led.facts_time;
    if !candidate.stays() && seen > named.update_time && !scene.superseded.contains(&seen) {
        return Err(Stale::Facts(seen).into());
    }
    Ok(Some(led))
}

/// A company stands where its primary contact stands. `led` is the position of that contact, as
/// [`leader`] holds it.
pub fn follow(
    conn: &mut Conn,
    scene: &Scene,
    position: Position,
    led: Option<&Position>,
    candidate: &Candidate,
) -> Result<Verdict, Abort<()>> {
    let company = position.name.clone();
    if !release(conn, scene, &company, candidate)? {
        let why = "The company's primary contact changes just now.";
        return put_off(conn, scene, position, why);
    }
    if led.is_some_and(|led| led.state == State::Revoking) {
        // When the primary contact's move is over, the company is looked at again.
        let why = "A move of the primary contact waits.";
        return put_off(conn, scene, position, why);
    }
    if let Some(effect) = refused(conn, scene, &position, led)? {
        tables::companies::company_delete(conn, &company)?;
        let revision = position.revision;
        tables::effects::effect_insert(conn, &company, revision, &effect, scene.now)?;
        gate::note(conn, scene, position, candidate.before.is_some())?;
        return Ok(Verdict::Settled);
    }
    if let Some(led) = led {
        tables::companies::company_insert(conn, &company, &led.name.contact)?;
    }
    let by = By {
        cause: if position.revision == 0 {
            Cause::Opening
        } else {
            Cause::Fact
        },
        actor: policy::POLICY_ACTOR,
    };
    match catch_up(conn, scene, position, led, !candidate.stays(), &by)? {
        None => Ok(Verdict::Settled),
        Some(step) => settle(conn, scene, vec![step]),
    }
}

/// Why a company comes to stand elsewhere.
pub struct By<'a> {
    /// What made it happen.
    pub cause: Cause,
    /// Who did it.
    pub actor: &'a str,
}

/// The step by which a company that is held comes to stand where `led` does; none where it stands
/// there. Why it has no position is written in any case. `named` is whether its primary contact is
/// another one than before.
pub fn catch_up(
    conn: &mut Conn,
    scene: &Scene,
    mut position: Position,
    led: Option<&Position>,
    named: bool,
    by: &By<'_>,
) -> Result<Option<Step>, Abort<()>> {
    let company = position.name.clone();
    let to = led.and_then(|led| mapped(&scene.lineage, led));
    let refusal = match (led, &to) {
        (None, _) => "The company has no primary contact.",
        (Some(_), None) => "The primary contact has no position.",
        (Some(_), Some(_)) => "",
    };
    let stays = mapped(&scene.lineage, &position) == to;
    let seen = position.refusal != refusal || named && stays;
    refusal.clone_into(&mut position.refusal);
    gate::note(conn, scene, position, seen)?;
    let followed = Move {
        from: String::new(),
        to: to.unwrap_or_default(),
        from_role: String::new(),
        to_role: String::new(),
        skip: false,
        cause: by.cause.as_str().to_owned(),
        actor: by.actor.to_owned(),
        reason: String::new(),
        note: String::new(),
        trigger: String::new(),
        activity: String::new(),
        effective_time: scene.now.0,
    };
    let position = held(conn, scene, &company)?;
    copy(conn, scene, position, &followed)
}

/// The stage somebody stands in, in the words of the policy in force.
pub fn mapped(lineage: &Lineage, position: &Position) -> Option<String> {
    let stage = position.stage.as_deref()?;
    Some(lineage.mapped(position.activation, stage))
}

/// Whether a company that follows somebody who stood in `stood`, empty for nowhere, moves along. One
/// that went its own way while companies did not come first does not.
pub fn goes_along(lineage: &Lineage, company: &Position, stood: &str) -> bool {
    mapped(lineage, company).unwrap_or_default() == stood
}

/// Has a company that is held follow nobody any more who does not belong to it. False where others
/// changed meanwhile whom it follows: it is looked at again.
fn release(
    conn: &mut Conn,
    scene: &Scene,
    company: &ContactName,
    candidate: &Candidate,
) -> Result<bool, store::Error> {
    let unchanged = tables::companies::company_primary(conn, company)? == candidate.before;
    if unchanged && candidate.stays() {
        return Ok(true);
    }
    if unchanged && candidate.before.is_some() {
        tables::companies::company_delete(conn, company)?;
    }
    if !unchanged || candidate.before.is_some() {
        // Who was primary may be back by now, and take the company for one that it leads.
        tables::evaluations::evaluation_request(conn, company, scene.now)?;
    }
    Ok(unchanged)
}

/// The work item of a company that keeps its place although its primary contact stands elsewhere, or
/// is nobody: it would lose something under which documents were issued, or may have been.
fn refused(
    conn: &mut Conn,
    scene: &Scene,
    position: &Position,
    led: Option<&Position>,
) -> Result<Option<Effect>, store::Error> {
    let from = mapped(&scene.lineage, position);
    let to = led.and_then(|led| mapped(&scene.lineage, led));
    let policy = &scene.lineage.active().policy;
    let Err(refusal) = change_primary(policy, from.as_deref(), to.as_deref(), true) else {
        return Ok(None);
    };
    let documents = may_have_documents(conn, position)?;
    Ok(documents.then(|| Effect {
        id: format!(
            "primary-refused/{}/{}",
            position.revision,
            led.map_or("", |led| led.name.contact.as_str())
        ),
        kind: "WORK_ITEM".to_owned(),
        payload: json!({"stage": from, "message": refusal.to_string(), "due_time": null}),
    }))
}

/// Whether documents were issued to a company, or may have been: whoever holds a grant says only when
/// it is recalled whether there are any.
pub fn may_have_documents(conn: &mut Conn, position: &Position) -> Result<bool, store::Error> {
    Ok(position.documents_exist
        || !tables::grants::grant_holders_of(conn, &position.name)?.is_empty())
}

/// Leaves a company as it is until it is looked at again; one without a position says why it has none.
fn put_off(
    conn: &mut Conn,
    scene: &Scene,
    mut position: Position,
    why: &str,
) -> Result<Verdict, Abort<()>> {
    let seen = position.stage.is_none() && position.refusal != why;
    if seen {
        why.clone_into(&mut position.refusal);
    }
    gate::note(conn, scene, position, seen)?;
    Ok(Verdict::Settled)
}

/// Sends the contact's company to look for a primary contact where it has none, and a company that the
/// contact left to look for another.
pub fn associate_with(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
) -> Result<(), store::Error> {
    if scene.lineage.active().policy.mode() != Mode::CompanyFirst {
        return Ok(());
    }
    let company: Option<ContactName> = contact
        .company
        .parse()
        .ok()
        .filter(|company: &ContactName| company.workspace == contact.name.workspace);
    for led in tables::companies::companies_of_primary(conn, &contact.name)? {
        if company.as_ref() != Some(&led) {
            tables::companies::company_release(conn, &led, &contact.name)?;
            tables::evaluations::evaluation_request(conn, &led, scene.now)?;
        }
    }
    // The company asks the directory who was first: contacts are looked at in no order.
    if let Some(company) = company
        && tables::companies::company_primary(conn, &company)?.is_none()
    {
        tables::evaluations::evaluation_request(conn, &company, scene.now)?;
    }
    Ok(())
}

/// The companies that follow these contacts, each locked, with the steps of their primary contacts
/// to be copied. Nothing where the policy does not put companies first.
pub fn follow_primaries(
    conn: &mut Conn,
    scene: &Scene,
    steps: &[Step],
) -> Result<Vec<Step>, Abort<()>> {
    if scene.lineage.active().policy.mode() != Mode::CompanyFirst {
        return Ok(Vec::new());
    }
    let mut followers = Vec::new();
    for step in steps {
        let moves: Vec<&Move> = step.settled.iter().chain(&step.moves).collect();
        let (Some(first), Some(last)) = (moves.first(), moves.last()) else {
            continue;
        };
        let stood = if first.cause == Cause::Activation.as_str() {
            &first.to
        } else {
            &first.from
        };
        for company in tables::companies::companies_of_primary(conn, &step.position.name)? {
            let position = held(conn, scene, &company)?;
            // One that was deleted while this waited for it stays closed, and one that follows
            // somebody else by now is not moved.
            let primary = tables::companies::company_primary(conn, &company)?;
            if primary.as_ref() != Some(&step.position.name) || is_gone(conn, &position)? {
                continue;
            }
            if goes_along(&scene.lineage, &position, stood) {
                followers.extend(copy(conn, scene, position, last)?);
            } else {
                // It may lose by this.
                tables::evaluations::evaluation_request(conn, &company, scene.now)?;
            }
        }
    }
    Ok(followers)
}

/// A company's position, held.
fn held(conn: &mut Conn, scene: &Scene, company: &ContactName) -> Result<Position, Abort<()>> {
    let unopened = scene.unopened(company.clone(), Kind::Company);
    let position = tables::positions::position_ensure(conn, &unopened)?;
    if scene.lineage.reaches(position.activation) {
        Ok(position)
    } else {
        Err(Stale::Lineage.into())
    }
}

/// The step by which a company comes to stand where a move led its primary contact.
fn copy(
    conn: &mut Conn,
    scene: &Scene,
    position: Position,
    followed: &Move,
) -> Result<Option<Step>, Abort<()>> {
    let active = scene.lineage.active();
    if position.state == State::Revoking {
        completions::refuse_pending(conn, &position)?;
    }
    let mut step = steps::mapping(scene, position);
    let from = step
        .settled
        .last()
        .map(|moved| moved.to.clone())
        .or_else(|| step.position.stage.clone())
        .unwrap_or_default();
    if from == followed.to {
        return Ok(None);
    }
    let stage = |id: &str| (!id.is_empty()).then(|| id.to_owned());
    let role = |id: &str| role_name(active.policy.role(id));
    step.before = step.position.entitlements(active, stage(&from).as_deref());
    step.after = step
        .position
        .entitlements(active, stage(&followed.to).as_deref());
    let last = step.settled.last().map(|moved| moved.effective_time);
    let earliest = last.unwrap_or(step.position.entered.0);
    step.moves = vec![Move {
        from_role: role(&from),
        to_role: role(&followed.to),
        skip: active.policy.is_skip(&from, &followed.to),
        from,
        effective_time: followed.effective_time.max(earliest),
        ..followed.clone()
    }];
    step.position.kind = Kind::Company;
    Ok(Some(step))
}
