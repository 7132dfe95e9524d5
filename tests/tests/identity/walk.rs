//! Two callers and two workspaces, in which something is done by whom it concerns and by whom not.

use std::collections::BTreeSet;

use harness::client::{Client, refusal};
use harness::engine::Engine;
use harness::eventually::eventually;
use harness::realm::Realm;
use harness::suite::{Layout, Suite};
use serde_json::{Value, json};

use crate::requests::{methods, policy};

/// Two people as NDJSON, in the base64 of proto JSON.
pub const ROWS: &str = "eyJkaXNwbGF5TmFtZSI6IlphcmEifQp7ImRpc3BsYXlOYW1lIjoiWm9lIn0K";

/// One request id for everything that is asked for here.
const REQUEST_ID: &str = "0190a000-0000-7000-8000-0000000000c1";

/// The workspaces: both callers' own, and another one of the first caller.
const WORKSPACES: [&str; 2] = ["home", "other"];

/// The methods whose requests have this field, by their names.
pub fn with_field(name: &str) -> BTreeSet<String> {
    let methods = methods().into_iter();
    let with = methods.filter(|method| method.input().get_field_by_name(name).is_some());
    with.filter(|method| policy(method).scoped)
        .map(|method| method.name().to_owned())
        .collect()
}

/// One place that requests are about.
pub struct Place {
    /// 0 for the first workspace, 1 for the other one.
    pub index: usize,
    /// Its name.
    pub parent: String,
}

impl Place {
    pub fn both() -> [Self; 2] {
        [0, 1].map(|index| Self {
            index,
            parent: format!("workspaces/{}", WORKSPACES[index]),
        })
    }

    /// The name of something in it.
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.parent)
    }
}

/// Two callers, of whom the first may enter both workspaces, and which methods they tried.
pub struct Walk {
    pub suite: Suite,
    pub ada: Client,
    pub bob: Client,
    pub tried: BTreeSet<String>,
    _realm: Realm,
}

impl Walk {
    pub async fn begin(engine: Engine, layout: Layout) -> Self {
        let realm = Realm::new();
        let suite = Suite::start_in(engine, layout, Some(&realm)).await;
        let roles = json!({WORKSPACES[0]: ["admin"], WORKSPACES[1]: ["admin"]});
        let ada = suite.client().bearing(&realm.token_of("ada", &roles));
        let roles = json!({WORKSPACES[0]: ["admin"]});
        let bob = suite.client().bearing(&realm.token_of("bob", &roles));
        Self {
            suite,
            ada,
            bob,
            tried: BTreeSet::new(),
            _realm: realm,
        }
    }

    /// Has the first caller do something in both workspaces, with no id.
    pub async fn both(&self, method: &str, request: impl Fn(&Place) -> Value) -> [Value; 2] {
        let [home, other] = Place::both().map(|place| request(&place));
        [
            done(&self.ada, method, home).await.0,
            done(&self.ada, method, other).await.0,
        ]
    }

    /// Has something done under the request id: by the first caller, again by the same, by the same in the
    /// other workspace, and by the other caller. Only the second time the first answer is given again.
    pub async fn once(&mut self, method: &str, request: impl Fn(&Place) -> Value) -> [Value; 2] {
        let [home, other] = Place::both().map(|place| {
            let mut request = request(&place);
            request["request_id"] = json!(REQUEST_ID);
            request
        });
        let (first, replayed) = done(&self.ada, method, home.clone()).await;
        assert!(!replayed, "{method}: the first of its method");
        let (again, replayed) = done(&self.ada, method, home.clone()).await;
        assert!(replayed, "{method}: {again}");
        let (elsewhere, replayed) = done(&self.ada, method, other).await;
        assert!(!replayed, "{method} in another workspace: {elsewhere}");
        // Most things can't be done twice, and whoever does what can be is not answered with the other's.
        match self.bob.call_with(method, home, &[]).await {
            Ok(answer) => {
                let replayed = answer.metadata.get("clientele-replayed").is_some();
                assert!(!replayed, "{method} by another caller: {}", answer.body);
            }
            Err(refused) => {
                let reason = refusal(&refused).reason;
                assert_ne!(reason, "REQUEST_ID_REUSED", "{method} by another caller");
            }
        }
        let (_, name) = method.split_once('/').expect("service and method");
        self.tried.insert(name.to_owned());
        [first, elsewhere]
    }
}

/// Does something, if need be once what it waits for has come about; whether the answer was given before.
pub async fn done(client: &Client, method: &str, request: Value) -> (Value, bool) {
    eventually(method, async || {
        let answer = client.call_with(method, request.clone(), &[]).await;
        let answer = answer.map_err(|status| format!("{status}: {:?}", refusal(&status)))?;
        let replayed = answer.metadata.get("clientele-replayed").is_some();
        Ok::<_, String>((answer.body, replayed))
    })
    .await
}
