//! Imports and exports.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::contacts::v1::contact::Kind;
use proto::contacts::v1::import::{Format, State};
use proto::contacts::v1::import_row::Outcome;
use proto::contacts::v1::source::Channel;
use proto::contacts::v1::{
    CancelImportRequest, Contact, CreateImportRequest, ExportContactsRequest, GetImportRequest,
    Import, ImportRow, ListContactsRequest, ListImportRowsRequest, ListImportsRequest,
    RunImportRequest, Source, UploadImportChunkRequest, WatchImportRequest,
};
use proto::errors::v1::Reason;
use tonic::Code;

use crate::support::{PARENT, Suite, eventually, fields, is_replayed, on_each_engine, refused};

fn import(format: Format) -> Import {
    Import {
        format: format as i32,
        ..Import::default()
    }
}

async fn create(suite: &mut Suite, import: Import) -> String {
    let request = CreateImportRequest {
        parent: PARENT.into(),
        import: Some(import),
        ..CreateImportRequest::default()
    };
    let made = suite
        .transfers
        .create_import(request)
        .await
        .expect("created")
        .into_inner();
    assert!(!made.consistency_token.is_empty());
    made.import.expect("an import").name
}

async fn upload(suite: &mut Suite, name: &str, file: &[u8]) {
    let mut offset = 0;
    for piece in file.chunks(200_000) {
        let request = chunk(name, offset, piece);
        let answer = suite
            .transfers
            .upload_import_chunk(request)
            .await
            .expect("uploaded");
        offset += i64::try_from(piece.len()).expect("a length");
        assert_eq!(
            answer
                .into_inner()
                .import
                .expect("an import")
                .uploaded_bytes,
            offset
        );
    }
}

fn chunk(name: &str, offset: i64, data: &[u8]) -> UploadImportChunkRequest {
    UploadImportChunkRequest {
        name: name.into(),
        offset,
        data: data.to_vec(),
    }
}

fn run(name: &str, dry_run: bool) -> RunImportRequest {
    RunImportRequest {
        name: name.into(),
        dry_run: Some(dry_run),
        ..RunImportRequest::default()
    }
}

/// Runs an import to its end.
async fn to_end(suite: &mut Suite, name: &str, dry_run: bool) -> Import {
    suite
        .transfers
        .run_import(run(name, dry_run))
        .await
        .expect("it runs");
    ended(suite, name).await
}

async fn ended(suite: &mut Suite, name: &str) -> Import {
    let request = WatchImportRequest { name: name.into() };
    let mut stream = suite
        .transfers
        .watch_import(request)
        .await
        .expect("a watch")
        .into_inner();
    let mut last = None;
    let mut done = 0;
    while let Some(told) = stream.message().await.expect("no error") {
        let import = told.import.expect("an import");
        assert!(import.done_rows >= done, "progress goes forward");
        done = import.done_rows;
        last = Some(import);
    }
    let last = last.expect("at least one message");
    assert_ne!(last.state(), State::Running);
    last
}

