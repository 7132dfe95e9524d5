//! From claims to workspaces and permissions, as the configuration says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::json::Members;
use super::roles;

/// The claim that names a service, where nothing else is said.
const SERVICE_CLAIM: &str = "clientele_service";

/// The workspace of a grant that holds in every workspace.
const EVERYWHERE: &str = "*";

/// Which claims tell what a caller may do, and what their values mean. Every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// The claim that tells workspaces and roles, as an object (`{"acme": ["sales"]}`) or as a list
    /// of texts (`["acme:sales"]`); the workspace `*` is every one. A dot goes down into an object,
    /// unless a claim has the whole name. Default: `workspaces`.
    pub claim: String,
    /// What values of the claim mean that are not written as `workspace:role`, such as the names of
    /// groups: each is a list of `workspace:role`. Where this is given, no other value counts, and
    /// neither does an object: whoever may name a group or a role there can't name a workspace.
    pub groups: BTreeMap<String, Vec<String>>,
    /// The claim that names a service of the suite. Where it is not given: `clientele_service`; but none
    /// where services are known by their certificates.
    pub service_claim: Option<String>,
    /// Roles beside the ready-made ones, each a list of permissions.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Whether the server knows services by their certificates. Not a matter of claims, so no file says
    /// it.
    #[serde(skip)]
    pub services_by_certificate: bool,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            claim: "workspaces".to_owned(),
            groups: BTreeMap::new(),
            service_claim: None,
            roles: BTreeMap::new(),
            services_by_certificate: false,
        }
    }
}

/// Why a mapping can't be used; names what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The name of a ready-made role is given another meaning.
    #[error("roles: `{0}` is a ready-made role; take another name")]
    ReadyMade(String),
    /// A permission is of the suite and does not exist.
    #[error("roles: `{role}` has `{permission}`, which no rpc that people may call needs")]
    Permission {
        /// The role that has it.
        role: String,
        /// The permission.
        permission: String,
    },
    /// A group's grant is not `workspace:role` with a known role.
    #[error("groups: `{group}` has `{grant}`, which is not `workspace:role` with a known role")]
    Grant {
        /// The group.
        group: String,
        /// What it is given.
        grant: String,
    },
    /// A claim has no name.
    #[error("a claim needs a name")]
    Claim,
}

/// What administrators hold beside the declared permissions: whatever a policy asks for.
const EVERYTHING: &str = "*";

/// The permissions of one role. Thousands of callers are remembered, so they share it.
type Permissions = Arc<BTreeSet<String>>;

/// What a caller may do, workspace by workspace: the roles held there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    workspaces: BTreeMap<String, Vec<Permissions>>,
    everywhere: Vec<Permissions>,
}

impl Access {
    /// Whether the caller may enter the workspace at all.
    pub(crate) fn enters(&self, workspace: &str) -> bool {
        !self.everywhere.is_empty() || self.workspaces.contains_key(workspace)
    }

    /// Whether the caller has the permission in the workspace.
    pub(crate) fn allows(&self, workspace: &str, permission: &str) -> bool {
        self.roles_in(workspace)
            .any(|role| role.contains(permission))
    }

    /// The permissions in the workspace; `None` for an administrator, who has all that there are.
    pub(crate) fn within(&self, workspace: &str) -> Option<BTreeSet<String>> {
        let roles = self.roles_in(workspace);
        let held: BTreeSet<String> = roles.flat_map(|role| role.iter().cloned()).collect();
        (!held.contains(EVERYTHING)).then_some(held)
    }

    /// Whether the caller has the permission in some workspace: for what is about none.
    pub(crate) fn allows_somewhere(&self, permission: &str) -> bool {
        self.workspaces
            .values()
            .flatten()
            .chain(&self.everywhere)
            .any(|role| role.contains(permission))
    }

    fn roles_in(&self, workspace: &str) -> impl Iterator<Item = &Permissions> {
        let here = self.workspaces.get(workspace);
        here.into_iter().flatten().chain(&self.everywhere)
    }
}

/// A mapping with its roles looked up.
#[derive(Debug)]
pub(crate) struct Compiled {
    mapping: Mapping,
    service_claim: Option<String>,
    roles: BTreeMap<String, Permissions>,
}

