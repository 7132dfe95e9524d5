//! Reads that must be at least as fresh as a token says.
//!
//! The service reads its primary, so a token of its own never has to be waited for. What the
//! pipeline service has told is waited for, with no connection held.

use serve::freshness::{WAIT_MAX, wait_until};
use types::{Deadline, Service, Token, TokenKind};

use super::App;
use super::log::place;
use crate::domain::Faults;
use crate::error::Error;
use crate::store::positions;

/// The name under which the pipeline's progress is kept.
pub(super) const PIPELINE: &str = "pipeline";

const NO_TOKEN: &str = "must be a consistency token that this suite gave out";

/// How fresh a read must be: tokens that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness(Vec<Token>);

impl Freshness {
    /// Reads the tokens of a request's `at_least_as_fresh_as`.
    pub fn read(texts: &[String]) -> Result<Self, Error> {
        let mut tokens: Vec<Token> = Vec::new();
        let mut faults = Faults::default();
        for (index, text) in texts.iter().enumerate() {
            let path = || format!("at_least_as_fresh_as[{index}]");
            match text.parse::<Token>() {
                Ok(token) if token.kind != TokenKind::Consistency => {
                    faults.push(path(), "token.consistency", NO_TOKEN);
                }
                Err(_) => faults.push(path(), "token.consistency", NO_TOKEN),
                Ok(token) if token.service == Service::Billing => {
                    return Err(Error::TokenForeign { service: "billing" });
                }
                Ok(token) if tokens.iter().any(|other| other.service == token.service) => {
                    let problem = "must be the only token of its service";
                    faults.push(path(), "token.unique", problem);
                }
                Ok(token) => tokens.push(token),
            }
        }
        faults.or(Self(tokens)).map_err(Error::Fields)
    }
}

impl App {
    /// Waits until a read is as fresh as it must be, at most until shortly before the deadline and
    /// at most two seconds.
    pub async fn await_freshness(
        &self,
        freshness: &Freshness,
        deadline: Deadline,
    ) -> Result<(), Error> {
        for token in &freshness.0 {
            match token.service {
                Service::Contacts if token.epoch != self.store.epoch() => {
                    return Err(Error::TokenForeign {
                        service: "contacts",
                    });
                }
                Service::Contacts => {}
                Service::Pipeline => self.await_pipeline(token, deadline).await?,
                Service::Billing => return Err(Error::TokenForeign { service: "billing" }),
            }
        }
        Ok(())
    }

    async fn await_pipeline(&self, token: &Token, deadline: Deadline) -> Result<(), Error> {
        let wanted = place(token);
        let reached = wait_until(deadline, WAIT_MAX, Some(&*self.told), || async {
            let told = self
                .store
                .across()
                .read_point("projection.get", deadline, |conn| {
                    positions::projection_get(conn, PIPELINE)
                });
            match told.await? {
                // The pipeline's history was replaced by a restored one.
                Some(told) if told.epoch > wanted.epoch => {
                    Err(Error::TokenForeign { service: PIPELINE })
                }
                Some(told) if told >= wanted => Ok(Some(())),
                Some(_) | None => Ok(None),
            }
        });
        reached.await?.ok_or(Error::NotFresh { service: PIPELINE })
    }
}
