//! Scenarios: stories of calls and what must come back, as YAML, run on every engine.
//!
//! A step names a method, the request, and what is expected: `answers` (a part of the response that
//! must match), `refused` (code, reason, metadata, violations) or nothing but success. `keep`
//! stores values of the response under names that later steps write as `$name`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Client, Refusal, refusal};
use crate::eventually::eventually;

/// A story told in calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What the story shows.
    pub title: String,
    /// Names that are known from the start, such as the workspace.
    #[serde(default)]
    pub given: BTreeMap<String, Value>,
    /// The calls, in order.
    pub steps: Vec<Step>,
}

/// One call and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The claim that the step proves.
    pub claim: String,
    /// The method, `Service/Method`.
    pub call: String,
    /// The request, as proto JSON with the proto's field names.
    #[serde(default)]
    pub with: Value,
    /// A part of the response that must match; lists must match whole.
    #[serde(default)]
    pub answers: Option<Value>,
    /// Fields (by path) that must be absent or empty in the response.
    #[serde(default)]
    pub absent: Vec<String>,
    /// The refusal that must come.
    #[serde(default)]
    pub refused: Option<Expected>,
    /// Values to keep: name to path in the response.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
    /// Whether the call is repeated until it comes out so: for what follows a change log.
    #[serde(default)]
    pub eventually: bool,
}

/// A refusal that must come; what is not said is not compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The gRPC code.
    pub code: String,
    /// The reason of the `ErrorInfo`.
    pub reason: String,
    /// Metadata that must be there.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// All violations, in order: fields or guards.
    #[serde(default)]
    pub violations: Option<Vec<String>>,
}

impl Scenario {
    /// Reads a scenario.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Runs it in a workspace of its own.
    ///
    /// # Panics
    ///
    /// Panics at the first step that does not come out as it should.
    pub async fn run(&self, client: &Client, workspace: &str) {
        let mut names = self.given.clone();
        names.insert(
            "workspace".to_owned(),
            Value::String(format!("workspaces/{workspace}")),
        );
        for (number, step) in self.steps.iter().enumerate() {
            let what = format!("{}, step {}: {}", self.title, number + 1, step.claim);
            let kept = if step.eventually {
                eventually(&what, async || step.run(client, &names).await).await
            } else {
                step.run(client, &names)
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error:#}"))
            };
            names.extend(kept);
        }
    }
}

impl Step {
    async fn run(
        &self,
        client: &Client,
        names: &BTreeMap<String, Value>,
    ) -> Result<BTreeMap<String, Value>> {
        let request = fill(&self.with, names)?;
        match (client.call(&self.call, request).await, &self.refused) {
            (Ok(response), None) => self.check(&response, names),
            (Err(status), Some(expected)) => {
                expected.check(&refusal(&status), names)?;
                Ok(BTreeMap::new())
            }
            (Ok(response), Some(expected)) => {
                bail!(
                    "should be refused with {}, but answers {response}",
                    expected.reason
                )
            }
            (Err(status), None) => {
                bail!("should be accepted, but is refused: {:?}", refusal(&status))
            }
        }
    }

    fn check(
        &self,
        response: &Value,
        names: &BTreeMap<String, Value>,
    ) -> Result<BTreeMap<String, Value>> {
        if let Some(answers) = &self.answers {
            matches(response, &fill(answers, names)?, "")?;
        }
        for path in &self.absent {
            let found = at(response, path);
            ensure!(
                found.is_none_or(is_empty),
                "{path} should be absent, but is {found:?}"
            );
        }
        let mut kept = BTreeMap::new();
        for (name, path) in &self.keep {
            let value =
                at(response, path).with_context(|| format!("{path} is not in {response}"))?;
            kept.insert(name.clone(), value.clone());
        }
        Ok(kept)
    }
}

impl Expected {
    fn check(&self, refusal: &Refusal, names: &BTreeMap<String, Value>) -> Result<()> {
        ensure!(
            self.code == refusal.code && self.reason == refusal.reason,
            "should be {} {}, but is {refusal:?}",
            self.code,
            self.reason
        );
        for (key, value) in &self.metadata {
            let value = fill(&Value::String(value.clone()), names)?;
            let found = refusal.metadata.get(key).map(String::as_str);
            ensure!(
                found == value.as_str(),
                "metadata {key} should be {value}, but is {found:?}"
            );
        }
        if let Some(violations) = &self.violations {
            let violations = fill(&serde_json::to_value(violations)?, names)?;
            let found = serde_json::to_value(&refusal.violations)?;
            ensure!(
                violations == found,
                "violations should be {violations}, but are {found}"
            );
        }
        Ok(())
    }
}

/// `template` with each `$name` replaced: a whole value by a value, inside a text by its text.
fn fill(template: &Value, names: &BTreeMap<String, Value>) -> Result<Value> {
    Ok(match template {
        Value::String(text) => fill_text(text, names)?,
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| fill(item, names))
                .collect::<Result<_>>()?,
        ),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| Ok((key.clone(), fill(value, names)?)))
                .collect::<Result<_>>()?,
        ),
        other => other.clone(),
    })
}

fn fill_text(text: &str, names: &BTreeMap<String, Value>) -> Result<Value> {
    let Some(start) = text.find('$') else {
        return Ok(Value::String(text.to_owned()));
    };
    let rest = &text[start + 1..];
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let name = &rest[..end];
    let value = names
        .get(name)
        .with_context(|| format!("${name} is not known at this step"))?;
    if start == 0 && end == rest.len() {
        return Ok(value.clone());
    }
    let value = value
        .as_str()
        .with_context(|| format!("${name} is not a text"))?;
    fill_text(&format!("{}{value}{}", &text[..start], &rest[end..]), names)
}

/// Whether `found` has everything that `expected` has.
fn matches(found: &Value, expected: &Value, path: &str) -> Result<()> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (key, value) in expected {
                let path = format!("{path}.{key}");
                let inner = found
                    .get(key)
                    .with_context(|| format!("{path} is absent"))?;
                matches(inner, value, &path)?;
            }
            Ok(())
        }
        (Value::Array(found), Value::Array(expected)) => {
            ensure!(
                found.len() == expected.len(),
                "{path} should have {} items, but is {found:?}",
                expected.len()
            );
            for (index, (inner, value)) in found.iter().zip(expected).enumerate() {
                matches(inner, value, &format!("{path}[{index}]"))?;
            }
            Ok(())
        }
        _ => {
            ensure!(
                found == expected,
                "{path} should be {expected}, but is {found}"
            );
            Ok(())
        }
    }
}

/// The value at a dotted path; a number addresses an item of a list.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(value, |inner, key| match key.parse::<usize>() {
            Ok(index) if inner.is_array() => inner.get(index),
            _ => inner.get(key),
        })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
