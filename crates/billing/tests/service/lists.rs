//! Lists of invoices, and the tokens that reads may bring.

use proto::billing::v1;
use proto::errors::v1::Reason;
use proto::google::r#type as google;
use store::testing::older_transaction;
use types::Token;

use super::support::{
    PARENT, Running, assert_refused, contact, create_request, fields, invoice, on_every_engine,
    with_client,
};

async fn list(billing: &Running, filter: &str, order_by: &str, page_size: i32) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListInvoicesRequest {
            parent: PARENT.into(),
            page_size,
            page_token,
            filter: filter.into(),
            order_by: order_by.into(),
            ..Default::default()
        };
        let page = billing
            .invoices
            .clone()
            .list_invoices(request)
            .await
            .expect(filter);
        let page = page.into_inner();
        names.extend(page.invoices.iter().map(|invoice| {
            invoice
                .name
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned()
        }));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

/// Filters, and the ids of the invoices below that pass.
const FILTERS: [(&str, &str); 24] = [
    ("", "abcde"),
    ("state = ISSUED", "b"),
    ("NOT state = ISSUED", "acde"),
    ("contact = \"workspaces/default/contacts/ada\"", "acde"),
    ("contact = \"workspaces/other/contacts/ada\"", ""),
    ("contact = \"workspaces/default/contacts/a*\"", "acde"),
    ("contact = \"workspaces/default/*\"", "abcde"),
    ("contact = \"*/contacts/ben\"", "b"),
    ("contact = \"*a\"", "acde"),
    ("contact = \"*e*\"", "b"),
    ("contact = ben", "b"),
    ("contact != \"workspaces/default/contacts/b*\"", "acde"),
    ("issue_date >= \"2026-02-01\"", "ac"),
    ("issue_date < \"2026-02-01\"", "bd"),
    ("number = \"INV-2026-*\"", "b"),
    ("number = \"*-000001\"", "b"),
    ("series = INV AND currency_code = EUR", "abcde"),
    ("currency_code = eur", ""),
    ("labels.tier = gold", "a"),
    ("labels.tier = \"gold*\"", "ab"),
    ("labels:tier", "abcd"),
    ("labels.tier = \"a\\\"b\"", "d"),
    ("labels.tier = silver OR state = ISSUED", "bc"),
    ("create_time > \"2020-01-01T00:00:00Z\"", "abcde"),
];

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_sorted_and_paged() {
    on_every_engine(async |engine| {
        let (suite, billing, ada) = with_client(&engine).await;
        suite.pipeline.put(&contact("ben"), "client");
        for (id, who, month, tier) in [
            ("a", "ada", 3, "gold"),
            ("b", "ben", 1, "gold_plus"),
            ("c", "ada", 2, "silver"),
            ("d", "ada", 1, "a\"b"),
        ] {
            let given = v1::Invoice {
                issue_date: Some(google::Date {
                    year: 2026,
                    month,
                    day: 1,
                }),
                labels: [("tier".to_owned(), tier.to_owned())].into(),
                ..invoice(&contact(who))
            };
            let request = v1::CreateInvoiceRequest {
                invoice: Some(given),
                invoice_id: id.into(),
                ..create_request()
            };
            billing.create(request).await.expect("a client");
        }
        billing
            .issue("workspaces/default/invoices/b")
            .await
            .expect("a client");
        let plain = invoice(&ada);
        let request = v1::CreateInvoiceRequest {
            invoice: Some(plain),
            invoice_id: "e".into(),
            ..create_request()
        };
        billing.create(request).await.expect("a client");
        for (filter, expected) in FILTERS {
            for page_size in [0, 1, 2] {
                let found = list(&billing, filter, "", page_size).await.concat();
                assert_eq!(found, expected, "{filter}");
            }
        }
        for (order_by, expected) in [
            ("create_time desc", "edcba"),
            ("issue_date", "ebdca"),
            ("issue_date desc", "acdbe"),
            ("issue_date, create_time desc", "edbca"),
            ("number desc", "bedca"),
        ] {
            for page_size in [0, 1, 2, 4] {
                let found = list(&billing, "", order_by, page_size).await.concat();
                assert_eq!(found, expected, "{order_by}");
            }
        }
        for (filter, order_by, page_token, reason) in [
            ("colour = red", "", "", Reason::FilterInvalid),
            ("issue_date = 1", "", "", Reason::FilterInvalid),
            ("labels.tier = \"*gold\"", "", "", Reason::FilterInvalid),
            (
                "state = ISSUED and number = 1",
                "",
                "",
                Reason::FilterInvalid,
            ),
            ("", "note", "", Reason::OrderByInvalid),
            ("", "", "AQ", Reason::PageTokenMismatch),
        ] {
            let request = v1::ListInvoicesRequest {
                parent: PARENT.into(),
                filter: filter.into(),
                order_by: order_by.into(),
                page_token: page_token.into(),
                ..Default::default()
            };
            let refused = billing.invoices.clone().list_invoices(request).await;
            assert_refused(&refused.expect_err(filter), reason);
        }
        billing.stop().await;
    })
    .await;
}

