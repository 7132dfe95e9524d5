//! Projects and assignments through the API.

use std::time::Duration;

use prost_types::FieldMask;
use proto::billing::v1;
use proto::errors::v1::Reason;
use tonic::Status;
use types::{Clock, Micros};

use super::support::{
    PARENT, Running, Suite, assert_refused, contact, fields, on_every_engine, refusal,
};

const ROOF: &str = "workspaces/default/projects/roof";

async fn update(
    billing: &Running,
    project: v1::Project,
    paths: &[&str],
) -> Result<v1::Project, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = v1::UpdateProjectRequest {
        project: Some(project),
        update_mask: Some(FieldMask { paths }),
        ..Default::default()
    };
    let response = billing.projects.clone().update_project(request).await?;
    Ok(response.into_inner().project.expect("a project"))
}

async fn assignments(billing: &Running, parent: &str, filter: &str) -> Vec<String> {
    sorted_assignments(billing, parent, filter, "").await
}

async fn sorted_assignments(
    billing: &Running,
    parent: &str,
    filter: &str,
    order_by: &str,
) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListAssignmentsRequest {
            parent: parent.into(),
            page_size: 1,
            page_token,
            filter: filter.into(),
            order_by: order_by.into(),
            ..Default::default()
        };
        let page = billing
            .projects
            .clone()
            .list_assignments(request)
            .await
            .expect("a page");
        let page = page.into_inner();
        names.extend(
            page.assignments
                .into_iter()
                .map(|assignment| assignment.name),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_assigned_once_and_leave_and_come_back() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let (ada, ben) = (contact("ada"), contact("ben"));
        suite.pipeline.put(&ada, "client");
        suite.pipeline.put(&ben, "client");
        billing.project("roof").await;
        billing.project("wall").await;
        let made = billing.assign(ROOF, &ada).await.expect("a client");
        assert_eq!(made.name, format!("{ROOF}/assignments/ada"));
        assert_eq!(made.contact, ada);
        assert!(made.grant_revision > 0 && !made.policy_revision.is_empty());
        let twice = billing
            .assign(ROOF, &ada)
            .await
            .expect_err("assigned already");
        assert_refused(&twice, Reason::ResourceExists);
        billing.assign(ROOF, &ben).await.expect("a client");
        billing
            .assign("workspaces/default/projects/wall", &ada)
            .await
            .expect("a client");
        let of_roof = [
            format!("{ROOF}/assignments/ada"),
            format!("{ROOF}/assignments/ben"),
        ];
        assert_eq!(assignments(&billing, ROOF, "").await, of_roof);
        let any = format!("{PARENT}/projects/-");
        assert_eq!(assignments(&billing, &any, "").await.len(), 3);
        let filter = format!("contact = \"{ada}\"");
        assert_eq!(assignments(&billing, &any, &filter).await.len(), 2);
        let filter = "contact = \"workspaces/default/contacts/a*\"";
        assert_eq!(assignments(&billing, &any, filter).await.len(), 2);
        assert!(
            assignments(&billing, &any, "contact = \"x*\"")
                .await
                .is_empty()
        );

        billing.unassign(ROOF, &ada).await.expect("it ends");
        let gone = billing
            .unassign(ROOF, &ada)
            .await
            .expect_err("it has ended");
        assert_refused(&gone, Reason::ResourceNotFound);
        assert_eq!(assignments(&billing, ROOF, "").await.len(), 1);
        billing.assign(ROOF, &ada).await.expect("back again");
        assert_eq!(assignments(&billing, ROOF, "").await.len(), 2);

        // Who is no client any more can still be taken off, and was once assigned.
        suite.pipeline.demote(&ada, "lead").await;
        assert_eq!(suite.pipeline.documents_exist(&ada), Some(true));
        billing.unassign(ROOF, &ada).await.expect("always allowed");
        let refused = billing.assign(ROOF, &ada).await.expect_err("a lead");
        assert_refused(&refused, Reason::EntitlementMissing);
        let elsewhere = billing.assign(ROOF, "workspaces/other/contacts/ada").await;
        assert_eq!(
            fields(&elsewhere.expect_err("another workspace")),
            ["contact"]
        );
        let absent = billing
            .assign("workspaces/default/projects/absent", &ben)
            .await;
        assert_refused(&absent.expect_err("no project"), Reason::ResourceNotFound);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_assigned_once_by_many_at_once() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.project("roof").await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let mut client = billing.projects.clone();
            let request = v1::AssignContactRequest {
                project: ROOF.into(),
                contact: ada.clone(),
                ..Default::default()
            };
            tasks.spawn(async move { client.assign_contact(request).await });
        }
        let mut made = 0;
        while let Some(answer) = tasks.join_next().await {
            match answer.expect("the task ends") {
                Ok(_) => made += 1,
                Err(refused) => assert_refused(&refused, Reason::ResourceExists),
            }
        }
        assert_eq!(made, 1);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_change_by_mask_and_closed_ones_take_nobody() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        let made = billing.project("roof").await;
        assert_eq!(made.state, i32::from(v1::project::State::Active));
        let closed = v1::Project {
            name: ROOF.into(),
            state: v1::project::State::Closed.into(),
            ..Default::default()
        };
        let changed = update(&billing, closed, &["state"])
            .await
            .expect("it is closed");
        assert_eq!((changed.display_name.as_str(), changed.state), ("Roof", 2));
        let refused = billing.assign(ROOF, &ada).await.expect_err("closed");
        assert_refused(&refused, Reason::ProjectStateInvalid);
        assert_eq!(refusal(&refused).2["project"], ROOF);
        let named = v1::Project {
            name: ROOF.into(),
            display_name: "Roof of the Barn".into(),
            etag: made.etag.clone(),
            ..Default::default()
        };
        let stale = update(&billing, named.clone(), &["display_name"])
            .await
            .expect_err("stale");
        assert_refused(&stale, Reason::EtagMismatch);
        let named = v1::Project {
            etag: changed.etag,
            ..named
        };
        // `*` replaces all: the state was not said and so is the first one again.
        let changed = update(&billing, named, &["*"]).await.expect("changed");
        assert_eq!(
            (changed.display_name.as_str(), changed.state),
            ("Roof of the Barn", 1)
        );
        billing.assign(ROOF, &ada).await.expect("open again");
        let nameless = v1::Project {
            name: ROOF.into(),
            ..Default::default()
        };
        let refused = update(&billing, nameless, &["display_name"])
            .await
            .expect_err("no name");
        assert_eq!(fields(&refused), ["project.display_name"]);
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_are_found_by_name_without_regard_to_case() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = suite.start().await;
        for (id, display_name) in [
            ("a", "roof"),
            ("b", "Roof tiles"),
            ("c", "Wall"),
            ("d", "ÄRA"),
        ] {
            let request = v1::CreateProjectRequest {
                parent: PARENT.into(),
                project_id: id.into(),
                project: Some(v1::Project {
                    display_name: display_name.into(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            billing
                .projects
                .clone()
                .create_project(request)
                .await
                .expect("a project");
        }
        for (filter, order_by, expected) in [
            ("", "", "abcd"),
            ("", "display_name desc", "dcba"),
            ("display_name = \"Roof*\"", "", "ab"),
            ("display_name = \"*TILES\"", "", "b"),
            ("display_name = \"*A*\"", "display_name", "cd"),
            ("display_name = \"ära\"", "", "d"),
            ("state = ACTIVE", "create_time desc", "dcba"),
        ] {
            let mut found = String::new();
            let mut page_token = String::new();
            loop {
                let request = v1::ListProjectsRequest {
                    parent: PARENT.into(),
                    page_size: 1,
                    page_token,
                    filter: filter.into(),
                    order_by: order_by.into(),
                    ..Default::default()
                };
                let page = billing
                    .projects
                    .clone()
                    .list_projects(request)
                    .await
                    .expect(filter);
                let page = page.into_inner();
                found.extend(
                    page.projects
                        .iter()
                        .filter_map(|project| project.name.chars().last()),
                );
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(found, expected, "{filter} {order_by}");
        }
        billing.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assignments_are_sorted_and_as_fresh_as_asked_for() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let clock = Clock::fixed(Micros(1_780_000_000_000_000));
        let billing = suite.start_at(clock.clone()).await;
        for (project, id) in [("roof", "ben"), ("wall", "ada"), ("roof", "ada")] {
            let who = contact(id);
            if id == "ben" || project == "wall" {
                suite.pipeline.put(&who, "client");
                billing.project(project).await;
            }
            let project = format!("{PARENT}/projects/{project}");
            billing.assign(&project, &who).await.expect("a client");
            clock.advance(Duration::from_secs(1));
        }
        let any = format!("{PARENT}/projects/-");
        for (order_by, expected) in [
            ("", "roof/ada roof/ben wall/ada"),
            ("project desc", "wall/ada roof/ben roof/ada"),
            ("contact", "roof/ada wall/ada roof/ben"),
            ("contact desc", "roof/ben wall/ada roof/ada"),
            ("create_time", "roof/ben wall/ada roof/ada"),
            ("create_time desc", "roof/ada wall/ada roof/ben"),
            ("project desc, create_time", "wall/ada roof/ben roof/ada"),
        ] {
            let found = sorted_assignments(&billing, &any, "", order_by).await;
            let found: Vec<String> = found
                .iter()
                .map(|name| {
                    let parts: Vec<&str> = name.split('/').collect();
                    format!("{}/{}", parts[3], parts[5])
                })
                .collect();
            assert_eq!(found.join(" "), expected, "{order_by}");
        }
        let info = v1::GetServerInfoRequest {};
        let info = billing.invoices.clone().get_server_info(info).await;
        let newest = info.expect("the server's word").into_inner().newest_token;
        for (order_by, token, reason) in [
            ("", newest.as_str(), None),
            (
                "role_in_project",
                newest.as_str(),
                Some(Reason::OrderByInvalid),
            ),
            ("", "AQID", Some(Reason::ConsistencyTokenForeign)),
        ] {
            let request = v1::ListAssignmentsRequest {
                parent: any.clone(),
                order_by: order_by.into(),
                at_least_as_fresh_as: vec![token.into()],
                ..Default::default()
            };
            let answer = billing.projects.clone().list_assignments(request).await;
            match reason {
                Some(reason) => assert_refused(&answer.expect_err(order_by), reason),
                None => assert_eq!(answer.expect("fresh").into_inner().assignments.len(), 3),
            }
        }
        billing.stop().await;
    })
    .await;
}
