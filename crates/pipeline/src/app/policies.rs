//! Policies: saved after they were compiled, read at a revision.

use policy::Definition;
use prost::Message as _;
use proto::pipeline::v1::{self, CreatePolicyResponse, UpdatePolicyResponse};
use store::Conn;
use store::change_log::{self, NewChange};
use types::PolicyName;

use super::requests::{self, Identity};
use super::{Abort, App, Call, conversions};
use crate::domain::policies::{PARTS, Policy, State, take_part};
use crate::error::Error;
use crate::store as tables;
use crate::wire;

pub(super) const KIND: &str = "clientele.dev/Policy";

/// A policy that is to be saved.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// The workspace.
    pub workspace: String,
    /// The id to give it; a fresh one where empty.
    pub id: String,
    /// The preset it is made from; empty where it was written.
    pub preset: String,
    /// What it says.
    pub definition: Definition,
    /// Check everything, change nothing.
    pub validate_only: bool,
    /// The request's identity, where it has one.
    pub identity: Option<Identity>,
}

/// A new revision that is to be saved.
#[derive(Clone, Debug)]
pub struct PolicyUpdate {
    /// The policy.
    pub name: PolicyName,
    /// What it says by then, as far as `mask` takes it over.
    pub definition: Definition,
    /// The parts to take over.
    pub mask: Vec<String>,
    /// The etag that was read; empty for any.
    pub etag: String,
    /// Check everything, change nothing.
    pub validate_only: bool,
    /// The request's identity, where it has one.
    pub identity: Option<Identity>,
}

impl App {
    /// Saves a policy as revision 1.
    pub async fn create_policy(
        &self,
        call: &Call,
        new: NewPolicy,
    ) -> Result<(CreatePolicyResponse, bool), Error> {
        let identity = new.identity.clone().filter(|_| !new.validate_only);
        if let Some(stored) =
            requests::look_up(&self.store, identity.as_ref(), call.deadline).await?
        {
            return Ok((decoded(CreatePolicyResponse::decode(&*stored))?, true));
        }
        self.compile(&new.definition).await?;
        // The workspace exists from now on.
        self.lineage(&new.workspace, call.deadline).await?;
        let now = self.clock.now();
        let id = if new.id.is_empty() {
            self.ids.next()
        } else {
            new.id.clone()
        };
        let policy = Policy {
            name: PolicyName::new(&new.workspace, id),
            preset: new.preset,
            revision: 1,
            definition: new.definition,
            state: State::Inactive,
            create_time: now,
            revision_create_time: now,
            creator: call.actor.clone(),
        };
        let event_id = self.ids.next();
        let (validate_only, name) = (new.validate_only, policy.name.to_string());
        let done = self
            .store
            .within(&policy.name.workspace)
            .write("policy.create", call.deadline, move |conn| {
                create(conn, &policy, validate_only, identity.as_ref(), &event_id)
            })
            .await;
        committed(done, name)
    }

    /// Makes the next revision of a policy.
    pub async fn update_policy(
        &self,
        call: &Call,
        update: PolicyUpdate,
    ) -> Result<(UpdatePolicyResponse, bool), Error> {
        let identity = update.identity.clone().filter(|_| !update.validate_only);
        if let Some(stored) =
            requests::look_up(&self.store, identity.as_ref(), call.deadline).await?
        {
            return Ok((decoded(UpdatePolicyResponse::decode(&*stored))?, true));
        }
        let present = self.get_policy(&update.name, None, call.deadline).await?;
        if !update.etag.is_empty() && update.etag != present.etag() {
            return Err(changed(&update.name));
        }
        let definition = masked(&present.definition, &update.definition, &update.mask)?;
        self.compile(&definition).await?;
        let next = Policy {
            revision: present.revision + 1,
            preset: if definition == present.definition {
                present.preset
            } else {
                String::new()
            },
            definition,
            state: State::Inactive,
            revision_create_time: self.clock.now(),
            creator: call.actor.clone(),
            ..present
        };
        let event_id = self.ids.next();
        let validate_only = update.validate_only;
        let done = self
            .store
            .within(&next.name.workspace)
            .write("policy.update", call.deadline, move |conn| {
                revise(conn, &next, validate_only, identity.as_ref(), &event_id)
            })
            .await;
        match committed(done, update.name.to_string()) {
            // Whoever told what was read is told that it is not so any more.
            Err(Error::ConcurrentUpdate { .. }) if !update.etag.is_empty() => {
                Err(changed(&update.name))
            }
            done => done,
        }
    }
}

type Saved<T> = (T, bool);

fn create(
    conn: &mut Conn,
    policy: &Policy,
    validate_only: bool,
    identity: Option<&Identity>,
    event_id: &str,
) -> Result<Saved<CreatePolicyResponse>, Abort<Saved<CreatePolicyResponse>>> {
    if let Some(stored) = requests::claim(conn, identity, policy.create_time)? {
        return Ok((decoded(CreatePolicyResponse::decode(&*stored))?, true));
    }
    if !tables::policies::policy_insert(conn, policy)? {
        return Err(Error::Exists {
            kind: KIND,
            name: policy.name.to_string(),
        }
        .into());
    }
    tables::policies::revision_insert(conn, policy)?;
    let log = tell(conn, policy, requests::id_of(identity), event_id)?;
    let mut response = CreatePolicyResponse {
        policy: Some(wire::policies::policy(policy)),
        consistency_token: conversions::token(log),
    };
    if validate_only {
        response.policy = response.policy.map(tried);
        response.consistency_token.clear();
        return Err(Abort::Preview(Box::new((response, false))));
    }
    let name = policy.name.to_string();
    requests::complete(
        conn,
        identity,
        &name,
        policy.revision,
        &response.encode_to_vec(),
    )?;
    Ok((response, false))
}

