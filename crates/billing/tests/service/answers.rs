//! Bad requests: one answer names every bad field, whether the proto or billing knows the rule.

use prost_types::FieldMask;
use proto::billing::v1;
use proto::errors::v1::Reason;
use proto::google::r#type as google;

use super::support::{
    PARENT, assert_refused, create_request, decimal, fields, invoice, money, on_every_engine,
    with_client,
};

#[expect(clippy::unnecessary_wraps, reason = "fields of messages are optional")]
fn mask(paths: &[&str]) -> Option<FieldMask> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Some(FieldMask { paths })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_invoice_is_told_whole_and_nothing_is_drafted() {
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        let line = invoice(&ada).lines.remove(0);
        let bad = v1::Invoice {
            lines: vec![
                v1::LineItem {
                    description: String::new(),
                    unit_price: decimal("-1"),
                    ..line.clone()
                },
                v1::LineItem {
                    base_quantity: decimal("0"),
                    ..line.clone()
                },
            ],
            issue_date: Some(google::Date {
                year: 2026,
                month: 3,
                day: 2,
            }),
            due_date: Some(google::Date {
                year: 2026,
                month: 3,
                day: 1,
            }),
            prepaid_amount: money(1, 0).map(|amount| google::Money {
                currency_code: "USD".into(),
                ..amount
            }),
            ..invoice(&ada)
        };
        let request = v1::CreateInvoiceRequest {
            invoice: Some(bad.clone()),
            invoice_id: "bad".into(),
            ..create_request()
        };
        let refused = billing.create(request).await.expect_err("bad");
        assert_refused(&refused, Reason::FieldInvalid);
        let expected = [
            "invoice.lines[0].description",
            "invoice.lines[0].unit_price",
            "invoice.lines[1].base_quantity",
            "invoice.due_date",
            "invoice.prepaid_amount",
        ];
        assert_eq!(fields(&refused), expected);
        let name = format!("{PARENT}/invoices/bad");
        let absent = billing.get(&name).await.expect_err("no draft");
        assert_refused(&absent, Reason::ResourceNotFound);

        let draft = billing.draft(&ada).await.expect("a draft");
        let change = v1::UpdateInvoiceRequest {
            invoice: Some(v1::Invoice {
                name: draft.name.clone(),
                note: "ignored\0".into(),
                ..bad
            }),
            update_mask: mask(&["lines", "colour"]),
            ..Default::default()
        };
        let mut invoices = billing.invoices.clone();
        let refused = invoices.update_invoice(change).await.expect_err("bad");
        assert_refused(&refused, Reason::FieldInvalid);
        let expected = [
            "invoice.lines[0].description",
            "invoice.note",
            "update_mask",
            "invoice.lines[0].unit_price",
            "invoice.lines[1].base_quantity",
        ];
        assert_eq!(fields(&refused), expected);
        let after = billing.get(&draft.name).await.expect("the draft");
        assert_eq!(after, draft);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_project_and_a_bad_assignment_are_told_whole() {
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        let request = v1::CreateProjectRequest {
            parent: PARENT.into(),
            project: Some(v1::Project {
                display_name: " ".into(),
                description: "a\0b".into(),
                ..Default::default()
            }),
            project_id: "Not An Id".into(),
            ..Default::default()
        };
        let mut projects = billing.projects.clone();
        let refused = projects.create_project(request).await.expect_err("bad");
        assert_refused(&refused, Reason::FieldInvalid);
        let expected = ["project.description", "project_id", "project.display_name"];
        assert_eq!(fields(&refused), expected);

        let project = billing.project("p").await;
        let request = v1::AssignContactRequest {
            project: project.name,
            contact: ada.replace("default", "other"),
            role_in_project: "a\0b".into(),
            ..Default::default()
        };
        let refused = projects.assign_contact(request).await.expect_err("bad");
        assert_refused(&refused, Reason::FieldInvalid);
        assert_eq!(fields(&refused), ["role_in_project", "contact"]);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_list_is_told_whole() {
    on_every_engine(async |engine| {
        let (_suite, billing, _) = with_client(&engine).await;
        let bad = v1::ListInvoicesRequest {
            parent: PARENT.into(),
            page_size: -1,
            page_token: "x".into(),
            filter: "colour = red".into(),
            order_by: "note".into(),
            at_least_as_fresh_as: vec!["nonsense".into()],
        };
        let mut invoices = billing.invoices.clone();
        let refused = invoices.list_invoices(bad.clone()).await.expect_err("bad");
        assert_refused(&refused, Reason::FieldInvalid);
        let expected = [
            "page_size",
            "filter",
            "order_by",
            "page_token",
            "at_least_as_fresh_as",
        ];
        assert_eq!(fields(&refused), expected);
        let only = v1::ListInvoicesRequest {
            parent: bad.parent,
            filter: bad.filter,
            ..Default::default()
        };
        let refused = invoices.list_invoices(only).await.expect_err("bad");
        assert_refused(&refused, Reason::FilterInvalid);
        billing.stop().await;
    })
    .await;
}
