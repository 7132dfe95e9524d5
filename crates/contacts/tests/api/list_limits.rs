//! Lists at their limits: filters that say something else than they seem to, and long page tokens.

use proto::contacts::v1::contact::Kind;
use proto::contacts::v1::{Contact, ListContactsRequest, Phone};
use proto::errors::v1::Reason;
use tonic::Code;

use crate::support::{PARENT, name, on_each_engine, refused};

fn list(filter: &str) -> ListContactsRequest {
    ListContactsRequest {
        parent: PARENT.into(),
        filter: filter.into(),
        ..ListContactsRequest::default()
    }
}

#[tokio::test]
async fn a_filter_that_would_mean_something_else_is_refused() {
    on_each_engine(|mut suite| async move {
        let company = Contact {
            kind: Kind::Company.into(),
            ..Contact::default()
        };
        suite.create("example", company).await;
        let person = Contact {
            company: name("example"),
            phones: vec![Phone {
                number: "030 123456".into(),
                ..Phone::default()
            }],
            ..Contact::default()
        };
        suite.create("ada", person).await;
        for filter in [
            "company = \"*\"",
            "company = \"workspaces/w/*\"",
            "NOT (kind = PERSON AND phone = \"abc*\")",
            "phone = \"abc\"",
        ] {
            let answer = suite.contacts.list_contacts(list(filter)).await;
            refused(answer, Code::InvalidArgument, Reason::FilterInvalid);
        }
        let company = format!("company = \"{}\"", name("example"));
        for (filter, count) in [
            (company.as_str(), 1),
            ("company = \"\"", 1),
            ("company != \"\"", 1),
            ("phone = \"030 12*\"", 1),
            ("phone = \"*\"", 1),
        ] {
            let answer = suite.contacts.list_contacts(list(filter)).await;
            let found = answer.expect("a page").into_inner().contacts;
            assert_eq!(found.len(), count, "{filter}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_token_after_the_longest_names_is_taken() {
    on_each_engine(|mut suite| async move {
        for id in ["a", "b", "c"] {
            let contact = Contact {
                given_name: "\u{1d11e}".repeat(300),
                family_name: "\u{1d11e}".repeat(300),
                owner: "\u{1d11e}".repeat(200),
                ..Contact::default()
            };
            suite.create(id, contact).await;
        }
        let mut request = ListContactsRequest {
            order_by: "display_name, family_name, owner".into(),
            page_size: 1,
            ..list("")
        };
        let mut found = 0;
        loop {
            let answer = suite.contacts.list_contacts(request.clone()).await;
            let page = answer.expect("a page").into_inner();
            found += page.contacts.len();
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(found, 3);
    })
    .await;
}
