//! Reading several contacts at once.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::contacts::v1;
use types::{ContactName, Deadline};

use super::super::{App, Freshness};
use crate::error::Error;
use crate::store::contacts as rows;
use crate::wire::contacts::message;

/// The largest answer that clients read, as long as they were not told to read larger ones.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many contacts are read by one statement: what was read is measured in between, so that an
/// answer which is too large is noticed before it is in memory as a whole.
const SLICE: usize = 50;

impl App {
    /// Reads several contacts of one workspace, in the order asked for; all or none.
    pub async fn get_contacts(
        &self,
        names: Vec<ContactName>,
        freshness: &Freshness,
        deadline: Deadline,
    ) -> Result<v1::BatchGetContactsResponse, Error> {
        self.await_freshness(freshness, deadline).await?;
        let Some(workspace) = names.first().map(|name| name.workspace.clone()) else {
            return Ok(v1::BatchGetContactsResponse::default());
        };
        let mut ids: Vec<String> = names.iter().map(|name| name.contact.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let found =
            self.store
                .within(&workspace)
                .read("contacts.batch_get", deadline, move |conn| {
                    let (mut found, mut bytes) = (BTreeMap::new(), 0);
                    for slice in ids.chunks(SLICE) {
                        for contact in rows::contacts_get(conn, &workspace, slice)? {
                            let shown = message(&contact);
                            bytes += shown.encoded_len();
                            found.insert(contact.name.contact, shown);
                        }
                        if bytes > ANSWER_BYTES_MAX {
                            return Err(too_large());
                        }
                    }
                    Ok(found)
                });
        let found: BTreeMap<String, v1::Contact> = found.await?;
        let mut answer = v1::BatchGetContactsResponse::default();
        let mut bytes = 0;
        for name in &names {
            let contact = found.get(&name.contact);
            let contact = contact.ok_or_else(|| Error::not_found(name))?;
            // A contact may be asked for more than once.
            bytes += contact.encoded_len();
            if bytes > ANSWER_BYTES_MAX {
                return Err(too_large());
            }
            answer.contacts.push(contact.clone());
        }
        if answer.encoded_len() > ANSWER_BYTES_MAX {
            return Err(too_large());
        }
        Ok(answer)
    }
}

fn too_large() -> Error {
    Error::AnswerTooLarge {
        limit_bytes: ANSWER_BYTES_MAX,
    }
}
