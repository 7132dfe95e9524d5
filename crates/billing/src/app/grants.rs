//! Asking pipeline for grants, and using them.

use std::time::Duration;

use ::store::Error as StoreError;
use types::{ContactName, Deadline};

use super::{Abort, App, Stop};
use crate::domain::grants::{Attachment, Grant, Stale};
use crate::error::{Error, Missing};
use crate::store::grants::Installed;
use crate::store::{gate, grants};

/// How often an attempt is made anew after a grant was fetched. More than two are needed only where
/// grants are recalled as fast as they are given.
const ATTEMPTS_MAX: u32 = 6;

/// The pause before asking again after a grant came too late, times the attempt.
const PAUSE: Duration = Duration::from_millis(5);

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
            if !grant.entitlements.contains(entitlement) {
                return Err(refused(grant, entitlement).into());
            }
            if installed != Installed::Yes {
                tokio::time::sleep(PAUSE * number).await;
            }
        }
        let resource = contact.map(|contact| contact.to_string()).unwrap_or_default();
        Err(Error::ConcurrentUpdate { resource }.into())
    }

    /// Asks pipeline for a grant and installs it, attaching first where the epochs ask for it.
    async fn grant_fetch(
        &self,
        contact: &ContactName,
        deadline: Deadline,
    ) -> Result<(Grant, Installed), Error> {
        let holder_epoch = self.store.epoch();
        let grant = self
            .pipeline
            .grant_acquire(contact, &self.holder, holder_epoch, deadline)
            .await?;
        let installed = self.grant_install(grant.clone(), deadline).await?;
        if installed != Installed::Stale(Stale::Epoch) {
            return Ok((grant, installed));
        }
        self.attach(deadline).await?;
        let installed = self.grant_install(grant.clone(), deadline).await?;
        Ok((grant, installed))
    }

    async fn grant_install(&self, grant: Grant, deadline: Deadline) -> Result<Installed, Error> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        self.store
            .write("grant.install", deadline, move |conn| {
                grants::grant_install(conn, grant.clone(), store.epoch(), clock.now())
            })
            .await
            .map_err(|error: StoreError| error.into())
    }

    /// Tells pipeline that this holder is there, and revokes what was granted in other epochs.
    /// Answers the epochs that hold now.
    pub async fn attach(&self, deadline: Deadline) -> Result<Attachment, Error> {
        let holder_epoch = self.store.epoch();
        let pipeline_epoch =
            self.pipeline.holder_attach(&self.holder, holder_epoch, deadline).await?;
        let clock = self.clock.clone();
        let offered = Attachment { holder_epoch, pipeline_epoch };
        self.store
            .write("gate.attach", deadline, move |conn| {
                gate::attachment_raise(conn, offered, clock.now())
            })
            .await
            .map_err(|error: StoreError| error.into())
    }
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

