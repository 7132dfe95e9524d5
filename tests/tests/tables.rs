//! Every preset's full tables, asked through gRPC: (stage, entitlement), (from, to), and where a
//! contact may be created.

use std::collections::{BTreeMap, BTreeSet};

use harness::client::{Client, refusal};
use harness::engine::engines;
use harness::suite::{Layout, Suite};
use serde::Deserialize;
use serde_json::{Value, json};

const KEYS: [&str; 7] = [
    "portal_login",
    "promo_material",
    "private_message",
    "estimate",
    "proposal",
    "invoice",
    "project",
];

#[derive(Deserialize)]
struct Table {
    stages: BTreeMap<String, Stage>,
    create_in: BTreeSet<String>,
    moves: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Stage {
    role: String,
    entitlements: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_presets_tables_are_as_its_definition_says() {
    let path = format!("{}/scenarios/tables.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the tables");
    let tables: BTreeMap<String, Table> = serde_saphyr::from_str(&text).expect("the tables");
    for engine in engines() {
        let suite = Suite::start(engine, Layout::One).await;
        let client = suite.client();
        for (preset, table) in &tables {
            let workspace = format!("workspaces/{preset}");
            activate(&client, &workspace, preset).await;
            let walker = Walker {
                client: &client,
                workspace,
                preset,
            };
            walker.check_creation(table).await;
            for stage in table.stages.keys() {
                let contact = walker.stand_in(stage, table).await;
                walker
                    .check_entitlements(&contact, stage, &table.stages[stage])
                    .await;
                walker.check_moves(&contact, stage, table).await;
            }
            println!("{engine}: {preset}, {} moves", table.moves.len());
        }
    }
}

/// Puts a preset in force in a workspace.
async fn activate(client: &Client, workspace: &str, preset: &str) {
    let request = json!({"parent": workspace, "policy_id": "rules", "preset": preset});
    let policy = client
        .call("PolicyService/CreatePolicy", request)
        .await
        .expect("a policy");
    let request = json!({"name": policy["policy"]["revision"]});
    client
        .call("PolicyService/ActivatePolicy", request)
        .await
        .expect("an activation");
}

struct Walker<'a> {
    client: &'a Client,
    workspace: String,
    preset: &'a str,
}

impl Walker<'_> {
    /// The facts that satisfy every guard of the preset.
    fn facts(&self) -> Value {
        let mut facts = json!({
            "display_name": "Ada Example",
            "emails": [{"address": "ada@example.com"}],
            "source": {"channel": "CHANNEL_FORM"},
            "qualification": {"verdict": "VERDICT_QUALIFIED"},
            "owner": "sales@example.com",
            "ready_to_buy": true,
        });
        if self.preset == "verified-interest" {
            facts["interest"] = json!({"expressed_time": "2026-01-02T03:04:05Z"});
        }
        facts
    }

    async fn create(&self, stage: Option<&str>) -> String {
        let mut contact = self.facts();
        if let Some(stage) = stage {
            contact["requested_stage"] = json!(stage);
        }
        let request = json!({"parent": self.workspace, "contact": contact});
        let answer = self
            .client
            .call("ContactService/CreateContact", request)
            .await;
        answer.expect("a contact")["contact"]["name"]
            .as_str()
            .expect("a name")
            .to_owned()
    }

    async fn position(&self, contact: &str) -> Value {
        let request = json!({"name": format!("{contact}/position")});
        let answer = self
            .client
            .call("PositionService/GetPosition", request)
            .await;
        answer.expect("a position")["position"].clone()
    }

    async fn check_creation(&self, table: &Table) {
        for stage in table.stages.keys() {
            let contact = self.create(Some(stage)).await;
            let position = self.position(&contact).await;
            if table.create_in.contains(stage) {
                assert_eq!(
                    position["stage"],
                    json!(stage),
                    "{}: {position}",
                    self.preset
                );
            } else {
                assert_eq!(
                    position["state"], "STATE_NONE",
                    "{} {stage}: {position}",
                    self.preset
                );
                assert!(
                    position["refusal"].is_string(),
                    "{} {stage}: {position}",
                    self.preset
                );
            }
        }
    }

