//! Saying that a workspace is about to be held against decisions, and waiting until that is over.
//!
//! Only for fairness: decisions hold the workspace in shares, and on PostgreSQL whoever waits to hold
//! it alone is passed by every share that comes later.

use std::time::Duration;

use types::{Deadline, Micros};

use super::App;
use crate::error::Error;
use crate::store as tables;

/// How long an announcement stands that nobody withdraws: longer than whoever made it tries, and no
/// longer than decisions can wait where that one died.
const STANDS: Duration = Duration::from_secs(5);
/// How soon whoever waits looks again at first, and at last: the pause doubles.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(40);
/// How long withdrawing may take.
const WITHDRAW_TIME: Duration = Duration::from_secs(5);

impl App {
    /// Keeps decisions in a workspace from beginning, until [`Self::withdraw`] or for some seconds.
    pub(super) async fn announce(&self, workspace: &str, deadline: Deadline) -> Result<(), Error> {
        let micros = i64::try_from(STANDS.as_micros()).unwrap_or(i64::MAX);
        let until = Micros(self.clock.now().0.saturating_add(micros));
        let workspace = workspace.to_owned();
        self.store
            .within(&workspace)
            .write("workspace.announce", deadline, move |conn| {
                tables::workspaces::intent_announce(conn, &workspace, until)
            })
            .await
            .map_err(|error: store::Error| error.into())
    }

    /// Lets decisions begin again after a transaction that was announced has failed.
    pub(super) async fn withdraw(&self, workspace: &str) {
        let (id, deadline) = (workspace.to_owned(), Deadline::after(WITHDRAW_TIME));
        let withdrawn: Result<(), store::Error> = self
            .store
            .within(workspace)
            .write("workspace.withdraw", deadline, move |conn| {
                tables::workspaces::intent_withdraw(conn, &id)
            })
            .await;
        if let Err(error) = withdrawn {
            tracing::warn!(%error, workspace, "decisions wait until an announcement has run out");
        }
    }

    /// Waits until nobody is about to hold the workspace against decisions. Meanwhile the call leaves its
    /// place to others.
    pub(super) async fn calm(&self, workspace: &str, deadline: Deadline) -> Result<(), Error> {
        let mut pause = PAUSE;
        loop {
            let (id, now) = (workspace.to_owned(), self.clock.now());
            let stands = self
                .store
                .within(workspace)
                .read_point("workspace.intent", deadline, move |conn| {
                    tables::workspaces::intent_stands(conn, &id, now)
                })
                .await?;
            if !stands || deadline.expired() {
                return Ok(());
            }
            serve::aside(tokio::time::sleep(pause)).await;
            pause = PAUSE_MAX.min(pause * 2);
        }
    }
}