/// The ids on each page of a list of invoices.
async fn pages(billing: &Running, page_size: i32) -> Vec<Vec<String>> {
    let (mut pages, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListInvoicesRequest {
            parent: PARENT.into(),
            page_size,
            page_token,
            order_by: "issue_date".into(),
            ..Default::default()
        };
        let page = billing.invoices.clone().list_invoices(request).await;
        let page = page.expect("a stock client reads 4 MiB").into_inner();
        let id = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        pages.push(page.invoices.iter().map(|it| id(&it.name)).collect());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return pages;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_would_be_too_large_is_shorter_and_the_next_goes_on() {
    const LARGE: usize = 45;
    const SMALL: usize = 75;
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        let mut given = invoice(&ada);
        let mut expected = Vec::new();
        for number in 0..LARGE + SMALL {
            if number == 0 {
                // About 100 kB each.
                given.lines[0].description = "x".repeat(1000);
                given.lines = vec![given.lines[0].clone(); 100];
            } else if number == LARGE {
                given.lines.truncate(1);
            }
            let id = format!("n{number:03}");
            let request = v1::CreateInvoiceRequest {
                invoice: Some(given.clone()),
                invoice_id: id.clone(),
                ..create_request()
            };
            billing.create(request).await.expect("a client");
            expected.push(id);
        }
        for page_size in [500, 50] {
            let pages = pages(&billing, page_size).await;
            assert_eq!(pages.concat(), expected, "none twice, none left out");
            let first = pages[0].len();
            assert!((20..LARGE).contains(&first), "{first} of {page_size}");
        }
        let lengths: Vec<usize> = pages(&billing, 110).await.iter().map(Vec::len).collect();
        let tail = lengths[1..].iter().sum::<usize>();
        assert_eq!((lengths.len(), lengths[0] + tail), (2, LARGE + SMALL));
        assert!(lengths[1] > 51, "more than is read at once");
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_token_covers_what_was_written() {
    on_every_engine(async |engine| {
        let (suite, billing, ada) = with_client(&engine).await;
        let older = older_transaction(&suite.url);
        let request = v1::CreateInvoiceRequest {
            invoice: Some(invoice(&ada)),
            ..create_request()
        };
        let made = billing.invoices.clone().create_invoice(request).await;
        let made = made.expect("a client").into_inner().consistency_token;
        let info = v1::GetServerInfoRequest {};
        let info = billing.invoices.clone().get_server_info(info).await;
        let newest = info.expect("the server's word").into_inner().newest_token;
        let [made, newest] = [made, newest].map(|token| {
            let Token { epoch, tx, id, .. } = token.parse().expect("a token");
            (epoch, tx, id)
        });
        assert!(newest >= made, "{newest:?} and {made:?}");
        drop(older);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_other_lives_are_refused() {
    on_every_engine(async |engine| {
        let (suite, billing, ada) = with_client(&engine).await;
        let request = v1::CreateInvoiceRequest {
            invoice: Some(invoice(&ada)),
            ..create_request()
        };
        let made = billing
            .invoices
            .clone()
            .create_invoice(request)
            .await
            .expect("a client");
        let made = made.into_inner();
        let name = made.invoice.expect("an invoice").name;
        let get = |token: &str| v1::GetInvoiceRequest {
            name: name.clone(),
            at_least_as_fresh_as: vec![token.to_owned()],
        };
        let token = made.consistency_token;
        billing
            .invoices
            .clone()
            .get_invoice(get(&token))
            .await
            .expect("fresh enough");
        let refused = billing
            .invoices
            .clone()
            .get_invoice(get("AQID"))
            .await
            .expect_err("junk");
        assert_refused(&refused, Reason::ConsistencyTokenForeign);
        let both = v1::GetInvoiceRequest {
            name: name.clone(),
            at_least_as_fresh_as: vec![token.clone(), token.clone()],
        };
        let refused = billing.invoices.clone().get_invoice(both).await;
        let refused = refused.expect_err("one per service at most");
        assert_refused(&refused, Reason::FieldInvalid);
        assert_eq!(fields(&refused), ["at_least_as_fresh_as[1]"]);
        billing.stop().await;
        suite
            .store()
            .bump_epoch(store::testing::soon())
            .await
            .expect("a new epoch");
        let billing = suite.start_without_follower().await;
        let refused = billing
            .invoices
            .clone()
            .get_invoice(get(&token))
            .await
            .expect_err("old");
        assert_refused(&refused, Reason::ConsistencyTokenForeign);
        let info = billing
            .invoices
            .clone()
            .get_server_info(v1::GetServerInfoRequest {})
            .await;
        let info = info.expect("the server's word").into_inner();
        assert!(!info.version.is_empty() && !info.newest_token.is_empty());
        billing.stop().await;
    })
    .await;
}
