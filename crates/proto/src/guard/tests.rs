//! The guard lets through what is admitted and valid, in that order, and nothing else.

use std::sync::{Arc, Mutex};

use tonic::{Code, Response};

use super::*;
use crate::errors::v1::Reason;
use crate::fixture::fixture::v1::thing_service_server::ThingService;
use crate::fixture::fixture::v1::{
    AssignThingRequest, CreateThingRequest, Thing, ThingResponse, UpdateThingRequest,
    WatchThingsRequest,
};
use crate::options::v1::{Criticality, Idempotency};
use crate::status;

/// Answers every call.
struct Handler;

#[tonic::async_trait]
impl ThingService for Handler {
    async fn create_thing(
        &self,
        _: Request<CreateThingRequest>,
    ) -> Result<Response<ThingResponse>, Status> {
        Ok(Response::new(ThingResponse::default()))
    }

    async fn update_thing(
        &self,
        _: Request<UpdateThingRequest>,
    ) -> Result<Response<ThingResponse>, Status> {
        Ok(Response::new(ThingResponse::default()))
    }

    async fn assign_thing(
        &self,
        _: Request<AssignThingRequest>,
    ) -> Result<Response<ThingResponse>, Status> {
        Ok(Response::new(ThingResponse::default()))
    }

    type WatchThingsStream = tokio_stream::Iter<std::vec::IntoIter<Result<ThingResponse, Status>>>;

    async fn watch_things(
        &self,
        _: Request<WatchThingsRequest>,
    ) -> Result<Response<Self::WatchThingsStream>, Status> {
        Ok(Response::new(tokio_stream::iter(vec![Ok(
            ThingResponse::default(),
        )])))
    }
}

/// What the guard asked of the admission.
type Asked = (&'static str, Option<String>);

/// Admits everyone to every workspace but `closed`, and notes what it was asked.
#[derive(Default)]
struct Doorman(Mutex<Vec<Asked>>);

impl Admission for Doorman {
    fn admit(
        &self,
        method: &'static Method,
        workspace: Option<&str>,
        _: &MetadataMap,
        _: &Extensions,
    ) -> Result<(), Status> {
        let mut asked = self.0.lock().expect("no test panics with the lock");
        asked.push((method.name, workspace.map(str::to_owned)));
        if workspace == Some("closed") {
            return Err(Status::not_found("no such workspace"));
        }
        Ok(())
    }
}

fn guarded() -> (Guarded<Handler, Arc<Doorman>>, Arc<Doorman>) {
    let doorman = Arc::new(Doorman::default());
    (Guarded::new(Handler, Arc::clone(&doorman)), doorman)
}

fn asked(doorman: &Doorman) -> Vec<Asked> {
    doorman
        .0
        .lock()
        .expect("no test panics with the lock")
        .clone()
}

fn create(parent: &str, title: &str) -> Request<CreateThingRequest> {
    let thing = Some(Thing {
        title: title.into(),
        ..Thing::default()
    });
    Request::new(CreateThingRequest {
        parent: parent.into(),
        thing,
        ..Default::default()
    })
}

#[tokio::test]
async fn each_request_says_its_workspace_in_its_own_way() {
    let (service, doorman) = guarded();
    service
        .create_thing(create("workspaces/a", "t"))
        .await
        .expect("admitted");
    let thing = Some(Thing {
        name: "workspaces/b/things/t".into(),
        ..Thing::default()
    });
    let update = Request::new(UpdateThingRequest { thing });
    service.update_thing(update).await.expect("admitted");
    let thing = "workspaces/c/things/t".to_owned();
    let assign = Request::new(AssignThingRequest {
        thing,
        ..Default::default()
    });
    service.assign_thing(assign).await.expect("admitted");
    service
        .watch_things(Request::new(WatchThingsRequest::default()))
        .await
        .expect("admitted");
    let expected = [
        ("CreateThing", Some("a".to_owned())),
        ("UpdateThing", Some("b".to_owned())),
        ("AssignThing", Some("c".to_owned())),
        ("WatchThings", None),
    ];
    assert_eq!(asked(&doorman), expected);
}

#[tokio::test]
async fn who_is_not_admitted_learns_nothing_about_the_request() {
    let (service, _) = guarded();
    let refused = service
        .create_thing(create("workspaces/closed", "too long"))
        .await;
    assert_eq!(refused.expect_err("closed").code(), Code::NotFound);
}

#[tokio::test]
async fn an_invalid_request_does_not_reach_the_handler() {
    let (service, doorman) = guarded();
    let refused = service
        .create_thing(create("workspaces/a", "too long"))
        .await;
    let status = refused.expect_err("the title is too long");
    assert_eq!(status::reason(&status), Some(Reason::FieldInvalid));
    assert_eq!(
        status.message(),
        "thing.title must have at most 5 characters"
    );
    assert_eq!(asked(&doorman).len(), 1);
}

#[tokio::test]
async fn a_request_without_its_workspace_never_passes() {
    let (service, doorman) = guarded();
    for parent in [
        "",
        "workspaces",
        "workspaces/",
        "workspaces//things/t",
        "Workspaces/a",
    ] {
        let refused = service.create_thing(create(parent, "t")).await;
        let status = refused.expect_err("no workspace");
        assert_eq!(
            status::reason(&status),
            Some(Reason::FieldInvalid),
            "{parent:?}"
        );
        assert_eq!(
            status.message(),
            "parent must be a name below `workspaces/`"
        );
    }
    let update = Request::new(UpdateThingRequest::default());
    let status = service.update_thing(update).await.expect_err("no resource");
    assert_eq!(
        status.message(),
        "thing.name must be a name below `workspaces/`"
    );
    assert!(asked(&doorman).is_empty());
}

#[test]
fn the_table_says_what_the_options_say() {
    let methods = &crate::fixture::services::METHODS;
    let update = methods
        .iter()
        .find(|method| method.name == "UpdateThing")
        .expect("declared");
    let expected = Method {
        service: "fixture.v1.ThingService",
        name: "UpdateThing",
        path: "/fixture.v1.ThingService/UpdateThing",
        permission: "things.write",
        idempotency: Idempotency::Natural,
        criticality: Criticality::Critical,
        internal: true,
        streaming: false,
        scoped: true,
    };
    assert_eq!(*update, expected);
    let watch = methods
        .iter()
        .find(|method| method.name == "WatchThings")
        .expect("declared");
    assert!(watch.streaming && !watch.scoped && !watch.internal);
}