async fn rows(suite: &mut Suite, name: &str, refused_only: bool) -> Vec<ImportRow> {
    let mut request = ListImportRowsRequest {
        name: name.into(),
        refused_only,
        page_size: 100,
        ..ListImportRowsRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let page = suite
            .transfers
            .list_import_rows(request.clone())
            .await
            .expect("rows");
        let page = page.into_inner();
        all.extend(page.rows);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

async fn contacts(suite: &mut Suite) -> Vec<Contact> {
    contacts_of(suite, PARENT).await
}

async fn contacts_of(suite: &mut Suite, parent: &str) -> Vec<Contact> {
    let mut request = ListContactsRequest {
        parent: parent.into(),
        page_size: 500,
        ..ListContactsRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let page = suite
            .contacts
            .list_contacts(request.clone())
            .await
            .expect("a page");
        let page = page.into_inner();
        all.extend(page.contacts);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

async fn export(suite: &mut Suite, format: Format) -> Vec<u8> {
    let request = ExportContactsRequest {
        parent: PARENT.into(),
        format: format as i32,
        ..ExportContactsRequest::default()
    };
    let mut stream = suite
        .transfers
        .export_contacts(request)
        .await
        .expect("a file")
        .into_inner();
    let mut file = Vec::new();
    while let Some(piece) = stream.message().await.expect("no error") {
        assert!((1..=64 * 1024).contains(&piece.data.len()));
        file.extend_from_slice(&piece.data);
    }
    file
}

/// What became of each row, without the contacts' names, which a dry run does not know.
fn outcomes(rows: &[ImportRow]) -> Vec<(i64, Outcome, Vec<String>, String)> {
    let of = |row: &ImportRow| {
        (
            row.row,
            row.outcome(),
            row.problems.clone(),
            row.display_name.clone(),
        )
    };
    rows.iter().map(of).collect()
}

#[tokio::test]
async fn a_file_is_uploaded_in_pieces_that_may_be_repeated() {
    on_each_engine(|mut suite| async move {
        let name = create(&mut suite, import(Format::Ndjson)).await;
        let transfers = &mut suite.transfers;
        let answer = transfers.run_import(run(&name, false)).await;
        let metadata = refused(answer, Code::FailedPrecondition, Reason::ImportStateInvalid);
        assert_eq!(metadata["state"], "UPLOADING");
        let status = transfers
            .upload_import_chunk(chunk(&name, 5, b"x"))
            .await
            .expect_err("a gap");
        assert_eq!(fields(&status), ["offset"]);
        let file = b"{\"displayName\":\"Ada\"}\n{\"displayName\":\"Al\"}\n";
        for (offset, length) in [(0, 10), (0, 10), (3, 20), (23, 5), (20, 23)] {
            let piece = &file[offset..offset + length];
            let offset = i64::try_from(offset).expect("an offset");
            transfers
                .upload_import_chunk(chunk(&name, offset, piece))
                .await
                .expect("uploaded");
        }
        let status = transfers
            .upload_import_chunk(chunk(&name, 2, b"other"))
            .await;
        assert_eq!(fields(&status.expect_err("other bytes")), ["data"]);
        let done = to_end(&mut suite, &name, false).await;
        assert_eq!((done.state(), done.uploaded_bytes), (State::Succeeded, 43));
        assert_eq!((done.total_rows, done.created_rows), (2, 2));
        let answer = suite
            .transfers
            .upload_import_chunk(chunk(&name, 43, b"x"))
            .await;
        refused(answer, Code::FailedPrecondition, Reason::ImportStateInvalid);
        let answer = suite.transfers.run_import(run(&name, false)).await;
        refused(answer, Code::FailedPrecondition, Reason::ImportStateInvalid);
        let listed = suite
            .transfers
            .list_imports(ListImportsRequest {
                parent: PARENT.into(),
                ..ListImportsRequest::default()
            })
            .await
            .expect("imports");
        assert_eq!(listed.into_inner().imports, [done]);
    })
    .await;
}

const MIXED: &str = "Given name,Family name,E-mail,External ID,Colour\n\
    Ada,L,ada@example.com,7,red\n\
    Al,M,not an address,8,\n\
    Ada,again,other@example.com,7,\n\
    ,,,,\n\
    Zoe,\"N, O\",zoe@example.com,,blue\n\
    =1+1,P,p@example.com,,\n";

fn mixed() -> Import {
    let mapping = [
        ("Given name", "given_name"),
        ("Family name", "family_name"),
        ("E-mail", "email"),
        ("External ID", "external_ids.erp"),
    ];
    Import {
        mapping: mapping
            .map(|(column, target)| (column.to_owned(), target.to_owned()))
            .into(),
        requested_stage: "prospect".into(),
        ..import(Format::Csv)
    }
}

#[tokio::test]
async fn a_dry_run_says_row_by_row_what_the_run_does() {
    on_each_engine(|mut suite| async move {
        let name = create(&mut suite, mixed()).await;
        upload(&mut suite, &name, MIXED.as_bytes()).await;
        let checked = to_end(&mut suite, &name, true).await;
        assert_eq!(checked.state(), State::Checked, "{}", checked.failure);
        let dry = rows(&mut suite, &name, false).await;
        assert!(dry.iter().all(|row| row.contact.is_empty()));
        assert!(contacts(&mut suite).await.is_empty());
        let done = to_end(&mut suite, &name, false).await;
        assert_eq!(done.state(), State::Succeeded);
        let real = rows(&mut suite, &name, false).await;
        assert_eq!(outcomes(&dry), outcomes(&real));
        assert_eq!(
            (
                done.done_rows,
                done.created_rows,
                done.matched_rows,
                done.refused_rows
            ),
            (5, 3, 1, 1)
        );
        assert_eq!(done.unused_columns, ["Colour"]);
        let refused_rows = rows(&mut suite, &name, true).await;
        assert_eq!(refused_rows.len(), 1);
        assert_eq!(
            (refused_rows[0].row, refused_rows[0].contact.as_str()),
            (2, "")
        );
        assert!(
            refused_rows[0].problems[0].contains("E-mail"),
            "{:?}",
            refused_rows[0].problems
        );
        let found = contacts(&mut suite).await;
        let names: Vec<&str> = found
            .iter()
            .map(|contact| contact.display_name.as_str())
            .collect();
        assert_eq!(names, ["Ada L", "Zoe N, O", "=1+1 P"]);
        assert!(found.iter().all(|contact| {
            contact.requested_stage == "prospect"
                && contact.source.as_ref().map(Source::channel) == Some(Channel::Import)
        }));
        let made: Vec<&ImportRow> = real
            .iter()
            .filter(|row| row.outcome() == Outcome::Created)
            .collect();
        assert_eq!(made[0].contact, found[0].name);

        // Again over the same external ids: who has one is there already.
        let again = create(&mut suite, mixed()).await;
        upload(&mut suite, &again, MIXED.as_bytes()).await;
        let done = to_end(&mut suite, &again, false).await;
        assert_eq!((done.created_rows, done.matched_rows), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn columns_are_never_guessed() {
    on_each_engine(|mut suite| async move {
        let file = b"Wer,Wo\nAda L,ada@example.com\n";
        let name = create(&mut suite, import(Format::Csv)).await;
        upload(&mut suite, &name, file).await;
        let answer = suite.transfers.run_import(run(&name, true)).await;
        let metadata = refused(answer, Code::InvalidArgument, Reason::ImportMappingRequired);
        assert_eq!(metadata["columns"], "Wer, Wo");
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        let headless = Import {
            mapping: pairs(&[("1", "display_name"), ("2", "email")]),
            no_header: true,
            ..import(Format::Csv)
        };
        let name = create(&mut suite, headless).await;
        upload(
            &mut suite,
            &name,
            b"Ada L,ada@example.com\nAl,al@example.com\n",
        )
        .await;
        let done = to_end(&mut suite, &name, false).await;
        assert_eq!((done.created_rows, done.failure.as_str()), (2, ""));
        let wrong = Import {
            mapping: pairs(&[("Wer", "no_such_target")]),
            ..import(Format::Csv)
        };
        let request = CreateImportRequest {
            parent: PARENT.into(),
            import: Some(wrong),
            ..CreateImportRequest::default()
        };
        let status = suite
            .transfers
            .create_import(request)
            .await
            .expect_err("refused");
        assert_eq!(fields(&status), ["import.mapping"]);
    })
    .await;
}

#[tokio::test]
async fn a_run_goes_on_after_a_crash_and_doubles_nothing() {
    on_each_engine(|mut suite| async move {
        let mut file = Vec::new();
        for number in 0..4_000 {
            file.extend_from_slice(
                format!("{{\"displayName\":\"Person {number}\",\"emails\":[{{\"address\":\"p{number}@example.com\"}}]}}\n")
                    .as_bytes(),
            );
        }
        let name = create(&mut suite, import(Format::Ndjson)).await;
        upload(&mut suite, &name, &file).await;
        suite.transfers.run_import(run(&name, false)).await.expect("it runs");
        let get = GetImportRequest { name: name.clone() };
        let begun = eventually("the first rows", || {
            let (mut transfers, get) = (suite.transfers.clone(), get.clone());
            async move {
                let import = transfers.get_import(get).await.expect("found").into_inner().import;
                import.filter(|import| import.done_rows > 0)
            }
        })
        .await;
        assert!(begun.done_rows < 4_000, "the run was too fast to be broken off");
        let mut suite = suite.restarted().await;
        // The lease of the process that is gone runs out by the clock.
        suite.clock.advance(Duration::from_mins(1));
        let done = ended(&mut suite, &name).await;
        assert_eq!((done.state(), done.created_rows), (State::Succeeded, 4_000));
        let found = contacts(&mut suite).await;
        let names: std::collections::BTreeSet<_> =
            found.iter().map(|contact| contact.display_name.clone()).collect();
        assert_eq!((found.len(), names.len()), (4_000, 4_000));
        let rows = rows(&mut suite, &name, false).await;
        let numbers: Vec<i64> = rows.iter().map(|row| row.row).collect();
        assert_eq!(numbers, (1..=4_000).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn a_run_is_cancelled_and_repeated_calls_change_nothing() {
    on_each_engine(|mut suite| async move {
        let mut file = Vec::new();
        for number in 0..20_000 {
            file.extend_from_slice(format!("{{\"displayName\":\"Person {number}\"}}\n").as_bytes());
        }
        let name = create(&mut suite, import(Format::Ndjson)).await;
        upload(&mut suite, &name, &file).await;
        let request = RunImportRequest {
            request_id: "0190163d-8694-739b-aea5-966c26f8ad94".into(),
            ..run(&name, false)
        };
        suite
            .transfers
            .run_import(request.clone())
            .await
            .expect("it runs");
        let again = suite.transfers.run_import(request).await.expect("replayed");
        assert!(is_replayed(&again));
        let cancel = CancelImportRequest { name: name.clone() };
        for _ in 0..2 {
            let answer = suite
                .transfers
                .cancel_import(cancel.clone())
                .await
                .expect("cancelled");
            assert_eq!(
                answer.into_inner().import.expect("an import").state(),
                State::Cancelled
            );
        }
        let done = ended(&mut suite, &name).await;
        assert_eq!(done.state(), State::Cancelled);
        assert_eq!(
            i64::try_from(contacts(&mut suite).await.len()),
            Ok(done.created_rows)
        );
    })
    .await;
}

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
                let dry = rows(&mut suite, &name, false).await;
                let done = to_end(&mut suite, &name, false).await;
                let real = rows(&mut suite, &name, false).await;
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
