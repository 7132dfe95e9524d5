//! What tests do as a holder of grants.

use std::time::Duration;

use proto::pipeline::v1::{
    AcknowledgeRecallRequest, CheckEntitlementRequest, ConvertContactRequest,
    ConvertContactResponse, Recall, WatchRecallsRequest, WatchRecallsResponse,
};
use tonic::{Request, Status};

use crate::suite::{HOLDER, HOLDER_EPOCH, Instance, Suite};

/// Another holder.
pub const OTHER: &str = "other-db";

/// A client under `free-switch`, whose grant the holder has.
pub async fn held_client(suite: &Suite, contact: &str) {
    suite.directory.person(contact, "");
    suite.one.position(contact).await.expect("a position");
    suite
        .one
        .convert(contact, "client")
        .await
        .expect("a client");
    let grant = suite.one.acquire(contact).await.expect("a grant");
    assert!(grant.entitlements.contains(&"invoice".to_owned()));
}

pub async fn free_switch(suite: &Suite) {
    suite.one.activate_preset("default", "free-switch").await;
    suite.one.attach().await;
}

/// Asks for a move and does not wait for long.
pub async fn hasty(
    instance: &Instance,
    contact: &str,
    stage: &str,
    request_id: &str,
) -> Result<ConvertContactResponse, Status> {
    let mut request = Request::new(ConvertContactRequest {
        contact: contact.to_owned(),
        stage: stage.to_owned(),
        request_id: request_id.to_owned(),
        ..ConvertContactRequest::default()
    });
    request.set_timeout(Duration::from_millis(600));
    Ok(instance
        .positions()
        .convert_contact(request)
        .await?
        .into_inner())
}

/// The next message of a holder's stream that tells of something.
pub async fn orders(instance: &Instance) -> WatchRecallsResponse {
    let request = WatchRecallsRequest {
        holder: HOLDER.to_owned(),
        holder_epoch: HOLDER_EPOCH,
    };
    let mut stream = instance
        .entitlements()
        .watch_recalls(request)
        .await
        .expect("a stream")
        .into_inner();
    loop {
        let told = stream.message().await.expect("a message").expect("no end");
        if !told.recalls.is_empty() || !told.fences.is_empty() {
            return told;
        }
    }
}

pub async fn acknowledge(instance: &Instance, recall: &Recall, epoch: i64) -> bool {
    let request = AcknowledgeRecallRequest {
        contact: recall.contact.clone(),
        holder: HOLDER.to_owned(),
        grant_revision: recall.grant_revision,
        documents_exist: true,
        epoch,
    };
    let answer = instance.entitlements().acknowledge_recall(request).await;
    answer.expect("an answer").into_inner().completed
}

pub async fn allowed(instance: &Instance, contact: &str, entitlement: &str) -> bool {
    let request = CheckEntitlementRequest {
        contact: contact.to_owned(),
        entitlement: entitlement.to_owned(),
        ..CheckEntitlementRequest::default()
    };
    let answer = instance.entitlements().check_entitlement(request).await;
    answer.expect("an answer").into_inner().allowed
}

/// Begins a new epoch, as after a restore; answers its number. The process that runs is replaced.
pub async fn new_epoch(suite: &mut Suite) -> i64 {
    let bumped = suite.store().bump_epoch(store::testing::soon()).await;
    suite.replace().await;
    bumped.expect("a new epoch").number
}

/// Forgets a holder as an operator does, in another process than the service's.
pub async fn forget(suite: &Suite, holder: &str) -> bool {
    let now = types::Clock::system().now();
    pipeline::holders::forget(&suite.store(), holder, now, store::testing::soon())
        .await
        .expect("the database answers")
}

/// The holders that the database knows.
pub async fn known(suite: &Suite) -> pipeline::holders::Known {
    pipeline::holders::list(&suite.store(), store::testing::soon())
        .await
        .expect("the database answers")
}
