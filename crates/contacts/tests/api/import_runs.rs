//! Runs of imports: interrupted, cancelled, repeated.

use std::time::Duration;

use proto::contacts::v1::import::{Format, State};
use proto::contacts::v1::{CancelImportRequest, GetImportRequest, RunImportRequest};

use crate::support::{eventually, is_replayed, on_each_engine};
use crate::transfer_support::{contacts, create, ended, import, rows, run, upload};

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
        let rows = rows(&mut suite, &name, "").await;
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
