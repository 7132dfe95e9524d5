//! Looking at one contact: opening it, firing what its facts fire, or closing it for good.
//!
//! The same whether the change log brought the contact or somebody asked for it before.

use policy::definition::Mode;
use policy::{Closing, Command, Decision, Refusal, Withheld};
use policy::company::Kind;
use serde_json::json;
use store::Conn;
use types::{ContactName, Deadline};

use super::gate::{self, Outcome, Scene, Step};
use super::steps::{self, Walk};
use super::{ATTEMPTS_MAX, Abort, App, Stale};
use crate::domain::contacts::{Contact, Presence};
use crate::domain::positions::{Position, State};
use crate::domain::transitions::{Effect, Move};
use crate::error::Error;
use crate::store as tables;

/// What looking at a contact came to.
#[derive(Debug)]
pub enum Verdict {
    /// It stands where it should.
    Settled,
    /// A move waits; the contact is looked at again when that is over.
    Waits,
    /// It is going away and nobody holds anything any more: the directory may complete it.
    Gone,
}

impl App {
    /// Looks at a contact as the directory knows it now. Errors: [`Error::NotFound`].
    pub async fn evaluate(&self, name: &ContactName, deadline: Deadline) -> Result<Verdict, Error> {
        let contact = self.contacts.get(name, deadline).await?;
        self.evaluate_read(contact, deadline).await
    }

    /// Looks at a contact that was just read.
    pub async fn evaluate_read(
        &self,
        mut contact: Contact,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        let workspace = contact.name.workspace.clone();
        let mut lineage = self.lineage(&workspace, deadline).await?;
        for _ in 0..ATTEMPTS_MAX {
            let associate = self.associate(&contact, &lineage, deadline).await?;
            let scene = self.scene(lineage.clone(), &workspace, policy::POLICY_ACTOR, "");
            let seen = contact.clone();
            let done = self
                .store
                .write("contact.evaluate", deadline, move |conn| {
                    evaluate(conn, &scene, &seen, associate.as_ref())
                })
                .await;
            match done {
                Ok(verdict) => return Ok(verdict),
                Err(Abort::Error(error)) => return Err(error),
                Err(Abort::Preview(())) => return Ok(Verdict::Settled),
                Err(Abort::Stale(Stale::Lineage)) => {
                    lineage = self.lineage_read(&workspace, deadline).await?;
                }
                Err(Abort::Stale(Stale::Facts)) => {
                    contact = self.contacts.get(&contact.name, deadline).await?;
                }
            }
        }
        Err(Error::ConcurrentUpdate {
            resource: contact.name.to_string(),
        })
    }

    /// A scene of decisions that nobody's call began, or somebody's.
    pub fn scene(
        &self,
        lineage: std::sync::Arc<crate::domain::activations::Lineage>,
        workspace: &str,
        actor: &str,
        request_id: &str,
    ) -> Scene {
        Scene {
            lineage,
            workspace: workspace.to_owned(),
            now: self.clock.now(),
            ids: self.ids.clone(),
            actor: actor.to_owned(),
            request_id: request_id.to_owned(),
        }
    }

    /// Whom a company would follow, where companies come first.
    async fn associate(
        &self,
        contact: &Contact,
        lineage: &crate::domain::activations::Lineage,
        deadline: Deadline,
    ) -> Result<Option<ContactName>, Error> {
        if lineage.active().policy.mode() != Mode::CompanyFirst || contact.kind != Kind::Company {
            return Ok(None);
        }
        let first = self.contacts.first_associate(&contact.name, deadline).await?;
        Ok(first.map(|first| first.name))
    }
}

fn evaluate(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    associate: Option<&ContactName>,
) -> Result<Verdict, Abort<()>> {
    let leaving = contact.presence != Presence::Active;
    gate::enter::<Abort<()>>(conn, scene, leaving)?;
    let position = steps::locked(conn, scene, contact)?;
    match contact.presence {
        Presence::Active => attend(conn, scene, contact, position, associate),
        Presence::Deleting | Presence::Deleted => {
            leave(conn, scene, contact, position, Closing::Deletion)
        }
        Presence::Merging | Presence::Merged => {
            leave(conn, scene, contact, position, Closing::Merge)
        }
    }
}

