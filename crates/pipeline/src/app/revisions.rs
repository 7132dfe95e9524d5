//! Reading policies at their revisions.

use std::sync::Arc;

use store::Conn;
use store::pages::Key;
use types::{Deadline, PolicyName};

use super::App;
use super::lists::{List, Page, PageRequest};
use super::policies::KIND;
use crate::domain::activations::Activation;
use crate::domain::policies::{Policy, PolicyRef, State};
use crate::error::Error;
use crate::store as tables;
use crate::store::policies::{policies_list, revisions_list};

impl App {
    /// A policy at its newest revision, or at the one that is named.
    pub async fn get_policy(
        &self,
        name: &PolicyName,
        revision: Option<i64>,
        deadline: Deadline,
    ) -> Result<Policy, Error> {
        self.lineage(&name.workspace, deadline).await?;
        let asked = name.clone();
        let found = self
            .store
            .within(&name.workspace)
            .read("policy.get", deadline, move |conn| {
                let revision = match revision {
                    Some(revision) => Some(revision),
                    None => tables::policies::policy_newest(conn, &asked)?,
                };
                let Some(revision) = revision else {
                    return Ok::<_, Error>(None);
                };
                let reference = PolicyRef::new(&asked.policy, revision);
                let found = tables::policies::policy_get(conn, &asked.workspace, &reference)?;
                found
                    .map(|found| stated(conn, found))
                    .transpose()
                    .map_err(Error::from)
            })
            .await?;
        found.ok_or_else(|| absent(name, revision))
    }

    /// The compiled policy of a revision.
    pub async fn policy_compiled(
        &self,
        workspace: &str,
        reference: &PolicyRef,
        deadline: Deadline,
    ) -> Result<Arc<policy::Policy>, Error> {
        let name = PolicyName::new(workspace, &reference.policy);
        let policy = self
            .get_policy(&name, Some(reference.revision), deadline)
            .await?;
        self.compiled(workspace, reference, &policy.definition)
            .await
    }

    /// Policies of a workspace at their newest revisions, or the revisions of one policy.
    pub async fn list_policies(
        &self,
        workspace: &str,
        policy: Option<PolicyName>,
        page: PageRequest,
        deadline: Deadline,
    ) -> Result<Page<Policy>, Error> {
        self.lineage(workspace, deadline).await?;
        if let Some(name) = &policy {
            self.get_policy(name, None, deadline).await?;
        }
        let of = policy.as_ref().map(|policy| policy.policy.as_str());
        let asked = List::Policies(workspace, of).read(&page)?;
        let (filter, after, limit) = (asked.filter.clone(), asked.after.clone(), asked.limit());
        let workspace = workspace.to_owned();
        let rows = self
            .store
            .within(&workspace)
            .read("policies.list", deadline, move |conn| {
                let filter = filter.as_ref();
                let found = match (&policy, after.as_deref()) {
                    (Some(name), None) => revisions_list(conn, name, filter, i64::MAX, limit)?,
                    (Some(name), Some([Key::Int(before)])) => {
                        revisions_list(conn, name, filter, *before, limit)?
                    }
                    (None, None) => policies_list(conn, &workspace, filter, "", limit)?,
                    (None, Some([Key::Text(after)])) => {
                        policies_list(conn, &workspace, filter, after, limit)?
                    }
                    (_, Some(_)) => return Err(store::Error::PageTokenInvalid),
                };
                found
                    .into_iter()
                    .map(|found| {
                        let key = match &policy {
                            Some(_) => Key::Int(found.revision),
                            None => Key::Text(found.name.policy.clone()),
                        };
                        Ok((stated(conn, found)?, vec![key]))
                    })
                    .collect()
            })
            .await?;
        Ok(asked.cut(rows))
    }

    /// The revision in force and the activation by which it came into force.
    pub async fn active_policy(
        &self,
        workspace: &str,
        deadline: Deadline,
    ) -> Result<(Policy, Activation), Error> {
        let lineage = self.lineage_read(workspace, deadline).await?;
        let (asked, active) = (workspace.to_owned(), lineage.active().clone());
        let found = self
            .store
            .within(workspace)
            .read("policy.active", deadline, move |conn| {
                let policy = tables::policies::policy_get(conn, &asked, &active.reference)?;
                let activation = tables::activations::activation_get(conn, &asked, active.number)?;
                Ok::<_, store::Error>(policy.zip(activation))
            })
            .await?;
        let (mut policy, activation) = found.ok_or_else(|| Error::NotFound {
            kind: REVISION_KIND,
            name: lineage.active().reference.name(workspace),
        })?;
        policy.state = State::Active;
        Ok((policy, activation))
    }
}

/// The policy with its state: whether the revision is in force, or about to be.
fn stated(conn: &mut Conn, mut policy: Policy) -> Result<Policy, store::Error> {
    let workspace = policy.name.workspace.clone();
    let Some(state) = tables::workspaces::workspace_get(conn, &workspace)? else {
        return Ok(policy);
    };
    let reference = policy.reference();
    let is_of = |conn: &mut Conn, number: i64| -> Result<bool, store::Error> {
        let activation = tables::activations::activation_get(conn, &workspace, number)?;
        Ok(activation.is_some_and(|activation| activation.policy == reference))
    };
    if is_of(conn, state.activation)? {
        policy.state = State::Active;
    } else if let Some(number) = state.activating
        && is_of(conn, number)?
    {
        policy.state = State::Activating;
    }
    Ok(policy)
}

/// The type of a policy's revision.
const REVISION_KIND: &str = "clientele.dev/PolicyRevision";

fn absent(name: &PolicyName, revision: Option<i64>) -> Error {
    let (kind, name) = match revision {
        None => (KIND, name.to_string()),
        Some(revision) => {
            let revision = PolicyRef::new(&name.policy, revision);
            (REVISION_KIND, revision.name(&name.workspace))
        }
    };
    Error::NotFound { kind, name }
}
