//! Imports: their files, dry runs and mappings.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::contacts::v1::import::{Format, State};
use proto::contacts::v1::import_row::Outcome;
use proto::contacts::v1::source::Channel;
use proto::contacts::v1::{
    CancelImportRequest, CreateImportRequest, Import, ImportRow, ListImportRowsRequest,
    ListImportsRequest, Source,
};
use proto::errors::v1::Reason;
use tonic::Code;

use crate::support::{PARENT, fields, on_each_engine, refused};
use crate::transfer_support::{
    chunk, contacts, create, import, outcomes, rows, run, to_end, upload,
};

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
        let dry = rows(&mut suite, &name, "").await;
        assert!(dry.iter().all(|row| row.contact.is_empty()));
        assert!(contacts(&mut suite).await.is_empty());
        let done = to_end(&mut suite, &name, false).await;
        assert_eq!(done.state(), State::Succeeded);
        let real = rows(&mut suite, &name, "").await;
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
        let refused_rows = rows(&mut suite, &name, "outcome = REFUSED").await;
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
async fn imports_and_their_rows_are_filtered_sorted_and_paged() {
    on_each_engine(|mut suite| async move {
        let mut names = Vec::new();
        for format in [Format::Csv, Format::Vcard, Format::Ndjson, Format::Ndjson] {
            names.push(create(&mut suite, import(format)).await);
            suite.clock.advance(Duration::from_mins(1));
        }
        let cancel = CancelImportRequest {
            name: names[1].clone(),
        };
        suite.transfers.cancel_import(cancel).await.expect("ended");
        let newest = "create_time > \"2023-11-14T22:14:30Z\"";
        for (filter, order_by, expected) in [
            ("", "", vec![3, 2, 1, 0]),
            ("", "create_time", vec![0, 1, 2, 3]),
            ("format = NDJSON", "create_time desc", vec![3, 2]),
            (
                "state = CANCELLED OR format = CSV",
                "create_time",
                vec![0, 1],
            ),
            ("NOT state = CANCELLED", "", vec![3, 2, 0]),
            ("dry_run = true", "", vec![]),
            (newest, "create_time", vec![2, 3]),
        ] {
            for page_size in [0, 1, 3] {
                let mut request = ListImportsRequest {
                    parent: PARENT.into(),
                    filter: filter.into(),
                    order_by: order_by.into(),
                    page_size,
                    ..ListImportsRequest::default()
                };
                let mut found = Vec::new();
                loop {
                    let page = suite.transfers.list_imports(request.clone()).await;
                    let page = page.expect("a page").into_inner();
                    let places = page.imports.iter().map(|import| {
                        names
                            .iter()
                            .position(|name| *name == import.name)
                            .expect("one of ours")
                    });
                    found.extend(places);
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = page.next_page_token;
                }
                assert_eq!(found, expected, "{filter} by {order_by} in {page_size}");
            }
        }

        let file = b"{\"displayName\":\"Ada\"}\nnonsense\n{\"displayName\":\"Bob\"}\n";
        upload(&mut suite, &names[2], file).await;
        to_end(&mut suite, &names[2], false).await;
        for (filter, expected) in [
            ("", vec![1, 2, 3]),
            ("outcome = REFUSED", vec![2]),
            ("outcome = CREATED AND row > 1", vec![3]),
            ("NOT outcome = CREATED", vec![2]),
        ] {
            let found = rows(&mut suite, &names[2], filter).await;
            let found: Vec<i64> = found.iter().map(|row| row.row).collect();
            assert_eq!(found, expected, "{filter}");
        }
        let request = ListImportRowsRequest {
            name: names[2].clone(),
            filter: "problem = x".into(),
            ..ListImportRowsRequest::default()
        };
        let answer = suite.transfers.list_import_rows(request).await;
        refused(answer, Code::InvalidArgument, Reason::FilterInvalid);
    })
    .await;
}