fn revise(
    conn: &mut Conn,
    next: &Policy,
    validate_only: bool,
    identity: Option<&Identity>,
    event_id: &str,
) -> Result<Saved<UpdatePolicyResponse>, Abort<Saved<UpdatePolicyResponse>>> {
    let now = next.revision_create_time;
    if let Some(stored) = requests::claim(conn, identity, now)? {
        return Ok((decoded(UpdatePolicyResponse::decode(&*stored))?, true));
    }
    // What was compiled is made of the newest revision; another one may have come meanwhile.
    if tables::policies::policy_lock(conn, &next.name)? != Some(next.revision - 1) {
        let resource = next.name.to_string();
        return Err(Error::ConcurrentUpdate { resource }.into());
    }
    tables::policies::revision_insert(conn, next)?;
    let log = tell(conn, next, requests::id_of(identity), event_id)?;
    let mut response = UpdatePolicyResponse {
        policy: Some(wire::policies::policy(next)),
        consistency_token: conversions::token(log),
    };
    if validate_only {
        response.policy = response.policy.map(tried);
        response.consistency_token.clear();
        return Err(Abort::Preview(Box::new((response, false))));
    }
    let name = next.name.to_string();
    requests::complete(
        conn,
        identity,
        &name,
        next.revision,
        &response.encode_to_vec(),
    )?;
    Ok((response, false))
}

/// The answer of a call that was only tried: names, numbers and etags are left out.
fn tried(mut policy: v1::Policy) -> v1::Policy {
    policy.name.clear();
    policy.revision.clear();
    policy.revision_number = 0;
    policy.etag.clear();
    policy
}

fn tell(
    conn: &mut Conn,
    policy: &Policy,
    request_id: &str,
    event_id: &str,
) -> Result<change_log::LogPosition, store::Error> {
    let (name, revision) = (policy.name.to_string(), policy.revision);
    change_log::append(
        conn,
        &NewChange {
            workspace: &policy.name.workspace,
            kind: "policy.revised",
            resource: &name,
            revision,
            payload: &wire::policies::policy(policy).encode_to_vec(),
            paths: "",
            actor: &policy.creator,
            request_id,
            event_id,
            record_time: policy.revision_create_time,
        },
    )
}

/// What is wrong with an update mask, whatever the policy is.
pub fn mask_fault(mask: &[String]) -> Option<Error> {
    if mask.is_empty() {
        return Some(Error::MaskRequired);
    }
    if mask.len() > 1 && mask.iter().any(|path| path == "*") {
        return Some(Error::MaskInvalid {
            path: "*".to_owned(),
            problem: "stands for all fields and so must stand alone",
        });
    }
    let unknown = mask.iter().find(|path| !is_path(path))?;
    Some(Error::MaskInvalid {
        path: unknown.clone(),
        problem: UNKNOWN,
    })
}

fn is_path(path: &str) -> bool {
    let part = path.strip_prefix("definition.");
    matches!(path, "*" | "definition")
        || OUTPUT_ONLY.contains(&path)
        || part.is_some_and(|part| PARTS.contains(&part))
}

/// What is wrong with a path that names nothing.
const UNKNOWN: &str = "is no field of a policy that can be changed";

/// What callers cannot set is passed over in a mask (AIP-203).
const OUTPUT_ONLY: [&str; 9] = [
    "name",
    "preset",
    "revision",
    "revision_number",
    "state",
    "etag",
    "create_time",
    "revision_create_time",
    "creator",
];

/// The definition with the parts that the mask names taken over.
fn masked(present: &Definition, wanted: &Definition, mask: &[String]) -> Result<Definition, Error> {
    let mut definition = present.clone();
    for path in mask {
        match path.as_str() {
            "*" | "definition" => definition.clone_from(wanted),
            path if OUTPUT_ONLY.contains(&path) => {}
            path => {
                let known = path.strip_prefix("definition.").is_some_and(|part| {
                    PARTS.contains(&part) && take_part(&mut definition, wanted, part)
                });
                if !known {
                    return Err(Error::MaskInvalid {
                        path: path.to_owned(),
                        problem: UNKNOWN,
                    });
                }
            }
        }
    }
    Ok(definition)
}

fn changed(name: &PolicyName) -> Error {
    Error::EtagMismatch {
        resource: name.to_string(),
    }
}

/// The result of a transaction about a resource that nothing can make stale.
pub fn committed<T>(done: Result<T, Abort<T>>, resource: String) -> Result<T, Error> {
    match done {
        Ok(done) => Ok(done),
        Err(Abort::Preview(done)) => Ok(*done),
        Err(Abort::Error(error)) => Err(*error),
        Err(Abort::Stale(_)) => Err(Error::ConcurrentUpdate { resource }),
    }
}

/// A stored answer.
pub fn decoded<T>(message: Result<T, prost::DecodeError>) -> Result<T, Error> {
    message.map_err(|_| {
        Error::Store(store::Error::Corrupt {
            table: "idempotency_keys",
            id: String::new(),
        })
    })
}
