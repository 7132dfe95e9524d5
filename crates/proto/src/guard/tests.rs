//! The guard lets through what is admitted and valid, in that order, and nothing else.

use std::sync::{Arc, Mutex};

use tonic::{Code, Response};
use tonic_types::StatusExt as _;

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

/// The service's own rule: no title is shouted, and no workspace is called `taken`.
impl crate::fixture::services::rules::ThingServiceRules for Handler {
    fn create_thing(&self, request: &CreateThingRequest, found: &mut Findings) {
        if request.parent == "workspaces/taken" {
            found.field("parent", "thing.parent", "must not be taken");
        }
        let title = request.thing.as_ref().map(|thing| thing.title.as_str());
        if title.is_some_and(|title| title.contains('!')) {
            found.field("thing.title", "thing.calm", "must not be shouted");
        }
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
        scope: Option<Scope<'_>>,
        _: &MetadataMap,
        _: &Extensions,
    ) -> Result<(), Status> {
        let mut asked = self.0.lock().expect("no test panics with the lock");
        let workspace = scope.map(|scope| scope.workspace);
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
async fn what_the_proto_states_and_what_the_service_knows_is_one_answer() {
    let (service, _) = guarded();
    let told = async |parent: &str, title: &str| {
        let refused = service.create_thing(create(parent, title)).await;
        let status = refused.expect_err("refused");
        assert_eq!(status::reason(&status), Some(Reason::FieldInvalid));
        let details = status.get_details_bad_request().expect("BadRequest");
        let fields = details.field_violations.into_iter();
        fields
            .map(|violation| format!("{} {}", violation.field, violation.description))
            .collect::<Vec<_>>()
    };
    let short = told("workspaces/a", "hey!").await;
    assert_eq!(short, ["thing.title must not be shouted"]);
    let long = ["thing.title must have at most 5 characters"];
    assert_eq!(told("workspaces/a", "far too long!").await, long);
    let both = [
        "thing.title must have at most 5 characters",
        "parent must not be taken",
    ];
    assert_eq!(told("workspaces/taken", "far too long!").await, both);
}

#[tokio::test]
async fn who_is_not_admitted_learns_nothing_of_the_service_s_rules() {
    let (service, _) = guarded();
    let refused = service
        .create_thing(create("workspaces/closed", "hey!"))
        .await;
    assert_eq!(refused.expect_err("closed").code(), Code::NotFound);
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
        "workspaces/A",
        "workspaces/../contacts",
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

#[tokio::test]
async fn a_request_stays_within_its_workspace() {
    let (service, _) = guarded();
    let refused = async |twins: &[&str], made_from: &str| {
        let mut request = create("workspaces/a", "t");
        let thing = request.get_mut().thing.as_mut().expect("a thing");
        thing.twins = twins.iter().map(|&twin| twin.to_owned()).collect();
        thing.made_from = made_from.to_owned();
        let answer = service.create_thing(request).await;
        answer.map_or_else(|status| status.message().to_owned(), |_| String::new())
    };
    assert_eq!(refused(&["workspaces/a/things/x"], "").await, "");
    let both = ["workspaces/a/things/x", "workspaces/closed/things/y"];
    let expected = "thing.twins[1] must be in the workspace of the request";
    assert_eq!(refused(&both, "").await, expected);
    let absent = ["workspaces/a/things/x", "workspaces/absent/things/y"];
    assert_eq!(refused(&absent, "").await, expected, "whatever is there");
    // What callers cannot set is ignored, and what is no name is refused for that.
    assert_eq!(refused(&["", "x"], "workspaces/b/things/x").await, "");
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
        callers: &["pipeline"],
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
