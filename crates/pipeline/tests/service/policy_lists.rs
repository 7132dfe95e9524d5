//! Lists of policies, their revisions and activations: filters and pages.

use prost_types::FieldMask;
use proto::pipeline::v1::{
    ListPoliciesRequest, ListPolicyActivationsRequest, ListPresetsRequest, Policy,
    PolicyDefinition, UpdatePolicyRequest,
};

use crate::activating::WORKSPACE;
use crate::suite::{Instance, metadata, on_each_engine, reason};

/// The ids and revisions of all policies of a list, page by page.
async fn policies(one: &Instance, parent: &str, filter: &str, size: i32) -> Vec<String> {
    let mut request = ListPoliciesRequest {
        parent: parent.to_owned(),
        filter: filter.to_owned(),
        page_size: size,
        ..ListPoliciesRequest::default()
    };
    let mut found = Vec::new();
    loop {
        let page = one.policies().list_policies(request.clone()).await;
        let page = page.expect("a page").into_inner();
        let short = |policy: &Policy| {
            let id = policy.name.rsplit('/').next().unwrap_or_default();
            format!("{id}@{}", policy.revision_number)
        };
        found.extend(page.policies.iter().map(short));
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_and_revisions_are_filtered_and_paged() {
    on_each_engine(async |suite| {
        for preset in ["free-switch", "relationship"] {
            suite.one.activate_preset("default", preset).await;
        }
        let name = format!("{WORKSPACE}/policies/free-switch");
        let rename = UpdatePolicyRequest {
            policy: Some(Policy {
                name: name.clone(),
                definition: Some(PolicyDefinition {
                    description: "Ours".to_owned(),
                    ..PolicyDefinition::default()
                }),
                ..Policy::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["definition.description".to_owned()],
            }),
            ..UpdatePolicyRequest::default()
        };
        let renamed = suite.one.policies().update_policy(rename).await;
        renamed.expect("a revision");
        for size in [0, 1, 2] {
            for (filter, expected) in [
                ("", vec!["default@1", "free-switch@2", "relationship@1"]),
                (
                    "preset = \"one-*\" OR preset = relationship",
                    vec!["default@1", "relationship@1"],
                ),
                ("NOT creator = billing", vec!["default@1"]),
                ("create_time < \"2001-01-01T00:00:00Z\"", vec![]),
            ] {
                let found = policies(&suite.one, WORKSPACE, filter, size).await;
                assert_eq!(found, expected, "{filter} by {size}");
            }
            for (filter, expected) in [
                ("", vec!["free-switch@2", "free-switch@1"]),
                (
                    "revision_create_time > \"2001-01-01T00:00:00Z\" AND creator = \"*ING\"",
                    vec!["free-switch@2", "free-switch@1"],
                ),
                ("creator = nobody", vec![]),
            ] {
                let found = policies(&suite.one, &name, filter, size).await;
                assert_eq!(found, expected, "{filter} by {size}");
            }
        }
        let request = ListPoliciesRequest {
            parent: WORKSPACE.to_owned(),
            filter: "colour = red".to_owned(),
            ..ListPoliciesRequest::default()
        };
        let refused = suite.one.policies().list_policies(request).await;
        let refused = refused.expect_err("no such field");
        assert_eq!(reason(&refused), "FILTER_INVALID");
        assert_eq!(metadata(&refused, "field"), "colour");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activations_are_filtered_and_paged() {
    on_each_engine(async |suite| {
        for preset in ["free-switch", "relationship"] {
            suite.one.activate_preset("default", preset).await;
        }
        for (filter, expected) in [
            ("", vec![3, 2, 1]),
            ("actor = billing", vec![3, 2]),
            ("state = CANCELLED", vec![]),
            (
                "NOT state = CANCELLED AND create_time > \"2001-01-01T00:00:00Z\"",
                vec![3, 2, 1],
            ),
        ] {
            for page_size in [0, 1] {
                let mut request = ListPolicyActivationsRequest {
                    parent: WORKSPACE.to_owned(),
                    filter: filter.to_owned(),
                    page_size,
                    ..ListPolicyActivationsRequest::default()
                };
                let mut found = Vec::new();
                loop {
                    let mut policies = suite.one.policies();
                    let page = policies.list_policy_activations(request.clone()).await;
                    let page = page.expect("a page").into_inner();
                    found.extend(page.activations.iter().map(|one| one.number));
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = page.next_page_token;
                }
                assert_eq!(found, expected, "{filter} by {page_size}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_are_paged_by_tokens_of_their_own() {
    on_each_engine(async |suite| {
        suite.one.activate_preset("default", "free-switch").await;
        let list = async |page_size, page_token: &str| {
            let request = ListPresetsRequest {
                page_size,
                page_token: page_token.to_owned(),
            };
            let page = suite.one.policies().list_presets(request).await;
            page.map(|page| {
                let page = page.into_inner();
                let ids = page.presets.into_iter().map(|preset| preset.id);
                (ids.collect::<Vec<_>>(), page.next_page_token)
            })
        };
        let (all, end) = list(0, "").await.expect("all");
        assert_eq!((all.len(), end.as_str()), (5, ""));
        let (mut paged, mut token) = (Vec::new(), String::new());
        for expected in [2, 2, 1] {
            let (page, next) = list(2, &token).await.expect("a page");
            assert_eq!(page.len(), expected);
            paged.extend(page);
            token = next;
        }
        assert_eq!((paged, token.as_str()), (all, ""));

        let request = ListPoliciesRequest {
            parent: WORKSPACE.to_owned(),
            page_size: 1,
            ..ListPoliciesRequest::default()
        };
        let foreign = suite.one.policies().list_policies(request).await;
        let foreign = foreign.expect("a page").into_inner().next_page_token;
        for token in ["2", &foreign] {
            let refused = list(2, token).await.expect_err("not one of its own");
            assert_eq!(reason(&refused), "PAGE_TOKEN_MISMATCH", "{token}");
        }
    })
    .await;
}
