//! Listing: filters, orders, pages.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::contacts::v1::contact::{Kind, RelationshipKind};
use proto::contacts::v1::source::Channel;
use proto::contacts::v1::{
    Contact, DeleteContactRequest, ExternalId, ListContactsRequest, Phone, Source,
};
use proto::errors::v1::Reason;
use tonic::Code;

use crate::support::{PARENT, Suite, name, on_each_engine, person, refused};

fn list(filter: &str, order_by: &str) -> ListContactsRequest {
    ListContactsRequest {
        parent: PARENT.into(),
        filter: filter.into(),
        order_by: order_by.into(),
        ..ListContactsRequest::default()
    }
}

/// The ids of all contacts of a list, page by page.
async fn ids(suite: &mut Suite, mut request: ListContactsRequest) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let page = suite
            .contacts
            .list_contacts(request.clone())
            .await
            .expect("a page")
            .into_inner();
        let prefix = name("");
        found.extend(
            page.contacts
                .iter()
                .map(|contact| contact.name[prefix.len()..].to_owned()),
        );
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

async fn three(suite: &mut Suite) {
    let texts = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    suite
        .create(
            "acme",
            Contact {
                kind: Kind::Company as i32,
                display_name: "ACME_100%".into(),
                relationship_kinds: vec![RelationshipKind::Vendor as i32],
                owner: "Kim".into(),
                ..Contact::default()
            },
        )
        .await;
    suite.clock.advance(Duration::from_secs(1));
    suite
        .create(
            "ada",
            Contact {
                given_name: "Ada".into(),
                family_name: "Ähre".into(),
                company: name("acme"),
                labels: texts(&[("tier", "gold"), ("area", "north")]),
                external_ids: vec![ExternalId {
                    system: "erp".into(),
                    id: "E-7".into(),
                }],
                phones: vec![Phone {
                    number: "+49 30 123456".into(),
                    ..Phone::default()
                }],
                source: Some(Source {
                    channel: Channel::TradeShow as i32,
                    campaign: "spring".into(),
                    ..Source::default()
                }),
                relationship_kinds: vec![
                    RelationshipKind::Customer as i32,
                    RelationshipKind::Partner as i32,
                ],
                ready_to_buy: true,
                ..person("", "Ada.L@example.com")
            },
        )
        .await;
    suite.clock.advance(Duration::from_secs(1));
    suite
        .create(
            "bob",
            Contact {
                family_name: "Zorn".into(),
                owner: "kim".into(),
                labels: texts(&[("tier", "Gold")]),
                ..person("", "bob@example.org")
            },
        )
        .await;
}

