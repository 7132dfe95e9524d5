//! What `validate_only` answers, and leaves.

use prost_types::FieldMask;
use proto::billing::v1;
use proto::errors::v1::Reason;

use super::support::{
    PARENT, assert_refused, contact, create_request, invoice, money, on_every_engine, with_client,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_tried_leaves_nothing() {
    on_every_engine(async |engine| {
        let (suite, billing, ada) = with_client(&engine).await;
        let tried = v1::CreateInvoiceRequest {
            invoice: Some(invoice(&ada)),
            validate_only: true,
            ..create_request()
        };
        let would_be = billing.create(tried.clone()).await.expect("a client");
        assert_eq!(
            (would_be.name.as_str(), would_be.net_total),
            ("", money(21, 0))
        );
        suite.pipeline.put(&contact("ben"), "lead");
        let refused = v1::CreateInvoiceRequest {
            invoice: Some(invoice(&contact("ben"))),
            ..tried.clone()
        };
        assert_refused(
            &billing.create(refused).await.expect_err("a lead"),
            Reason::EntitlementMissing,
        );
        let draft = billing.draft(&ada).await.expect("a client");
        let request = v1::IssueInvoiceRequest {
            name: draft.name.clone(),
            validate_only: true,
            ..Default::default()
        };
        let response = billing
            .invoices
            .clone()
            .issue_invoice(request)
            .await
            .expect("it would do");
        let would_be = response.into_inner().invoice.expect("an invoice");
        assert_eq!((would_be.state, would_be.number.as_str()), (2, ""));
        assert_eq!((would_be.etag.as_str(), would_be.update_time), ("", None));
        assert_eq!(
            billing.get(&draft.name).await.expect("a draft still"),
            draft
        );
        assert_eq!(
            billing.issue(&draft.name).await.expect("a client").number[9..],
            *"000001"
        );
        let listed = v1::ListInvoicesRequest {
            parent: PARENT.into(),
            ..Default::default()
        };
        let listed = billing
            .invoices
            .clone()
            .list_invoices(listed)
            .await
            .expect("the list");
        assert_eq!(listed.into_inner().invoices.len(), 1);
        billing.stop().await;
    })
    .await;
}

/// Whoever was told the etag of a revision that nobody stored would overwrite it, once somebody else
/// has made it, without having read it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_tried_has_no_etag() {
    on_every_engine(async |engine| {
        let (_suite, billing, ada) = with_client(&engine).await;
        let tried = v1::CreateInvoiceRequest {
            invoice: Some(invoice(&ada)),
            invoice_id: "first".into(),
            validate_only: true,
            ..create_request()
        };
        let would_be = billing.create(tried).await.expect("a client");
        assert_eq!((would_be.etag.as_str(), would_be.update_time), ("", None));

        let draft = billing.draft(&ada).await.expect("a client");
        let mask = |path: &str| {
            Some(FieldMask {
                paths: vec![path.to_owned()],
            })
        };
        let tried = v1::UpdateInvoiceRequest {
            invoice: Some(draft),
            update_mask: mask("note"),
            validate_only: true,
            ..Default::default()
        };
        let tried = billing.invoices.clone().update_invoice(tried).await;
        let would_be = tried.expect("tried").into_inner().invoice;
        let would_be = would_be.expect("an invoice");
        assert_eq!((would_be.etag.as_str(), would_be.update_time), ("", None));

        let project = v1::Project {
            display_name: "Roof".into(),
            ..Default::default()
        };
        let tried = v1::CreateProjectRequest {
            parent: PARENT.into(),
            project: Some(project.clone()),
            project_id: "roof".into(),
            validate_only: true,
            ..Default::default()
        };
        let tried = billing.projects.clone().create_project(tried).await;
        let would_be = tried.expect("tried").into_inner().project;
        let would_be = would_be.expect("a project");
        assert_eq!((would_be.etag.as_str(), would_be.update_time), ("", None));

        let tried = v1::UpdateProjectRequest {
            project: Some(v1::Project {
                name: billing.project("roof").await.name,
                ..project
            }),
            update_mask: mask("display_name"),
            validate_only: true,
            ..Default::default()
        };
        let tried = billing.projects.clone().update_project(tried).await;
        let would_be = tried.expect("tried").into_inner().project;
        let would_be = would_be.expect("a project");
        assert_eq!((would_be.etag.as_str(), would_be.update_time), ("", None));
    })
    .await;
}
