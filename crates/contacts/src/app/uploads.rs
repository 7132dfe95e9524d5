//! Uploading the file of an import: pieces that may be repeated and resumed.

use store::Conn;
use types::ImportName;

use super::imports::{ImportWritten, require, state_error};
use super::{App, Call};
use crate::domain::imports::{FILE_BYTES_MAX, Import};
use crate::error::Error;
use crate::store::{import_files as files, imports as rows};

/// A piece of an import's file.
#[derive(Clone, Debug)]
pub struct ChunkInput {
    /// The import.
    pub name: ImportName,
    /// Where in the file it begins.
    pub offset: i64,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl App {
    /// Adds a piece of the file. Bytes that are there already are compared.
    pub async fn upload_import_chunk(
        &self,
        call: Call,
        input: ChunkInput,
    ) -> Result<ImportWritten, Error> {
        let within = input.name.workspace.clone();
        self.write_import("imports.upload", &within, call, move |conn, _| {
            let mut import = require(conn, &input.name)?;
            if !import.may_upload() {
                let problem = "its file is complete; create another import for another file";
                return Err(state_error(&import, problem).into());
            }
            let fresh = fresh_bytes(conn, &import, &input)?;
            if !fresh.is_empty() {
                files::chunk_insert(conn, &input.name, import.uploaded_bytes, fresh)?;
                import.uploaded_bytes += i64::try_from(fresh.len()).unwrap_or(i64::MAX);
                import.revision += 1;
                rows::import_update(conn, &import)?;
            }
            Ok((import, None))
        })
        .await
    }
}

/// The bytes of a piece that are not there yet; the others must be as they were sent before.
fn fresh_bytes<'a>(
    conn: &mut Conn,
    import: &Import,
    input: &'a ChunkInput,
) -> Result<&'a [u8], Error> {
    let uploaded = import.uploaded_bytes;
    let length = i64::try_from(input.data.len()).unwrap_or(i64::MAX);
    if input.offset > uploaded {
        let problem = format!("must be at most {uploaded}, where the file ends so far");
        return Err(Error::field("offset", "upload.gap", problem));
    }
    if input.offset.saturating_add(length) > FILE_BYTES_MAX {
        let problem = format!("must not make the file larger than {FILE_BYTES_MAX} bytes");
        return Err(Error::field("data", "upload.size", problem));
    }
    let known = (uploaded - input.offset).min(length);
    let mut at = input.offset;
    while at < input.offset + known {
        let Some((begin, data)) = files::chunk_at(conn, &input.name, at)? else {
            break;
        };
        let stored = data.get(index(at - begin)..).unwrap_or_default();
        let sent = &input.data[index(at - input.offset)..index(known)];
        let common = stored.len().min(sent.len());
        if common == 0 || stored[..common] != sent[..common] {
            let problem = "must repeat the bytes that were sent before for this part of the file";
            return Err(Error::field("data", "upload.same", problem));
        }
        at += i64::try_from(common).unwrap_or(i64::MAX);
    }
    Ok(&input.data[index(known)..])
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
