//! Companies that stand where their primary contact stands, in workspaces that put companies first.
//!
//! Invariant: what a company copies is its primary contact's position, locked; or the company will be
//! looked at again. Naming another primary contact, or none, takes nothing away from a company with
//! documents: it keeps its place and follows nobody until somebody stands there who may become its
//! primary contact. A primary contact is locked before its companies, whoever moves which.

use policy::company::{Kind, change_primary};
use policy::definition::Mode;
use serde_json::json;
use store::Conn;
use types::ContactName;

use super::evaluation::{Verdict, settle};
use super::gate::{self, Scene, Step};
use super::reopening::is_gone;
use super::{Abort, Stale, completions, steps};
use crate::domain::contacts::Contact;
use crate::domain::positions::{Position, State};
use crate::domain::transitions::{Effect, Move, role_name};
use crate::store as tables;

/// Whom a company follows, or is about to follow: held before the company is. `associate` is whom it
/// would follow where it follows nobody yet.
pub fn leader<T>(
    conn: &mut Conn,
    scene: &Scene,
    contact: &Contact,
    associate: Option<&ContactName>,
) -> Result<Option<Position>, Abort<T>> {
    let active = scene.lineage.active();
    if active.policy.mode() != Mode::CompanyFirst || contact.kind != Kind::Company {
        return Ok(None);
    }
    let workspace = &contact.name.workspace;
    let primary = tables::companies::company_primary(conn, &contact.name)?
        .map(|primary| ContactName::new(workspace, primary))
        .or_else(|| associate.cloned());
    let Some(primary) = primary else {
        return Ok(None);
    };
    // Also one that was never opened is held: it could be opened at the same time.
    let unopened = scene.unopened(primary, Kind::Person);
    let led = tables::positions::position_ensure(conn, &unopened)?;
    if !scene.lineage.reaches(led.activation) {
        return Err(Stale::Lineage.into());
    }
    Ok(Some(led))
}

/// A company stands where its primary contact stands. `led` is the position of that contact, as
/// [`leader`] holds it.
pub fn follow(
    conn: &mut Conn,
    scene: &Scene,
    mut position: Position,
    led: Option<&Position>,
    associate: Option<&ContactName>,
) -> Result<Verdict, Abort<()>> {
    let company = position.name.clone();
    if led.is_some_and(|led| led.state == State::Revoking) {
        // When the primary contact's move is over, the company is looked at again.
        let why = "A move of the primary contact waits.";
        return put_off(conn, scene, position, why);
    }
    match named(conn, scene, &position, led, associate)? {
        Named::Held => {}
        Named::Other => {
            tables::evaluations::evaluation_request(conn, &company, scene.now)?;
            let why = "The company's primary contact changes just now.";
            return put_off(conn, scene, position, why);
        }
        Named::Refused(effect) => {
            let revision = position.revision;
            tables::effects::effect_insert(conn, &company, revision, &effect, scene.now)?;
            gate::note(conn, scene, position, false)?;
            return Ok(Verdict::Settled);
        }
    }
    let to = led.and_then(|led| mapped(scene, led));
    let refused_before = std::mem::take(&mut position.refusal);
    position.refusal = match (led, &to) {
        (None, _) => "The company has no primary contact.".to_owned(),
        (Some(_), None) => "The primary contact has no position.".to_owned(),
        (Some(_), Some(_)) => String::new(),
    };
    let cause = if position.revision == 0 {
        policy::Cause::Opening
    } else {
        policy::Cause::Fact
    };
    let followed = Move {
        from: String::new(),
        to: to.unwrap_or_default(),
        from_role: String::new(),
        to_role: String::new(),
        skip: false,
        cause: cause.as_str().to_owned(),
        actor: policy::POLICY_ACTOR.to_owned(),
        reason: String::new(),
        note: String::new(),
        trigger: String::new(),
        activity: String::new(),
        effective_time: scene.now.0,
    };
    let seen = position.refusal != refused_before;
    gate::note(conn, scene, position, seen)?;
    let position = held(conn, scene, &company)?;
    match copy(conn, scene, position, &followed)? {
        None => Ok(Verdict::Settled),
        Some(step) => settle(conn, scene, vec![step]),
    }
}

/// The stage somebody stands in, in the words of the policy in force.
fn mapped(scene: &Scene, position: &Position) -> Option<String> {
    let stage = position.stage.as_deref()?;
    Some(scene.lineage.mapped(position.activation, stage))
}

/// Who a company's primary contact is.
enum Named {
    /// The one that is held, or nobody.
    Held,
    /// Somebody else, who became it meanwhile.
    Other,
    /// Not the one that should become it: the company keeps its place, and this says why.
    Refused(Effect),
}

/// Names a primary contact where the company has none.
fn named(
    conn: &mut Conn,
    scene: &Scene,
    position: &Position,
    led: Option<&Position>,
    associate: Option<&ContactName>,
) -> Result<Named, store::Error> {
    let company = &position.name;
    let led_name = led.map(|led| &led.name);
    if associate == led_name && tables::companies::company_primary(conn, company)?.is_none() {
        if let Some(effect) = refused(conn, scene, position, led)? {
            return Ok(Named::Refused(effect));
        }
        if let Some(associate) = associate {
            tables::companies::company_insert(conn, company, &associate.contact)?;
        }
    }
    let primary = tables::companies::company_primary(conn, company)?;
    Ok(
        if primary.as_deref() == led_name.map(|name| name.contact.as_str()) {
            Named::Held
        } else {
            Named::Other
        },
    )
}

/// The work item of a company that keeps its place although its primary contact is another now, or
/// nobody: it would lose something under which documents were issued, or may have been.
fn refused(
    conn: &mut Conn,
    scene: &Scene,
    position: &Position,
    led: Option<&Position>,
) -> Result<Option<Effect>, store::Error> {
    let from = mapped(scene, position);
    let to = led.and_then(|led| mapped(scene, led));
    // Whoever holds a grant says only when it is recalled whether there are documents.
    let documents = position.documents_exist
        || !tables::grants::grant_holders_of(conn, &position.name)?.is_empty();
    let policy = &scene.lineage.active().policy;
    let changed = change_primary(policy, from.as_deref(), to.as_deref(), documents);
    Ok(changed.err().map(|refusal| Effect {
        id: format!(
            "primary-refused/{}/{}",
            position.revision,
            led.map_or("", |led| led.name.contact.as_str())
        ),
        kind: "WORK_ITEM".to_owned(),
        payload: json!({"stage": from, "message": refusal.to_string(), "due_time": null}),
    }))
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
            tables::companies::company_delete(conn, &led)?;
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
        let Some(last) = moves.last() else {
            continue;
        };
        for company in tables::companies::companies_of_primary(conn, &step.position.name)? {
            let position = held(conn, scene, &company)?;
            // One that was deleted while this waited for it stays closed.
            if !is_gone(conn, &position)? {
                followers.extend(copy(conn, scene, position, last)?);
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