impl Compiled {
    /// Checks a mapping.
    pub(crate) fn new(mapping: Mapping) -> Result<Self, MappingError> {
        let service_claim = match &mapping.service_claim {
            Some(given) => Some(given.clone()),
            None if mapping.services_by_certificate => None,
            None => Some(SERVICE_CLAIM.to_owned()),
        };
        if mapping.claim.is_empty() || service_claim.as_deref() == Some("") {
            return Err(MappingError::Claim);
        }
        let mut known: BTreeMap<String, BTreeSet<String>> = roles::ready_made()
            .filter_map(|name| Some((name.to_owned(), roles::permissions_of(name)?)))
            .collect();
        let declared = roles::declared();
        let areas: BTreeSet<&str> = declared.iter().map(|name| area(name)).collect();
        for (role, permissions) in &mapping.roles {
            if known.contains_key(role) {
                return Err(MappingError::ReadyMade(role.clone()));
            }
            // What a policy guards a move with is free to name, but not in the areas of the suite.
            let unknown = permissions.iter().find(|permission| {
                let area = area(permission);
                (areas.contains(area) || area == "internal" || area == EVERYTHING)
                    && !declared.contains(permission.as_str())
            });
            if let Some(permission) = unknown {
                return Err(MappingError::Permission {
                    role: role.clone(),
                    permission: permission.clone(),
                });
            }
            known.insert(role.clone(), permissions.iter().cloned().collect());
        }
        for (group, grants) in &mapping.groups {
            for grant in grants {
                let role = split(grant).map(|(_, role)| role);
                if role.is_none_or(|role| !known.contains_key(role)) {
                    return Err(MappingError::Grant {
                        group: group.clone(),
                        grant: grant.clone(),
                    });
                }
            }
        }
        if let Some(admin) = known.get_mut(roles::ADMIN) {
            admin.insert(EVERYTHING.to_owned());
        }
        Ok(Self {
            mapping,
            service_claim,
            roles: known
                .into_iter()
                .map(|(name, role)| (name, Arc::new(role)))
                .collect(),
        })
    }

    /// The service of the suite that the claims name, if they name any text.
    pub(crate) fn service<'a>(&self, claims: &'a Members) -> Option<&'a Value> {
        claims.at(self.service_claim.as_deref()?)
    }

    /// What the claims let the caller do. Values that mean nothing give nothing.
    pub(crate) fn access(&self, claims: &Members) -> Access {
        let mut access = Access::default();
        match claims.at(&self.mapping.claim) {
            Some(Value::Object(workspaces)) if self.mapping.groups.is_empty() => {
                for (workspace, roles) in workspaces {
                    for role in texts(roles) {
                        self.grant(&mut access, workspace, role);
                    }
                }
            }
            Some(values) => {
                for value in texts(values) {
                    self.value(&mut access, value);
                }
            }
            None => {}
        }
        access
    }

    /// Grants what one text of a list stands for.
    fn value(&self, access: &mut Access, value: &str) {
        if self.mapping.groups.is_empty() {
            if let Some((workspace, role)) = split(value) {
                self.grant(access, workspace, role);
            }
            return;
        }
        for grant in self.mapping.groups.get(value).into_iter().flatten() {
            if let Some((workspace, role)) = split(grant) {
                self.grant(access, workspace, role);
            }
        }
    }

    /// Adds a role. One that is not known lets nobody into the workspace.
    fn grant(&self, access: &mut Access, workspace: &str, role: &str) {
        let Some(role) = self.roles.get(role) else {
            return;
        };
        let held = if workspace == EVERYWHERE {
            &mut access.everywhere
        } else if types::is_resource_id(workspace) {
            access.workspaces.entry(workspace.to_owned()).or_default()
        } else {
            return;
        };
        if !held.iter().any(|known| Arc::ptr_eq(known, role)) {
            held.push(Arc::clone(role));
        }
    }
}

/// The part of a permission before its first dot.
fn area(permission: &str) -> &str {
    permission.split('.').next().unwrap_or_default()
}

/// The workspace and the role of `workspace:role`.
fn split(grant: &str) -> Option<(&str, &str)> {
    grant
        .split_once(':')
        .filter(|(workspace, role)| !workspace.is_empty() && !role.is_empty())
}

