//! Databases that hold grants: their attaching, and what an operator does about one that is gone.
//!
//! Invariant: a holder counts as attached only in the epoch of ours for which it has said itself that
//! it has revoked whatever it held of earlier ones.

use store::{Conn, Store, epoch};
use types::{Deadline, Micros};

use super::App;
use crate::domain::holders::{Attachment, Holder};
use crate::error::Error;
use crate::store as tables;

impl App {
    /// Notes that a holder is there, where `confirmed` is the present epoch of this database; answers
    /// that epoch in any case. What waited only for this holder goes on afterwards.
    pub async fn attach_holder(
        &self,
        holder: String,
        holder_epoch: i64,
        confirmed: i64,
        deadline: Deadline,
    ) -> Result<i64, Error> {
        let clock = self.clock.clone();
        let ours = self
            .store
            .across()
            .write("holder.attach", deadline, move |conn| {
                let ours = epoch::current(conn)?.number;
                if confirmed != ours {
                    return Ok(ours);
                }
                let attachment = Attachment {
                    epoch: holder_epoch,
                    attached_epoch: ours,
                };
                if tables::holders::holder_attach(conn, &holder, attachment, clock.now())? {
                    return Ok(ours);
                }
                Err(Error::HolderOver {
                    holder: holder.clone(),
                })
            })
            .await?;
        if confirmed == ours {
            self.wakes.sweeper.notify_one();
        }
        Ok(ours)
    }
}

/// The holders that a database knows.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its present epoch: who has not attached in it keeps everybody from losing anything.
    pub epoch: i64,
    /// Everybody who ever attached, by id.
    pub holders: Vec<Holder>,
    /// How many moves wait, for whomever.
    pub pending_count: i64,
}

/// The holders that a pipeline database knows.
pub async fn list(store: &Store, deadline: Deadline) -> Result<Known, store::Error> {
    store
        .across()
        .read_snapshot("holders.list", deadline, |conn| {
            Ok(Known {
                epoch: epoch::current(conn)?.number,
                holders: tables::holders::holders_list(conn)?,
                pending_count: tables::pending::pendings_count(conn)?,
            })
        })
        .await
}

/// Forgets a holder for good, in one transaction: nothing waits for it any more, and running services
/// complete what waited for nobody else. It may attach again only in a later epoch of its database,
/// which holds nothing of this one. False where there is none to be forgotten.
pub async fn forget(
    store: &Store,
    holder: &str,
    now: Micros,
    deadline: Deadline,
) -> Result<bool, store::Error> {
    let holder = holder.to_owned();
    store
        .across()
        .write("holder.forget", deadline, move |conn: &mut Conn| {
            tables::holders::holder_forget(conn, &holder, now)
        })
        .await
}
