//! What tests of imports and exports ask for.

use proto::contacts::v1::import::{Format, State};
use proto::contacts::v1::import_row::Outcome;
use proto::contacts::v1::{
    Contact, CreateImportRequest, ExportContactsRequest, Import, ImportRow, ListContactsRequest,
    ListImportRowsRequest, RunImportRequest, UploadImportChunkRequest, WatchImportRequest,
};

use crate::support::{PARENT, Suite};

pub fn import(format: Format) -> Import {
    Import {
        format: format as i32,
        ..Import::default()
    }
}

pub async fn create(suite: &mut Suite, import: Import) -> String {
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

pub async fn upload(suite: &mut Suite, name: &str, file: &[u8]) {
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

pub fn chunk(name: &str, offset: i64, data: &[u8]) -> UploadImportChunkRequest {
    UploadImportChunkRequest {
        name: name.into(),
        offset,
        data: data.to_vec(),
    }
}

pub fn run(name: &str, dry_run: bool) -> RunImportRequest {
    RunImportRequest {
        name: name.into(),
        dry_run: Some(dry_run),
        ..RunImportRequest::default()
    }
}

/// Runs an import to its end.
pub async fn to_end(suite: &mut Suite, name: &str, dry_run: bool) -> Import {
    suite
        .transfers
        .run_import(run(name, dry_run))
        .await
        .expect("it runs");
    ended(suite, name).await
}

pub async fn ended(suite: &mut Suite, name: &str) -> Import {
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

pub async fn rows(suite: &mut Suite, name: &str, filter: &str) -> Vec<ImportRow> {
    let mut request = ListImportRowsRequest {
        name: name.into(),
        filter: filter.into(),
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

pub async fn contacts(suite: &mut Suite) -> Vec<Contact> {
    contacts_of(suite, PARENT).await
}

pub async fn contacts_of(suite: &mut Suite, parent: &str) -> Vec<Contact> {
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

pub async fn export(suite: &mut Suite, format: Format) -> Vec<u8> {
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
pub fn outcomes(rows: &[ImportRow]) -> Vec<(i64, Outcome, Vec<String>, String)> {
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
