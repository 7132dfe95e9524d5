//! Asking pipeline for grants, and using them.

use std::time::Duration;

use ::store::{Conn, Error as StoreError, Store};
use serve::telemetry::metrics::TARGET;
use tokio::time::Instant;
use tracing::Instrument as _;
use types::{ContactName, Deadline, Micros};

use super::{Abort, App, Stop};
use crate::domain::grants::{Attachment, Grant, Stale};
use crate::error::{Error, Missing};
use crate::store::gate::Scope;
use crate::store::grants::Installed;
use crate::store::{gate, grants};

/// How often an attempt is made anew after a grant was fetched. More than two are needed only where
/// grants are recalled as fast as they are given.
const ATTEMPTS_MAX: u32 = 6;

/// The pause before asking again after a grant came too late, times the attempt.
const PAUSE: Duration = Duration::from_millis(5);

/// How long withdrawing an announcement may take.
const WITHDRAW_TIME: Duration = Duration::from_secs(5);

impl App {
    /// Runs `attempt` until it finds the grants it needs: each time it misses one, pipeline is asked
    /// and the attempt made anew. What pipeline does not grant is refused; so a refusal is always
    /// as fresh as pipeline.
    pub async fn gated<T, F, Fut>(
        &self,
        entitlement: &'static str,
        deadline: Deadline,
        attempt: F,
    ) -> Result<T, Abort<T>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, Abort<T>>>,
    {
        let mut contact = None;
        for number in 1..=ATTEMPTS_MAX {
            let missing = match attempt().await {
                Err(Abort::Stop(Stop::NoGrant(contact))) => contact,
                ended => return ended,
            };
            if number == ATTEMPTS_MAX {
                contact = Some(missing);
                break;
            }
            let (grant, installed) = self.grant_fetch(&missing, deadline).await?;
            // An answer that was overtaken says nothing about now, neither yes nor no.
            if installed == Installed::Yes && !grant.entitlements.contains(entitlement) {
                return Err(refused(grant, entitlement).into());
            }
            // Even a grant that was installed may not be used while something is being taken away.
            if installed != Installed::Yes || number > 1 {
                tokio::time::sleep(PAUSE * number).await;
            }
        }
        let resource = contact
            .map(|contact| contact.to_string())
            .unwrap_or_default();
        Err(Error::ConcurrentUpdate { resource }.into())
    }

    /// Asks pipeline for a grant and installs it, attaching first where the epochs ask for it.
    ///
    /// A grant counts only in the epoch that it was asked for in: what was told to an earlier life of
    /// this database may have been recalled in the part of it that is lost.
    async fn grant_fetch(
        &self,
        contact: &ContactName,
        deadline: Deadline,
    ) -> Result<(Grant, Installed), Error> {
        let asked = Instant::now();
        match self
            .grant_fetch_in(self.store.epoch(), contact, deadline)
            .await
        {
            Err(Error::HolderDetached) | Ok((_, Installed::Stale(Stale::Epoch))) => {}
            ended => return ended,
        }
        self.attach(asked, deadline).await?;
        self.grant_fetch_in(self.store.epoch(), contact, deadline)
            .await
    }

    /// Asks for a grant and installs it, both in one epoch of this database.
    async fn grant_fetch_in(
        &self,
        holder_epoch: i64,
        contact: &ContactName,
        deadline: Deadline,
    ) -> Result<(Grant, Installed), Error> {
        let asked = self.clock.now();
        let answer = self
            .pipeline
            .grant_acquire(contact, &self.holder, holder_epoch, deadline);
        // A pipeline that hangs must not take the places of calls that need none of it.
        let grant = serve::aside(answer).await?;
        let offered = grant.clone();
        let installed = self
            .store
            .within(&contact.workspace)
            .write("grant.install", deadline, move |conn| {
                grants::grant_install(conn, &offered, holder_epoch, asked)
            })
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        if installed == Installed::Yes {
            tracing::trace!(target: TARGET, metric = "clientele.grants.acquired", value = 1);
        }
        Ok((grant, installed))
    }

    /// Voids what was granted in other epochs and then tells pipeline that this holder is there; not
    /// the other way round, since pipeline goes on with what waited as soon as it is told.
    pub async fn attach_in(
        &self,
        pipeline_epoch: i64,
        deadline: Deadline,
    ) -> Result<Attachment, Error> {
        // As it is in the database: a replica that has not noticed the present epoch yet must not
        // take part in another one.
        let holder_epoch = self.store.epoch_look(deadline).await?;
        let offered = Attachment {
            holder_epoch,
            pipeline_epoch,
        };
        let known: Attachment = self
            .store
            .across()
            .read("gate.attachment", deadline, gate::attachment)
            .await
            .map_err(|error: StoreError| Error::from(error))?;
        let attached = if known == offered {
            known
        } else {
            let clock = self.clock.clone();
            self.take_away("gate.attach", Scope::All, deadline, move |conn| {
                gate::attachment_raise(conn, offered, clock.now())
            })
            .await?
        };
        let told = self
            .pipeline
            .holder_attach(&self.holder, attached, deadline)
            .await?;
        if told == attached.pipeline_epoch {
            return Ok(attached);
        }
        tracing::warn!(
            told,
            known = attached.pipeline_epoch,
            "pipeline's epoch is another one"
        );
        Err(Error::HolderDetached)
    }

    /// Takes something away from those who use grants now. New uses are kept from beginning first, or
    /// the row locks might never be had.
    ///
    /// In a task of its own: a caller that gives up in between would leave the announcement behind, which
    /// would keep everybody waiting until it is too old to count.
    pub(super) async fn take_away<T, F>(
        &self,
        op: &'static str,
        scope: Scope,
        deadline: Deadline,
        take: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T, StoreError> + Send + Sync + 'static,
    {
        let taking = announce_and_take(
            self.store.clone(),
            self.clock.now(),
            op,
            scope,
            deadline,
            take,
        );
        tokio::spawn(taking.in_current_span())
            .await
            .unwrap_or(Err(Error::Defect("taking something away panicked")))
    }
}

async fn announce_and_take<T, F>(
    store: Store,
    now: Micros,
    op: &'static str,
    scope: Scope,
    deadline: Deadline,
    take: F,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: Fn(&mut Conn) -> Result<T, StoreError> + Send + Sync + 'static,
{
    let announced = scope.clone();
    let intent: Result<(), StoreError> = store
        .within_or_across(announced.workspace())
        .write("gate.announce", deadline, move |conn| {
            gate::intent_announce(conn, &announced, now)
        })
        .await;
    intent?;
    let within = scope.clone();
    let outcome: Result<T, StoreError> = store
        .within_or_across(scope.workspace())
        .write(op, deadline, move |conn| {
            let done = take(conn)?;
            gate::intent_withdraw(conn, &within)?;
            Ok(done)
        })
        .await;
    if outcome.is_err() {
        let time = Deadline::after(WITHDRAW_TIME);
        let withdrawn: Result<(), StoreError> = store
            .within_or_across(scope.workspace())
            .write("gate.withdraw", time, move |conn| {
                gate::intent_withdraw(conn, &scope)
            })
            .await;
        if let Err(error) = withdrawn {
            tracing::warn!(?error, "an announcement stays until it is too old to count");
        }
    }
    Ok(outcome?)
}

fn refused(grant: Grant, entitlement: &'static str) -> Error {
    Error::EntitlementMissing(Box::new(Missing {
        contact: grant.contact,
        stage: grant.stage,
        role: grant.role,
        entitlement,
        policy_revision: grant.policy_revision,
    }))
}