    /// A contact that stands in `stage`, moved there the way the policy allows.
    async fn stand_in(&self, stage: &str, table: &Table) -> String {
        let contact = self.create(None).await;
        let position = self.position(&contact).await;
        let start = position["stage"]
            .as_str()
            .expect("an initial stage")
            .to_owned();
        for step in path(&start, stage, table) {
            if self.preset == "verified-interest" && step == "contact" {
                let identity = json!({"verified_time": "2026-01-02T03:04:05Z"});
                let request = json!({
                    "contact": {"name": contact, "identity": identity},
                    "update_mask": "identity",
                });
                self.client
                    .call("ContactService/UpdateContact", request)
                    .await
                    .expect("a fact");
            }
            let request = json!({"contact": contact, "stage": step});
            match self
                .client
                .call("PositionService/ConvertContact", request)
                .await
            {
                Ok(_) => {}
                // The fact alone has moved the contact there: the trigger was faster.
                Err(_) if self.position(&contact).await["stage"] == json!(step) => {}
                Err(status) => panic!("{}: {start} to {step}: {status}", self.preset),
            }
        }
        contact
    }

    async fn check_entitlements(&self, contact: &str, stage: &str, expected: &Stage) {
        let position = self.position(contact).await;
        assert_eq!(
            position["role"],
            json!(expected.role),
            "{} {stage}",
            self.preset
        );
        for key in KEYS.into_iter().chain(["no_such_key"]) {
            let request = json!({"contact": contact, "entitlement": key});
            let answer = self
                .client
                .call("EntitlementService/CheckEntitlement", request)
                .await;
            let allowed = answer.expect("an answer")["allowed"] == json!(true);
            assert_eq!(
                allowed,
                expected.entitlements.contains(key),
                "{} {stage} {key}",
                self.preset
            );
        }
        self.check_billing(contact, expected).await;
    }

    /// The two entitlements that billing itself enforces.
    async fn check_billing(&self, contact: &str, expected: &Stage) {
        let invoice = json!({
            "contact": contact,
            "currency_code": "EUR",
            "lines": [{"description": "Work", "unit_price": {"value": "1"}}],
        });
        let request = json!({"parent": self.workspace, "invoice": invoice});
        let invoiced = self
            .client
            .call("InvoiceService/CreateInvoice", request)
            .await;
        assert_eq!(invoiced.is_ok(), expected.entitlements.contains("invoice"));
        if let Err(status) = invoiced {
            assert_eq!(refusal(&status).reason, "ENTITLEMENT_MISSING");
        }
        let project = json!({"parent": self.workspace, "project": {"display_name": "Site"}});
        let project = self
            .client
            .call("ProjectService/CreateProject", project)
            .await;
        let project = project.expect("a project")["project"]["name"].clone();
        let request = json!({"project": project, "contact": contact});
        let assigned = self
            .client
            .call("ProjectService/AssignContact", request)
            .await;
        assert_eq!(assigned.is_ok(), expected.entitlements.contains("project"));
    }

    async fn check_moves(&self, contact: &str, from: &str, table: &Table) {
        let request = json!({"contact": contact});
        let preview = self
            .client
            .call("PositionService/PreviewConversions", request)
            .await;
        let preview = preview.expect("a preview");
        for to in table.stages.keys() {
            let allowed = table.moves.contains(&format!("{from}>{to}"));
            let stages = preview["stages"].as_array().expect("stages");
            let shown = stages
                .iter()
                .find(|stage| stage["stage"] == json!(to))
                .expect("the stage");
            let refused = shown["refusal"] == json!("TRANSITION_NOT_ALLOWED");
            assert_eq!(
                !refused, allowed,
                "{}: preview {from} to {to}: {shown}",
                self.preset
            );
            let request = json!({"contact": contact, "stage": to, "validate_only": true});
            let answer = self
                .client
                .call("PositionService/ConvertContact", request)
                .await;
            let reachable = shown["reachable"] == json!(true);
            assert_eq!(answer.is_ok(), reachable, "{}: {from} to {to}", self.preset);
            if let Err(status) = answer {
                assert_eq!(
                    json!(refusal(&status).reason),
                    shown["refusal"],
                    "{from} to {to}"
                );
            }
        }
    }
}

/// The shortest way from one stage to another along a preset's moves.
fn path(start: &str, goal: &str, table: &Table) -> Vec<String> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::from([start.to_owned()]);
    while !ways.is_empty() {
        let mut next = Vec::new();
        for way in ways {
            let last = way.last().expect("a way has stages");
            if last == goal {
                return way[1..].to_vec();
            }
            for to in table.stages.keys() {
                if table.moves.contains(&format!("{last}>{to}")) && seen.insert(to.clone()) {
                    let mut longer = way.clone();
                    longer.push(to.clone());
                    next.push(longer);
                }
            }
        }
        ways = next;
    }
    panic!("there is no way from {start} to {goal}")
}
