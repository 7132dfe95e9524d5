//! Rows of imports whose contact is there already.

use proto::contacts::v1::import::{Format, State};
use proto::contacts::v1::import_row::Outcome;
use proto::contacts::v1::{Contact, DeleteContactRequest, ExternalId};

use crate::support::{Suite, name, on_each_engine};
use crate::transfer_support::{create, import, outcomes, rows, to_end, upload};

/// What a dry run and then the run itself say of the rows of a file.
pub async fn checked_and_run(suite: &mut Suite, file: &str) -> Vec<(Outcome, Vec<String>)> {
    let import = create(suite, import(Format::Ndjson)).await;
    upload(suite, &import, file.as_bytes()).await;
    let checked = to_end(suite, &import, true).await;
    assert_eq!(checked.state(), State::Checked);
    let dry = rows(suite, &import, "").await;
    let done = to_end(suite, &import, false).await;
    assert_eq!(done.state(), State::Succeeded);
    let real = rows(suite, &import, "").await;
    assert_eq!(
        outcomes(&dry),
        outcomes(&real),
        "a dry run says what the run does"
    );
    let told = real.iter().map(|row| (row.outcome(), row.problems.clone()));
    told.collect()
}

fn row(ids: &[(&str, &str)]) -> String {
    let ids: Vec<String> = ids
        .iter()
        .map(|(system, id)| format!("{{\"system\":\"{system}\",\"id\":\"{id}\"}}"))
        .collect();
    format!(
        "{{\"displayName\":\"P\",\"externalIds\":[{}]}}\n",
        ids.join(",")
    )
}

#[tokio::test]
async fn a_row_with_the_ids_of_two_contacts_is_refused_in_a_dry_run_too() {
    on_each_engine(|mut suite| async move {
        let stored = Contact {
            external_ids: vec![ExternalId {
                system: "shop".into(),
                id: "9".into(),
            }],
            ..Contact::default()
        };
        suite.create("known", stored).await;
        let file = [
            row(&[("erp", "1")]),
            row(&[("crm", "2")]),
            row(&[("erp", "1"), ("crm", "2")]),
            row(&[("crm", "2"), ("shop", "9")]),
            row(&[("erp", "1"), ("mail", "3")]),
            row(&[("shop", "9"), ("mail", "3")]),
        ];
        let told = checked_and_run(&mut suite, &file.concat()).await;
        let two = |first: &str, second: &str| {
            let text = format!("the external ids of {first} and {second} belong to two contacts");
            (Outcome::Refused, vec![text])
        };
        let expected = [
            (Outcome::Created, vec![]),
            (Outcome::Created, vec![]),
            two("erp", "crm"),
            two("crm", "shop"),
            (Outcome::Matched, vec![]),
            (Outcome::Matched, vec![]),
        ];
        assert_eq!(told, expected);
    })
    .await;
}

#[tokio::test]
async fn a_row_of_a_deleted_contact_is_refused() {
    on_each_engine(|mut suite| async move {
        let stored = Contact {
            external_ids: vec![ExternalId {
                system: "erp".into(),
                id: "1".into(),
            }],
            ..Contact::default()
        };
        suite.create("ada", stored).await;
        let request = DeleteContactRequest {
            name: name("ada"),
            ..DeleteContactRequest::default()
        };
        suite
            .contacts
            .delete_contact(request)
            .await
            .expect("it is going");
        let named = format!("{{\"name\":\"{}\",\"displayName\":\"Ada\"}}\n", name("ada"));
        let told = checked_and_run(&mut suite, &(row(&[("erp", "1")]) + &named)).await;
        let problem = format!("the contact {} is deleted: undelete it", name("ada"));
        let expected = (Outcome::Refused, vec![problem]);
        assert_eq!(told, [expected.clone(), expected]);
    })
    .await;
}

#[tokio::test]
async fn columns_with_the_same_header_are_all_shown() {
    on_each_engine(|mut suite| async move {
        let name = create(&mut suite, import(Format::Csv)).await;
        upload(&mut suite, &name, b"Name,Phone,Phone\nAda,123,456\n").await;
        let done = to_end(&mut suite, &name, true).await;
        let shown: Vec<(&str, &str)> = done
            .applied_mapping
            .iter()
            .map(|(column, target)| (column.as_str(), target.as_str()))
            .collect();
        let expected = [
            ("#3", "phone::1"),
            ("Name", "display_name"),
            ("Phone", "phone"),
        ];
        assert_eq!(shown, expected);
    })
    .await;
}
