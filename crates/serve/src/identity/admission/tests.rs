//! The rule over every method of the suite.

use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;
use crate::identity::authenticator::tests::user_of;

const SERVICES: [&str; 3] = ["contacts", "pipeline", "billing"];

fn extensions(identity: Identity) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(identity);
    extensions
}

fn scope<'a>(method: &Method, name: &'a str) -> Option<Scope<'a>> {
    let workspace = name.split('/').nth(1).expect("a workspace");
    method.scoped.then_some(Scope { workspace, name })
}

fn admit(identity: &Identity, method: &'static Method, name: &str) -> Result<(), Status> {
    let extensions = extensions(identity.clone());
    IdentityAdmission.admit(
        method,
        scope(method, name),
        &MetadataMap::new(),
        &extensions,
    )
}

/// A holder of a role in `acme`.
fn holder(role: &str) -> Identity {
    user_of(&json!({"workspaces": {"acme": [role]}}))
}

fn reason(refused: &Status) -> (Code, String) {
    let info = refused.get_details_error_info();
    (
        refused.code(),
        info.map(|info| info.reason).unwrap_or_default(),
    )
}

#[test]
fn nobody_is_admitted_without_an_identity() {
    for method in proto::methods() {
        let scope = scope(method, "workspaces/acme");
        let refused =
            IdentityAdmission.admit(method, scope, &MetadataMap::new(), &Extensions::new());
        let expected = (Code::Unauthenticated, "TOKEN_MISSING".to_owned());
        assert_eq!(reason(&refused.expect_err("nobody")), expected);
    }
}

#[test]
fn an_admin_may_call_all_but_internal_rpcs_and_only_at_home() {
    let admin = holder("admin");
    for method in proto::methods() {
        let at_home = admit(&admin, method, "workspaces/acme/contacts/a");
        assert_eq!(at_home.is_ok(), !method.internal, "{}", method.path);
        if let Err(refused) = at_home {
            let expected = (Code::PermissionDenied, "PERMISSION_MISSING".to_owned());
            assert_eq!(reason(&refused), expected, "{}", method.path);
        }
        if !method.scoped {
            continue;
        }
        for elsewhere in [
            "workspaces/other/contacts/a",
            "workspaces/other",
            "workspaces/-",
        ] {
            let refused = admit(&admin, method, elsewhere).expect_err("not at home");
            let expected = (Code::NotFound, "RESOURCE_NOT_FOUND".to_owned());
            assert_eq!(reason(&refused), expected, "{} {elsewhere}", method.path);
            let info = refused.get_details_error_info().expect("ErrorInfo");
            assert_eq!(info.metadata["resource"], elsewhere);
        }
    }
}

#[test]
fn a_role_is_exactly_its_permissions() {
    for role in crate::identity::roles::ready_made() {
        let (identity, permissions) = (
            holder(role),
            crate::identity::roles::permissions_of(role).expect("the role"),
        );
        for method in proto::methods().iter().filter(|method| !method.internal) {
            let admitted = admit(&identity, method, "workspaces/acme").is_ok();
            let expected = permissions.contains(method.permission);
            assert_eq!(admitted, expected, "{role} {}", method.path);
        }
    }
}

#[test]
fn who_has_no_workspace_enters_none() {
    let stranger = user_of(&json!({}));
    for method in proto::methods() {
        let refused = admit(&stranger, method, "workspaces/acme").expect_err("a stranger");
        let expected = if method.scoped {
            Code::NotFound
        } else {
            Code::PermissionDenied
        };
        assert_eq!(refused.code(), expected, "{}", method.path);
    }
}

#[test]
fn a_service_may_call_what_is_declared_for_it_anywhere_and_nothing_else() {
    for method in proto::methods() {
        for service in SERVICES {
            let identity = Identity::Service(service);
            for name in ["workspaces/-", "workspaces/anything"] {
                let admitted = admit(&identity, method, name).is_ok();
                let declared = method.callers.contains(&service);
                assert_eq!(admitted, declared, "{service} {}", method.path);
            }
        }
    }
}

#[test]
fn the_guard_says_of_an_absent_resource_what_it_says_of_a_foreign_one() {
    let method = proto::method("/clientele.contacts.v1.ContactService/GetContact");
    let method = method.expect("declared");
    let name = "workspaces/other/contacts/a";
    let foreign = admit(&holder("admin"), method, name).expect_err("foreign");
    let absent = proto::status::not_found(name);
    assert_eq!(foreign.message(), absent.message());
    assert_eq!(foreign.details(), absent.details());
}
