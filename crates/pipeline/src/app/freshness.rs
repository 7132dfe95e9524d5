//! "At least as fresh as": what a consistency token asks of a read.

use std::str::FromStr;

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
        let beginning = LogPosition {
            epoch: self.store.epoch(),
            ..LogPosition::START
        };
        conversions::token(newest.map_or(beginning, |newest| newest.max(beginning)))
    }

    /// Whether one of the tokens is the directory's, so that a read of single contacts must ask
    /// there. Our own reads are as fresh as any token of ours. Refused: tokens of another service, or
    /// of another life of this database.
    pub fn needs_directory(&self, tokens: &[String]) -> Result<bool, Error> {
        Ok(self.directory_token(tokens)?.is_some())
    }

    fn directory_token(&self, tokens: &[String]) -> Result<Option<Token>, Error> {
        let mut directory = None;
        for text in tokens {
            let token = Token::from_str(text)
                .ok()
                .filter(|token| token.kind == TokenKind::Consistency)
                .ok_or(Error::TokenForeign { service: "" })?;
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
        let found = serve::wait_until(deadline, WAIT_MAX, None, || async {
            Ok::<_, Error>(
                self.followed(workspace, token, deadline)
                    .await?
                    .then_some(()),
            )
        })
        .await?;
        found.ok_or(Error::ConsistencyNotReached {
            service: "contacts",
        })
    }

    async fn followed(
        &self,
        workspace: &str,
        token: Token,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let workspace = workspace.to_owned();
        let (cursor, waiting) = self
            .store
            .read("follower.state", deadline, move |conn| {
                let cursor = store::cursors::read(conn, CURSOR)?;
                let waiting = tables::evaluations::evaluations_waiting(conn, &workspace)?;
                Ok::<_, store::Error>((cursor, waiting))
            })
            .await?;
        let reached = cursor
            .and_then(|cursor| Token::from_str(&cursor).ok())
            .is_some_and(|at| at.epoch == token.epoch && (at.tx, at.id) >= (token.tx, token.id));
        Ok(reached && !waiting)
    }
}