/// A text, or each text of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str();
    let list = value.as_array().into_iter().flatten();
    one.into_iter().chain(list.filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn access(mapping: &Value, claims: &Value) -> Access {
        let mapping = serde_json::from_value(mapping.clone()).expect("a mapping");
        let claims = Members::parse(claims.to_string().as_bytes()).expect("claims");
        Compiled::new(mapping)
            .expect("a good mapping")
            .access(&claims)
    }

    #[test]
    fn an_object_and_a_list_say_the_same() {
        let object = json!({"workspaces": {"acme": ["sales", "billing"], "other": "viewer"}});
        let list = json!({"workspaces": ["acme:sales", "acme:billing", "other:viewer"]});
        for claims in [object, list] {
            let access = access(&json!({}), &claims);
            assert!(access.allows("acme", "invoices.issue"));
            assert!(access.allows("acme", "positions.convert"));
            assert!(!access.allows("other", "positions.convert"));
            assert!(access.enters("other") && !access.enters("third"));
            assert!(access.allows_somewhere("invoices.issue"));
        }
    }

    #[test]
    fn what_is_not_understood_gives_nothing() {
        for claims in [
            json!({}),
            json!({"workspaces": null}),
            json!({"workspaces": 7}),
            json!({"workspaces": ["acme", "acme:", ":admin", "acme:root", "acme:admin:x", 1]}),
            json!({"workspaces": {"acme": ["root"], "Acme!": ["admin"], "-": ["admin"]}}),
            json!({"workspaces": {"acme": {"admin": true}}}),
        ] {
            assert_eq!(access(&json!({}), &claims), Access::default(), "{claims}");
        }
    }

    #[test]
    fn a_star_is_every_workspace() {
        let access = access(
            &json!({}),
            &json!({"workspaces": ["*:viewer", "acme:sales"]}),
        );
        assert!(access.enters("anything") && access.allows("anything", "contacts.read"));
        assert!(!access.allows("anything", "contacts.write"));
        assert!(access.allows("acme", "contacts.write"));
        let claims = json!({"workspaces": ["*:viewer", "acme:admin"]});
        let access = self::access(&json!({}), &claims);
        assert_eq!(access.within("acme"), None, "whatever a policy asks for");
        assert!(access.within("other").is_some());
    }

    #[test]
    fn groups_mean_what_the_configuration_says_and_nothing_else_does() {
        let mapping = json!({
            "claim": "realm.groups",
            "groups": {"/crm/sales": ["acme:sales", "acme:closer"]},
            "roles": {"closer": ["deals.close", "invoices.read"]},
        });
        let claims = json!({"realm": {"groups": ["/crm/sales", "acme:admin", "/hr"]}});
        let access = access(&mapping, &claims);
        assert!(access.allows("acme", "contacts.write") && access.allows("acme", "deals.close"));
        assert!(!access.allows("acme", "policies.write"));
        let held = access.within("acme").expect("not an administrator");
        assert!(held.contains("deals.close") && held.contains("positions.convert"));
        assert_eq!(access.within("other"), Some(BTreeSet::new()));
        // Names that others give, such as those of Keycloak's `realm_access`, are no workspaces.
        for claims in [
            json!({"realm": {"groups": {"acme": ["admin"], "/crm/sales": ["admin"]}}}),
            json!({"realm": {"groups": {"*": "admin"}}}),
        ] {
            assert_eq!(
                self::access(&mapping, &claims),
                Access::default(),
                "{claims}"
            );
        }
    }

    #[test]
    fn where_certificates_name_services_a_claim_does_only_if_it_is_meant_to() {
        let claims = json!({"clientele_service": "billing", "svc": "pipeline"});
        let claims = Members::parse(claims.to_string().as_bytes()).expect("claims");
        for (given, services_by_certificate, named) in [
            (None, false, Some("billing")),
            (None, true, None),
            (Some("svc"), false, Some("pipeline")),
            (Some("svc"), true, Some("pipeline")),
        ] {
            let mapping = Mapping {
                service_claim: given.map(str::to_owned),
                services_by_certificate,
                ..Mapping::default()
            };
            let compiled = Compiled::new(mapping).expect("a good mapping");
            let service = compiled.service(&claims).and_then(Value::as_str);
            assert_eq!(service, named, "{given:?} {services_by_certificate}");
        }
    }

    #[test]
    fn a_mapping_that_can_not_be_meant_is_refused() {
        for (mapping, named) in [
            (json!({"roles": {"admin": []}}), "admin"),
            (
                json!({"roles": {"r": ["contacts.wirte"]}}),
                "contacts.wirte",
            ),
            (
                json!({"roles": {"r": ["internal.grants"]}}),
                "internal.grants",
            ),
            (json!({"roles": {"r": ["*"]}}), "`*`"),
            (json!({"groups": {"g": ["acme:root"]}}), "acme:root"),
            (json!({"groups": {"g": ["acme"]}}), "acme"),
            (json!({"claim": ""}), "claim"),
            (json!({"service_claim": ""}), "claim"),
        ] {
            let mapping = serde_json::from_value(mapping).expect("a mapping");
            let error = Compiled::new(mapping).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
        assert!(serde_json::from_value::<Mapping>(json!({"claims": "x"})).is_err());
    }
}