/// A contact that is there: opens it, or fires what its facts fire.
fn attend(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    position: Position,
    associate: Option<&ContactName>,
) -> Result<Verdict, Abort<()>> {
    if position.state == State::Revoking {
        gate::note(conn, scene, position, false)?;
        return Ok(Verdict::Waits);
    }
    let follows = scene.lineage.active().policy.mode() == Mode::CompanyFirst
        && contact.kind == Kind::Company;
    if follows {
        return follow(conn, scene, position, associate);
    }
    let last = match position.revision {
        0 => None,
        revision => tables::transitions::transition_get(conn, &contact.name, revision)?,
    };
    let reopening = match &last {
        Some(last) if position.stage.is_none() => steps::reopening_stage(conn, scene, last)?,
        _ => None,
    };
    let unseen = position.revision == 0 && position.refusal.is_empty();
    let refused_before = position.refusal.clone();
    let mut walk = Walk::begin(scene, contact, position);
    let (decision, refusal) = attended(&walk, contact, reopening.as_deref(), unseen);
    walk.position.refusal = refusal.as_ref().map(Refusal::to_string).unwrap_or_default();
    if let Some(withheld) = &decision.withheld {
        walk.position.refusal = withheld_text(withheld);
    }
    let mut step = walk.step(&decision);
    if let Some(effect) = refused(&step, decision.withheld.as_ref(), refusal.as_ref()) {
        step.effects.push(effect);
    }
    let mut all = vec![step];
    associate_with(conn, scene, contact)?;
    let followers = steps::follow_primaries(conn, scene, &all)?;
    all.extend(followers);
    settle(conn, scene, all, &refused_before)
}

/// The decision about a contact that is there, and why it has no position where that was refused.
fn attended(
    walk: &Walk<'_>,
    contact: &Contact,
    reopening: Option<&str>,
    unseen: bool,
) -> (Decision, Option<Refusal>) {
    if walk.stage().is_none() {
        if let Some(stage) = reopening {
            let command = Command::Reopen {
                stage,
                request: policy::Request {
                    actor: &contact.updater,
                    ..policy::Request::default()
                },
            };
            return match walk.decide(command) {
                Ok(decision) => (decision, None),
                Err(refusal) => (Decision::default(), Some(refusal)),
            };
        }
        if unseen {
            return match walk.decide(steps::opening(contact)) {
                Ok(decision) => (decision, None),
                Err(refusal) => (Decision::default(), Some(refusal)),
            };
        }
    }
    let changed = Command::FactsChanged {
        requested_stage: &contact.requested_stage,
    };
    // A trigger whose move is refused says so in an effect; what else is refused moves nobody.
    (walk.decide(changed).unwrap_or_default(), None)
}

fn withheld_text(withheld: &Withheld) -> String {
    match withheld {
        Withheld::Intake { rule } => format!("The intake rule `{rule}` gives it no position."),
        Withheld::CompanyFirst => "A company stands where its primary contact stands.".to_owned(),
        Withheld::Refused(refusal) => refusal.to_string(),
    }
}

/// The work item of an opening that was refused.
fn refused(step: &Step, withheld: Option<&Withheld>, refusal: Option<&Refusal>) -> Option<Effect> {
    let refusal = refusal.or(match withheld {
        Some(Withheld::Refused(refusal)) => Some(refusal),
        _ => None,
    })?;
    let message = refusal.to_string();
    Some(Effect {
        id: format!("opening-refused/{}/{}", step.position.revision, refusal.reason()),
        kind: "OPENING_REFUSED".to_owned(),
        payload: json!({"reason": refusal.reason(), "message": message}),
    })
}

/// Makes the contact primary where its company has no primary contact, and sends a company that it
/// left to look for another.
fn associate_with(conn: &mut Conn, scene: &Scene, contact: &Contact) -> Result<(), store::Error> {
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
            tables::companies::company_delete(conn, &led)?;
            tables::evaluations::evaluation_request(conn, &led, scene.now)?;
        }
    }
    if let Some(company) = company
        && tables::companies::company_insert(conn, &company, &contact.name.contact)?
    {
        tables::evaluations::evaluation_request(conn, &company, scene.now)?;
    }
    Ok(())
}