#[tokio::test]
async fn filters_find_what_they_say_alike_on_both_engines() {
    on_each_engine(|mut suite| async move {
        three(&mut suite).await;
        for (filter, expected) in [
            ("", "acme ada bob"),
            ("kind = COMPANY", "acme"),
            ("kind != COMPANY", "ada bob"),
            ("display_name = \"acme_100%\"", "acme"),
            ("display_name = \"acme_1*\"", "acme"),
            ("display_name = \"acme%1*\"", ""),
            ("display_name = \"*100%\"", "acme"),
            ("display_name = \"*e_1*\"", "acme"),
            ("family_name = \"äH*\"", "ada"),
            ("given_name = ada", "ada"),
            ("email = \"ADA.l@EXAMPLE.com\"", "ada"),
            ("email = \"*@example.*\"", "ada bob"),
            ("NOT email = \"*@example.com\"", "acme bob"),
            ("phone = \"+49 (30) 12-34-56\"", "ada"),
            ("phone = \"*3456\"", "ada"),
            ("company = \"workspaces/w/contacts/acme\"", "ada"),
            ("company = \"\"", "acme bob"),
            ("company = \"workspaces/other/contacts/acme\"", ""),
            ("owner = kim", "bob"),
            ("owner = \"K*\"", "acme"),
            ("owner = \"*im\"", "acme bob"),
            ("owner = \"*I*\"", ""),
            ("labels.tier = gold", "ada"),
            ("labels.tier = \"*old\"", "ada bob"),
            ("labels.tier = \"G*\"", "bob"),
            ("labels:area", "ada"),
            ("NOT labels.tier:*", "acme"),
            ("labels.tier != gold", "acme bob"),
            ("external_ids.erp = \"E-7\"", "ada"),
            ("external_ids.erp = \"e*\"", ""),
            ("external_ids:erp", "ada"),
            ("relationship_kinds:PARTNER", "ada"),
            ("relationship_kinds:*", "acme ada"),
            (
                "source.channel = TRADE_SHOW AND source.campaign = \"s*g*\"",
                "-",
            ),
            (
                "source.channel = TRADE_SHOW AND source.campaign = \"spr*\"",
                "ada",
            ),
            ("ready_to_buy = true", "ada"),
            (
                "state = ACTIVE AND role = UNSPECIFIED AND stage = \"\"",
                "acme ada bob",
            ),
            ("role = CLIENT", ""),
            ("NOT role = CLIENT", "acme ada bob"),
            ("create_time > \"2023-11-14T22:13:21Z\"", "bob"),
            (
                "kind = COMPANY OR given_name = Ada AND labels.area = north",
                "ada",
            ),
            (
                "(kind = COMPANY AND owner = Kim) OR labels.tier = Gold",
                "acme bob",
            ),
        ] {
            if expected == "-" {
                let answer = suite.contacts.list_contacts(list(filter, "")).await;
                refused(answer, Code::InvalidArgument, Reason::FilterInvalid);
                continue;
            }
            assert_eq!(
                ids(&mut suite, list(filter, "")).await.join(" "),
                expected,
                "{filter}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn orders_hold_in_both_directions_and_over_pages() {
    on_each_engine(|mut suite| async move {
        three(&mut suite).await;
        for (order_by, expected) in [
            ("", "acme ada bob"),
            ("create_time desc", "bob ada acme"),
            ("update_time", "acme ada bob"),
            ("display_name", "acme ada bob"),
            ("display_name desc", "bob ada acme"),
            ("family_name desc", "ada bob acme"),
            ("owner, create_time desc", "ada acme bob"),
            ("owner desc", "bob acme ada"),
        ] {
            for page_size in [0, 1, 2] {
                let request = ListContactsRequest {
                    page_size,
                    ..list("", order_by)
                };
                let found = ids(&mut suite, request).await.join(" ");
                assert_eq!(found, expected, "{order_by} by {page_size}");
            }
        }
        let answer = suite.contacts.list_contacts(list("", "stage")).await;
        refused(answer, Code::InvalidArgument, Reason::OrderByInvalid);
        let answer = suite.contacts.list_contacts(list("", "note")).await;
        let metadata = refused(answer, Code::InvalidArgument, Reason::OrderByInvalid);
        assert_eq!(metadata["field"], "note");
    })
    .await;
}

#[tokio::test]
async fn pages_lose_and_repeat_nothing_while_rows_come_and_go() {
    on_each_engine(|mut suite| async move {
        for number in 0..40 {
            suite
                .create(&format!("c{number:02}"), Contact::default())
                .await;
            // Several contacts of one moment: ties are broken by the name.
            if number % 4 == 0 {
                suite.clock.advance(Duration::from_millis(1));
            }
        }
        for order_by in ["", "create_time desc", "display_name"] {
            let mut request = ListContactsRequest {
                page_size: 7,
                ..list("", order_by)
            };
            let mut seen: Vec<String> = Vec::new();
            let mut round = 0;
            loop {
                let page = suite
                    .contacts
                    .list_contacts(request.clone())
                    .await
                    .expect("a page");
                let page = page.into_inner();
                seen.extend(page.contacts.into_iter().map(|contact| contact.name));
                round += 1;
                let id = format!("new-{}-{round}", order_by.len());
                suite.create(&id, Contact::default()).await;
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
                request.page_size = 5;
            }
            let old: Vec<&String> = seen.iter().filter(|name| name.contains("/c")).collect();
            let old: Vec<&&String> = old.iter().filter(|name| !name.contains("/new")).collect();
            let distinct: BTreeSet<_> = old.iter().collect();
            assert_eq!((old.len(), distinct.len()), (40, 40), "{order_by}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_belongs_to_its_list() {
    on_each_engine(|mut suite| async move {
        three(&mut suite).await;
        let mut request = ListContactsRequest {
            page_size: 1,
            ..list("", "")
        };
        let page = suite
            .contacts
            .list_contacts(request.clone())
            .await
            .expect("a page");
        let token = page.into_inner().next_page_token;
        request.page_token = token.clone();
        request.page_size = 100;
        assert_eq!(ids(&mut suite, request.clone()).await, ["ada", "bob"]);
        for changed in [
            ListContactsRequest {
                page_token: token.clone(),
                ..list("kind = COMPANY", "")
            },
            ListContactsRequest {
                page_token: token.clone(),
                ..list("", "owner")
            },
            ListContactsRequest {
                page_token: token.clone(),
                parent: "workspaces/x".into(),
                ..list("", "")
            },
            ListContactsRequest {
                page_token: token.clone(),
                show_deleted: true,
                ..list("", "")
            },
            ListContactsRequest {
                page_token: "junk".into(),
                ..list("", "")
            },
        ] {
            let answer = suite.contacts.list_contacts(changed).await;
            refused(answer, Code::InvalidArgument, Reason::PageTokenMismatch);
        }
        let answer = suite
            .contacts
            .list_contacts(ListContactsRequest {
                page_size: -1,
                ..list("", "")
            })
            .await;
        refused(answer, Code::InvalidArgument, Reason::FieldInvalid);
        let answer = suite
            .contacts
            .list_contacts(list("kind = COMPANY AND colour = 1", ""))
            .await;
        let metadata = refused(answer, Code::InvalidArgument, Reason::FilterInvalid);
        assert_eq!(
            (metadata["offset"].as_str(), metadata["field"].as_str()),
            ("19", "colour")
        );
    })
    .await;
}

#[tokio::test]
async fn deleted_contacts_are_shown_on_request() {
    on_each_engine(|mut suite| async move {
        three(&mut suite).await;
        let gone = crate::removals::delete(&mut suite, "ada").await;
        assert!(gone.delete_time.is_some());
        assert_eq!(ids(&mut suite, list("", "")).await, ["acme", "bob"]);
        let request = ListContactsRequest {
            show_deleted: true,
            ..list("", "")
        };
        assert_eq!(ids(&mut suite, request).await, ["acme", "ada", "bob"]);
        let request = ListContactsRequest {
            show_deleted: true,
            ..list("state = DELETED", "")
        };
        assert_eq!(ids(&mut suite, request).await, ["ada"]);
        let again = DeleteContactRequest {
            name: name("ada"),
            ..DeleteContactRequest::default()
        };
        let answer = suite.contacts.delete_contact(again).await;
        refused(answer, Code::NotFound, Reason::ResourceNotFound);
    })
    .await;
}
