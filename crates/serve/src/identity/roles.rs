//! Roles: names for sets of permissions.
//!
//! The ready-made ones are what most workspaces need. Others are given in the configuration.

use std::collections::BTreeSet;

/// A ready-made role: its name, the role that it adds to, and what it adds.
struct Role {
    name: &'static str,
    base: Option<&'static str>,
    adds: &'static [&'static str],
}

/// The ready-made roles. `docs/security.md` shows them as a table.
const ROLES: &[Role] = &[
    Role {
        name: "viewer",
        base: None,
        adds: &[
            "contacts.read",
            "entitlements.read",
            "invoices.read",
            "policies.read",
            "positions.read",
            "projects.read",
            "server.read",
        ],
    },
    Role {
        name: "sales",
        base: Some("viewer"),
        adds: &["contacts.write", "positions.convert"],
    },
    Role {
        name: "sales-manager",
        base: Some("sales"),
        adds: &[
            "contacts.delete",
            "contacts.export",
            "contacts.import",
            "positions.verify",
            "projects.assign",
            "projects.write",
        ],
    },
    Role {
        name: "billing",
        base: Some("viewer"),
        adds: &[
            "invoices.issue",
            "invoices.write",
            "projects.assign",
            "projects.write",
        ],
    },
    Role {
        name: ADMIN,
        base: Some("sales-manager"),
        adds: &[
            "invoices.issue",
            "invoices.write",
            "policies.activate",
            "policies.write",
        ],
    },
];

/// The role that may do everything in its workspace, moves that a policy guards with a permission of
/// its own included.
pub(crate) const ADMIN: &str = "admin";

/// The names of the ready-made roles.
pub fn ready_made() -> impl Iterator<Item = &'static str> {
    ROLES.iter().map(|role| role.name)
}

/// The permissions of a ready-made role; `None` where there is no such role.
pub fn permissions_of(role: &str) -> Option<BTreeSet<String>> {
    let role = ROLES.iter().find(|known| known.name == role)?;
    let mut permissions = match role.base {
        Some(base) => permissions_of(base)?,
        None => BTreeSet::new(),
    };
    permissions.extend(role.adds.iter().map(|&added| added.to_owned()));
    Some(permissions)
}

/// The permissions that rpcs declare and people can hold; those of internal rpcs are not among them.
pub(crate) fn declared() -> BTreeSet<&'static str> {
    proto::methods()
        .iter()
        .filter(|method| !method.internal)
        .map(|method| method.permission)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_has_every_permission_that_people_can_hold() {
        let admin = permissions_of(ADMIN).expect("the role");
        let declared: BTreeSet<String> = declared().into_iter().map(str::to_owned).collect();
        assert_eq!(admin, declared);
    }

    #[test]
    fn every_permission_of_a_role_is_declared_by_some_rpc() {
        let declared = declared();
        for role in ready_made() {
            for permission in permissions_of(role).expect("the role") {
                assert!(declared.contains(&*permission), "{role}: {permission}");
            }
        }
        assert_eq!(permissions_of("root"), None);
    }

    #[test]
    fn the_page_shows_who_has_what() {
        let page = include_str!("../../../../docs/security.md");
        let head = page.lines().find(|line| line.starts_with("| permission |"));
        let cells = |line: &str| -> Vec<String> {
            let line = line.trim_matches('|').split('|');
            line.map(|cell| cell.trim().to_owned()).collect()
        };
        let roles = cells(head.expect("the table"));
        assert!(roles[1..].iter().map(String::as_str).eq(ready_made()));
        for permission in declared() {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{permission}` |")));
            let row = cells(row.expect(permission));
            for (role, shown) in roles.iter().zip(row).skip(1) {
                let has = permissions_of(role).expect("a role").contains(permission);
                assert_eq!(shown == "yes", has, "{role} {permission}");
            }
        }
    }

    #[test]
    fn reading_never_needs_more_than_the_viewer_has() {
        let viewer = permissions_of("viewer").expect("the role");
        for permission in declared()
            .into_iter()
            .filter(|permission| permission.split('.').next_back() == Some("read"))
        {
            assert!(viewer.contains(permission), "{permission}");
        }
    }
}
