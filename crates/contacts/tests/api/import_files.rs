//! Files of imports that are cut, large or made to do harm.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use proto::contacts::v1::import::{Format, State};
use proto::contacts::v1::{CancelImportRequest, Import};
use store::Error as StoreError;
use types::Deadline;

use crate::support::{Suite, eventually, on_each_engine};
use crate::transfer_support::{chunk, contacts, create, import, rows, to_end, upload};

#[tokio::test]
async fn a_file_is_read_the_same_wherever_its_pieces_are_cut() {
    on_each_engine(|mut suite| async move {
        let file = "Vorname,Straße,E-Mail\nJürgen,Allee 1,j@example.com\nZoë,Weg 2,z@example.com\n";
        // The first piece ends in the header row, and within the ß.
        for length in [3, 13] {
            let name = create(&mut suite, import(Format::Csv)).await;
            let mut offset = 0;
            for piece in file.as_bytes().chunks(length) {
                let request = chunk(&name, offset, piece);
                let sent = suite.transfers.upload_import_chunk(request).await;
                offset = sent
                    .expect("uploaded")
                    .into_inner()
                    .import
                    .expect("it")
                    .uploaded_bytes;
            }
            let done = to_end(&mut suite, &name, true).await;
            assert_eq!((done.state(), done.created_rows), (State::Checked, 2));
            assert_eq!(done.applied_mapping["Straße"], "address.line1");
            let mapped = Import {
                mapping: [("Straße".to_owned(), "note".to_owned())].into(),
                ..import(Format::Csv)
            };
            let name = create(&mut suite, mapped).await;
            let (head, rest) = file.as_bytes().split_at(13);
            for (offset, piece) in [(0, head), (13, rest)] {
                let request = chunk(&name, offset, piece);
                suite
                    .transfers
                    .upload_import_chunk(request)
                    .await
                    .expect("uploaded");
            }
            let done = to_end(&mut suite, &name, true).await;
            assert_eq!(done.applied_mapping["Straße"], "note");
            let real = to_end(&mut suite, &name, false).await;
            assert_eq!((real.state(), real.refused_rows), (State::Succeeded, 0));
        }
        let notes: Vec<String> = contacts(&mut suite)
            .await
            .into_iter()
            .map(|c| c.note)
            .collect();
        assert_eq!(notes, ["Allee 1", "Weg 2", "Allee 1", "Weg 2"]);
    })
    .await;
}

#[tokio::test]
async fn a_row_is_reported_within_limits_whatever_it_holds() {
    on_each_engine(|mut suite| async move {
        let repeated = |item: &str, count: usize| vec![item; count].join(",");
        let phones = repeated("{\"number\":\"none\"}", 5_000);
        let emails = repeated("{\"address\":\"none\"}", 50);
        let field = "x".repeat(10_000);
        let file = format!(
            "{{\"displayName\":\"Ada\",\"phones\":[{phones}]}}\n\
             {{\"displayName\":\"Al\",\"emails\":[{emails}]}}\n{{\"{field}\":1}}\n"
        );
        let name = create(&mut suite, import(Format::Ndjson)).await;
        upload(&mut suite, &name, file.as_bytes()).await;
        let done = to_end(&mut suite, &name, false).await;
        assert_eq!((done.created_rows, done.refused_rows), (1, 2));
        let found = rows(&mut suite, &name, "").await;
        let last = |row: usize| found[row].problems.last().map(String::as_str);
        assert_eq!(
            (found[0].problems.len(), last(0)),
            (21, Some("and 4980 more"))
        );
        assert_eq!(
            (found[1].problems.len(), last(1)),
            (21, Some("and 30 more"))
        );
        let shortened = last(2).expect("a problem");
        assert!(
            shortened.len() <= 303 && shortened.ends_with("..."),
            "{shortened}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_run_whose_file_is_gone_fails_and_says_so() {
    on_each_engine(|mut suite| async move {
        let name = create(&mut suite, import(Format::Ndjson)).await;
        upload(&mut suite, &name, b"{\"displayName\":\"Ada\"}\n").await;
        let deadline = Deadline::after(Duration::from_secs(5));
        let removed = suite
            .service
            .store()
            .across()
            .write("test.remove", deadline, |conn| {
                diesel::sql_query("DELETE FROM import_chunks").execute(conn)?;
                Ok::<_, StoreError>(())
            });
        removed.await.expect("removed");
        let done = to_end(&mut suite, &name, false).await;
        assert_eq!(done.state(), State::Failed);
        assert_eq!(
            done.failure,
            "the file is gone: upload it with another import"
        );
    })
    .await;
}

#[tokio::test]
async fn nothing_is_read_after_a_row_that_does_not_end_and_the_run_says_so() {
    on_each_engine(|mut suite| async move {
        let endless = "x".repeat(1_100_000);
        let file = format!("Email\na@example.com\n\"{endless}\nb@example.com\n");
        for dry_run in [true, false] {
            let name = create(&mut suite, import(Format::Csv)).await;
            upload(&mut suite, &name, file.as_bytes()).await;
            let done = to_end(&mut suite, &name, dry_run).await;
            assert_eq!(done.state(), State::Failed);
            assert_eq!(
                done.failure,
                "row 2 is too long: is a quotation mark left open? Nothing after it was read"
            );
            assert_eq!((done.created_rows, done.refused_rows), (1, 1));
        }
    })
    .await;
}

#[tokio::test]
async fn the_file_of_a_cancelled_import_is_removed_and_a_waiting_one_kept() {
    on_each_engine(|mut suite| async move {
        let waiting = create(&mut suite, import(Format::Ndjson)).await;
        let cancelled = create(&mut suite, import(Format::Ndjson)).await;
        for name in [&waiting, &cancelled] {
            upload(&mut suite, name, b"{\"displayName\":\"Ada\"}\n").await;
        }
        let request = CancelImportRequest { name: cancelled };
        suite
            .transfers
            .cancel_import(request)
            .await
            .expect("cancelled");
        // The leases of the process that is gone run out by the clock, and a new one looks at once
        // at what is over.
        suite.clock.advance(Duration::from_mins(1));
        let mut suite = suite.restarted().await;
        eventually("the removal of the file", || async {
            (pieces(&suite).await == 1).then_some(())
        })
        .await;
        let done = to_end(&mut suite, &waiting, false).await;
        assert_eq!((done.state(), done.created_rows), (State::Succeeded, 1));
    })
    .await;
}

/// How many pieces of files are stored.
async fn pieces(suite: &Suite) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let deadline = Deadline::after(Duration::from_secs(5));
    let found = suite
        .service
        .store()
        .across()
        .read("test.count", deadline, |conn| {
            let query = diesel::sql_query("SELECT count(*) AS count FROM import_chunks");
            let found: Count = query.get_result(conn)?;
            Ok::<_, StoreError>(found.count)
        });
    found.await.expect("a count")
}
