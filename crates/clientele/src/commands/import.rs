//! `import`: sends a file in chunks, runs the import, shows its progress and what became of each
//! row.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use proto::contacts::v1::import::{Format, State};
use proto::contacts::v1::import_row::Outcome;
use proto::contacts::v1::transfer_service_client::TransferServiceClient;
use proto::contacts::v1::{
    CreateImportRequest, Import as ImportResource, ImportRow, ListImportRowsRequest,
    RunImportRequest, UploadImportChunkRequest, WatchImportRequest,
};

use tonic::{Code, Status};

use super::connect::{Suite, refused, suite};
use crate::cli::{FileFormat, Import};
use crate::exit::WrongSetting;

type Client = TransferServiceClient<Suite>;

/// Pieces of this size go over the wire; the server takes up to 1 MiB.
const CHUNK_BYTES: usize = 256 * 1024;

/// How often the import is asked after again while the server is not there and nothing goes on.
const TRIES_MAX: u32 = 30;

/// The pause before it is asked after again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the command.
pub async fn run(args: Import) -> Result<()> {
    let import = ImportResource {
        format: format_of(&args)?.into(),
        mapping: mapping_of(&args.mapping)?,
        dry_run: args.dry_run,
        no_header: args.no_header,
        requested_stage: args.stage.clone(),
        default_region: args.region.clone(),
        ..ImportResource::default()
    };
    let target = &args.target;
    let mut client =
        TransferServiceClient::new(suite(&target.address, &target.bearer, &target.trust).await?);
    let parent = format!("workspaces/{}", args.target.workspace);
    let request = CreateImportRequest {
        parent,
        import: Some(import),
        ..CreateImportRequest::default()
    };
    let created = client
        .create_import(request)
        .await
        .map_err(|status| refused(&status))?;
    let name = created.into_inner().import.unwrap_or_default().name;
    upload(&mut client, &name, &args.file).await?;
    let run = RunImportRequest {
        name: name.clone(),
        ..RunImportRequest::default()
    };
    client
        .run_import(run)
        .await
        .map_err(|status| refused(&status))?;
    let ended = follow(&mut client, &name).await?;
    print_rows(&mut client, &name).await?;
    print_summary(&ended)
}

/// The kind of file, by the flag or the name's ending.
fn format_of(args: &Import) -> Result<Format> {
    let by_ending = || match args
        .file
        .extension()?
        .to_str()?
        .to_ascii_lowercase()
        .as_str()
    {
        "csv" | "tsv" | "txt" => Some(FileFormat::Csv),
        "vcf" | "vcard" => Some(FileFormat::Vcard),
        "ndjson" | "jsonl" => Some(FileFormat::Ndjson),
        _ => None,
    };
    match args.format.or_else(by_ending) {
        Some(FileFormat::Csv) => Ok(Format::Csv),
        Some(FileFormat::Vcard) => Ok(Format::Vcard),
        Some(FileFormat::Ndjson) => Ok(Format::Ndjson),
        None => {
            let problem = "say csv, vcard or ndjson: the file's name does not tell";
            Err(WrongSetting::new("--format", &problem).into())
        }
    }
}

fn mapping_of(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let split = |pair: &String| {
        let (column, field) = pair
            .rsplit_once('=')
            .ok_or_else(|| WrongSetting::new("--map", &format!("{pair:?} is not COLUMN=FIELD")))?;
        Ok((column.to_owned(), field.to_owned()))
    };
    pairs.iter().map(split).collect()
}

async fn upload(client: &mut Client, name: &str, path: &Path) -> Result<()> {
    let mut file = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
    let bar = ProgressBar::new(file.metadata()?.len()).with_style(ProgressStyle::with_template(
        "sending   {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    )?);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut offset: usize = 0;
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        let request = UploadImportChunkRequest {
            name: name.to_owned(),
            offset: i64::try_from(offset)?,
            data: chunk[..length].to_vec(),
        };
        client
            .upload_import_chunk(request)
            .await
            .map_err(|status| refused(&status))?;
        offset += length;
        bar.set_position(offset as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Follows the run to its end.
async fn follow(client: &mut Client, name: &str) -> Result<ImportResource> {
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(
        "importing {wide_bar} {pos} rows, {per_sec}, {eta} left",
    )?);
    let mut last = ImportResource::default();
    let mut tries = TRIES_MAX;
    loop {
        let done = last.done_rows;
        match watch(client, name, &bar, &mut last).await {
            Ok(()) => break,
            // The server ends streams from time to time, and the run goes on meanwhile.
            Err(status) if status.code() == Code::Unavailable && tries > 0 => {
                let went_on = last.done_rows > done;
                tries = if went_on { TRIES_MAX } else { tries - 1 };
                tokio::time::sleep(PAUSE).await;
            }
            Err(status) => {
                let told = "the import goes on, see GetImport and ListImportRows";
                return Err(refused(&status).context(format!("{name}: {told}")));
            }
        }
    }
    bar.finish_and_clear();
    Ok(last)
}

/// Shows what one stream tells.
async fn watch(
    client: &mut Client,
    name: &str,
    bar: &ProgressBar,
    last: &mut ImportResource,
) -> Result<(), Status> {
    let request = WatchImportRequest {
        name: name.to_owned(),
    };
    let mut stream = client.watch_import(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        *last = message.import.unwrap_or_default();
        if last.total_rows > 0 {
            bar.set_length(last.total_rows.unsigned_abs());
        }
        bar.set_position(last.done_rows.unsigned_abs());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command's output")]
async fn print_rows(client: &mut Client, name: &str) -> Result<()> {
    let mut page_token = String::new();
    loop {
        let request = ListImportRowsRequest {
            name: name.to_owned(),
            page_size: 500,
            page_token,
            filter: String::new(),
        };
        let page = client
            .list_import_rows(request)
            .await
            .map_err(|status| refused(&status))?;
        let page = page.into_inner();
        for row in &page.rows {
            println!("{}", row_line(row));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

fn row_line(row: &ImportRow) -> String {
    let outcome = match row.outcome() {
        Outcome::Created => "created",
        Outcome::Matched => "matched",
        Outcome::Refused => "refused",
        Outcome::Unspecified => "unknown",
    };
    let line = format!("{:>7}  {outcome}  {}", row.row, row.display_name);
    if row.problems.is_empty() {
        line
    } else {
        format!("{line}  ({})", row.problems.join("; "))
    }
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn print_summary(import: &ImportResource) -> Result<()> {
    if !import.program.is_empty() {
        println!("recognised: {}", import.program);
    }
    if !import.unused_columns.is_empty() {
        println!("columns not used: {}", import.unused_columns.join(", "));
    }
    let verb = if import.state() == State::Checked {
        "would be created"
    } else {
        "created"
    };
    println!(
        "{} rows: {} {verb}, {} matched, {} refused",
        import.done_rows, import.created_rows, import.matched_rows, import.refused_rows
    );
    match import.state() {
        State::Succeeded | State::Checked => Ok(()),
        State::Cancelled => bail!("the import was cancelled"),
        _ => bail!("the import failed: {}", import.failure),
    }
}
