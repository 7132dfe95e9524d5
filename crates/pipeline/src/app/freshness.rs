//! "At least as fresh as": what a consistency token asks of a read.

use std::str::FromStr;
use std::sync::OnceLock;

use serve::freshness::WAIT_MAX;
use store::change_log::LogPosition;
use types::{Deadline, Service, Token, TokenKind};

use super::follower::CURSOR;
use super::{App, conversions};
use crate::error::Error;
use crate::store as tables;

impl App {
    /// The token of a read after which the log had this as its newest row. What the epoch has not
    /// logged yet cannot be waited for.
    pub fn token_of_read(&self, newest: Option<LogPosition>) -> String {
        conversions::token(self.store.place(newest))
    }

    /// Whether one of the tokens is the directory's, so that a read of single contacts must ask
    /// there. Our own reads are as fresh as any token of ours. Refused: tokens of another service, or
    /// of another life of this database.
    pub fn needs_directory(&self, tokens: &[String]) -> Result<bool, Error> {
        Ok(self.directory_token(tokens)?.is_some())
    }

    fn directory_token(&self, tokens: &[String]) -> Result<Option<Token>, Error> {
        let mut directory = None;
        let mut services = Vec::with_capacity(tokens.len());
        for (index, text) in tokens.iter().enumerate() {
            let token = Token::from_str(text)
                .ok()
                .filter(|token| token.kind == TokenKind::Consistency)
                .ok_or(Error::TokenForeign { service: "" })?;
            if services.contains(&token.service) {
                let problem = "must be the only token of its service";
                return Err(Error::field(
                    format!("at_least_as_fresh_as[{index}]"),
                    problem,
                ));
            }
            services.push(token.service);
            match token.service {
                Service::Pipeline if token.epoch == self.store.epoch() => {}
                Service::Pipeline => {
                    return Err(Error::TokenForeign {
                        service: "pipeline",
                    });
                }
                Service::Billing => return Err(Error::TokenForeign { service: "billing" }),
                Service::Contacts => directory = Some(token),
            }
        }
        Ok(directory)
    }

    /// Waits until the change log of the directory has been followed as far as a token says: for
    /// lists, which cannot ask for each contact.
    pub async fn wait_until_followed(
        &self,
        workspace: &str,
        tokens: &[String],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let Some(token) = self.directory_token(tokens)? else {
            return Ok(());
        };
        // What was to be looked at when the cursor had come there. What comes later need not be
        // waited for, or lists would starve while others write.
        let through = OnceLock::new();
        let found = serve::wait_until(deadline, WAIT_MAX, None, || async {
            let at = match through.get() {
                Some(at) => *at,
                None => match self.followed(workspace, token, deadline).await? {
                    Some(at) => *through.get_or_init(|| at),
                    None => return Ok(None),
                },
            };
            let of = workspace.to_owned();
            let waiting =
                self.store
                    .within(workspace)
                    .read("follower.state", deadline, move |conn| {
                        tables::evaluations::evaluations_waiting(conn, &of, at)
                    });
            Ok::<_, Error>((!waiting.await?).then_some(()))
        })
        .await?;
        found.ok_or(Error::ConsistencyNotReached {
            service: "contacts",
        })
    }

    /// The newest that is to be looked at, once the cursor has come as far as a token; `None` before.
    async fn followed(
        &self,
        workspace: &str,
        token: Token,
        deadline: Deadline,
    ) -> Result<Option<i64>, Error> {
        let workspace = workspace.to_owned();
        let (cursor, newest) = self
            .store
            .within(&workspace)
            .read_snapshot("follower.state", deadline, move |conn| {
                let cursor = store::cursors::read(conn, CURSOR)?;
                let newest = tables::evaluations::evaluations_newest(conn, &workspace)?;
                Ok::<_, store::Error>((cursor, newest))
            })
            .await?;
        let cursor = cursor.and_then(|cursor| Token::from_str(&cursor).ok());
        match cursor {
            // The directory's history was replaced by a restored one.
            Some(at) if at.epoch > token.epoch => Err(Error::TokenForeign {
                service: "contacts",
            }),
            Some(at) if at.epoch == token.epoch && (at.tx, at.id) >= (token.tx, token.id) => {
                Ok(Some(newest))
            }
            Some(_) | None => Ok(None),
        }
    }
}