/// A company stands where its primary contact stands.
fn follow(
    conn: &mut Conn,
    scene: &Scene,
    mut position: Position,
    associate: Option<&ContactName>,
) -> Result<Verdict, Abort<()>> {
    let company = position.name.clone();
    if let Some(associate) = associate {
        tables::companies::company_insert(conn, &company, &associate.contact)?;
    }
    let primary = tables::companies::company_primary(conn, &company)?
        .map(|primary| ContactName::new(&company.workspace, primary));
    let led = match &primary {
        Some(primary) => tables::positions::position_get(conn, primary)?.map(|(led, _)| led),
        None => None,
    };
    if led.as_ref().is_some_and(|led| led.state == State::Revoking) {
        // The primary contact's move takes the company along when it is complete.
        gate::note(conn, scene, position, false)?;
        return Ok(Verdict::Settled);
    }
    let to = led.as_ref().and_then(|led| {
        let stage = led.stage.as_deref()?;
        Some(scene.lineage.mapped(led.activation, stage))
    });
    let refused_before = std::mem::take(&mut position.refusal);
    position.refusal = match (&primary, &to) {
        (None, _) => "The company has no primary contact.".to_owned(),
        (Some(_), None) => "The primary contact has no position.".to_owned(),
        (Some(_), Some(_)) => String::new(),
    };
    let followed = Move {
        from: String::new(),
        to: to.unwrap_or_default(),
        from_role: String::new(),
        to_role: String::new(),
        skip: false,
        cause: policy::Cause::Fact.as_str().to_owned(),
        actor: policy::POLICY_ACTOR.to_owned(),
        reason: String::new(),
        note: String::new(),
        trigger: String::new(),
        activity: String::new(),
        effective_time: scene.now.0,
    };
    let followed = if position.revision == 0 {
        Move {
            cause: policy::Cause::Opening.as_str().to_owned(),
            ..followed
        }
    } else {
        followed
    };
    let seen = position.refusal != refused_before;
    gate::note(conn, scene, position, seen)?;
    match steps::copy(conn, scene, &company, &followed)? {
        None => Ok(Verdict::Settled),
        Some(step) => settle(conn, scene, vec![step], ""),
    }
}

/// A contact that goes away: closes its position, in place of any other move that waits.
fn leave(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    mut position: Position,
    cause: Closing,
) -> Result<Verdict, Abort<()>> {
    if position.state == State::Revoking {
        let pending = tables::pending::pending_get(conn, &contact.name)?;
        match pending {
            Some(pending) if pending.is_removal() => return Ok(Verdict::Waits),
            Some(pending) => {
                gate::give_up(conn, scene, &pending.batch)?;
                position = steps::locked(conn, scene, contact)?;
            }
            None => {}
        }
    }
    if position.stage.is_none() {
        // Also what was never opened is remembered as gone: whoever read the contact before its
        // removal must not open it afterwards.
        gate::note(conn, scene, position, false)?;
        return Ok(Verdict::Gone);
    }
    for led in tables::companies::companies_of_primary(conn, &contact.name)? {
        tables::companies::company_delete(conn, &led)?;
        tables::evaluations::evaluation_request(conn, &led, scene.now)?;
    }
    let step = steps::close(scene, position, contact, cause);
    match settle(conn, scene, vec![step], "")? {
        Verdict::Waits => Ok(Verdict::Waits),
        Verdict::Settled | Verdict::Gone => Ok(Verdict::Gone),
    }
}

/// Carries steps out; steps that say nothing only write their position back.
fn settle(
    conn: &mut Conn,
    scene: &Scene,
    all: Vec<Step>,
    refused_before: &str,
) -> Result<Verdict, Abort<()>> {
    let (moving, still): (Vec<Step>, Vec<Step>) = all
        .into_iter()
        .partition(|step| !(step.moves.is_empty() && step.settled.is_empty()));
    for Step {
        position, effects, ..
    } in still
    {
        for effect in &effects {
            let revision = position.revision;
            tables::effects::effect_insert(conn, &position.name, revision, effect, scene.now)?;
        }
        let seen = position.refusal != refused_before;
        gate::note(conn, scene, position, seen)?;
    }
    let outcomes: Vec<Outcome> = if moving.is_empty() {
        Vec::new()
    } else {
        gate::carry_out(conn, scene, moving)?
    };
    Ok(if outcomes.iter().any(|outcome| outcome.waits) {
        Verdict::Waits
    } else {
        Verdict::Settled
    })
}
