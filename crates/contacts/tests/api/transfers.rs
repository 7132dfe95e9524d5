//! Exports, and what files become as a whole.

use proto::contacts::v1::contact::Kind;
use proto::contacts::v1::import::Format;
use proto::contacts::v1::import_row::Outcome;
use proto::contacts::v1::{Contact, CreateImportRequest};

use crate::support::on_each_engine;
use crate::transfer_support::{
    contacts, contacts_of, create, export, import, outcomes, rows, to_end, upload,
};

/// Everything that a contact says, but for what belongs to the place where it stands.
fn said(mut contact: Contact) -> Contact {
    contact.name.clear();
    contact.etag.clear();
    contact.create_time = None;
    contact.update_time = None;
    contact
}

#[tokio::test]
async fn what_is_exported_is_imported_again_with_nothing_new_and_nothing_lost() {
    on_each_engine(|mut suite| async move {
        let company = Contact {
            kind: Kind::Company as i32,
            display_name: "Example Ltd".into(),
            ..Contact::default()
        };
        suite.create("acme", company).await;
        let text = |text: &str| text.to_owned();
        let value = |text: &str| prost_types::Value::from(text.to_owned());
        suite
            .create(
                "ada",
                Contact {
                    given_name: text("Ada"),
                    company: crate::support::name("acme"),
                    labels: [(text("tier"), text("gold, \"1\""))].into(),
                    note: text("=cmd\r\nline; two, \\n"),
                    urls: vec![text("https://example.com/a,b")],
                    ready_to_buy: true,
                    attributes: Some(prost_types::Struct {
                        fields: [(text("Shoe size"), value("38"))].into(),
                    }),
                    ..crate::support::person("Ada L", "ada@example.com")
                },
            )
            .await;
        let before = contacts(&mut suite).await;
        for format in [Format::Csv, Format::Vcard, Format::Ndjson] {
            let file = export(&mut suite, format).await;
            let name = create(&mut suite, import(format)).await;
            upload(&mut suite, &name, &file).await;
            let done = to_end(&mut suite, &name, false).await;
            assert_eq!(
                (done.matched_rows, done.done_rows),
                (2, 2),
                "{format:?} {done:?}"
            );
            assert_eq!(contacts(&mut suite).await, before, "{format:?}");

            // Somewhere else the same contacts come into being.
            let parent = format!("workspaces/to-{}", format as i32);
            let request = CreateImportRequest {
                parent: parent.clone(),
                import: Some(import(format)),
                ..CreateImportRequest::default()
            };
            let made = suite
                .transfers
                .create_import(request)
                .await
                .expect("created");
            let name = made.into_inner().import.expect("an import").name;
            upload(&mut suite, &name, &file).await;
            let done = to_end(&mut suite, &name, false).await;
            assert_eq!(done.created_rows, 2, "{format:?} {done:?}");
            let there = contacts_of(&mut suite, &parent).await;
            for (mut here, mut there) in before
                .iter()
                .cloned()
                .map(said)
                .zip(there.into_iter().map(said))
            {
                // The company is another directory's contact; files of the two flat formats carry
                // its name on.
                here.company.clear();
                if let Some(fields) = there.attributes.as_mut() {
                    fields.fields.remove("organization");
                }
                assert_eq!(there, here, "{format:?}");
            }
        }
    })
    .await;
}

/// The files of the truth with how many contacts each must give, and what else its import needs.
#[expect(clippy::print_stderr, reason = "tests say what they leave out")]
fn truth_files() -> Vec<(String, Format, Vec<u8>, usize)> {
    let Some(root) = std::env::var_os("CLIENTELE_TRUTH") else {
        eprintln!("CLIENTELE_TRUTH is not set: its files are left out");
        return Vec::new();
    };
    let mut found = Vec::new();
    for (folder, format, list) in [
        ("vcard", Format::Vcard, "cards"),
        ("csv-contacts", Format::Csv, "contacts"),
    ] {
        let folder = std::path::Path::new(&root).join(folder);
        let expected = std::fs::read(folder.join("expected.json")).expect("the expectations");
        let expected: serde_json::Value = serde_json::from_slice(&expected).expect("JSON");
        for file in expected["files"].as_array().expect("a list") {
            let name = file["file"].as_str().expect("a name");
            let count = file[list].as_array().map_or(0, Vec::len);
            let is_import = file["outcome"]
                .as_str()
                .is_none_or(|outcome| outcome == "import");
            if count > 0 && is_import {
                let bytes = std::fs::read(folder.join("raw").join(name)).expect("the file");
                found.push((name.to_owned(), format, bytes, count));
            }
        }
    }
    found
}

#[tokio::test]
async fn files_of_real_programs_give_their_contacts_in_their_order() {
    let files = truth_files();
    on_each_engine(|mut suite| {
        let files = files.clone();
        async move {
            for (number, (file, format, bytes, count)) in files.into_iter().enumerate() {
                let mut asked = import(format);
                if file.contains("no_header") {
                    asked.no_header = true;
                    asked.mapping = ["display_name", "given_name", "family_name", "email"]
                        .iter()
                        .enumerate()
                        .map(|(index, target)| ((index + 1).to_string(), (*target).to_owned()))
                        .collect();
                }
                let parent = format!("workspaces/truth-{number}");
                let request = CreateImportRequest {
                    parent: parent.clone(),
                    import: Some(asked),
                    ..CreateImportRequest::default()
                };
                let made = suite
                    .transfers
                    .create_import(request)
                    .await
                    .expect("created");
                let name = made.into_inner().import.expect("an import").name;
                upload(&mut suite, &name, &bytes).await;
                to_end(&mut suite, &name, true).await;
                let dry = rows(&mut suite, &name, "").await;
                let done = to_end(&mut suite, &name, false).await;
                let real = rows(&mut suite, &name, "").await;
                assert_eq!(outcomes(&dry), outcomes(&real), "{file}");
                assert_eq!(
                    usize::try_from(done.created_rows),
                    Ok(count),
                    "{file}: {real:?}"
                );
                let found = contacts_of(&mut suite, &parent).await;
                let order: Vec<String> = found.into_iter().map(|contact| contact.name).collect();
                let made: Vec<String> = real
                    .into_iter()
                    .filter(|row| row.outcome() == Outcome::Created)
                    .map(|row| row.contact)
                    .collect();
                assert_eq!(order, made, "{file}");
            }
        }
    })
    .await;
}
