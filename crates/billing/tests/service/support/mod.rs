//! What the tests of this crate share: billing on a real port over a fresh database, and a pipeline
//! of their own that gives and recalls grants.

mod pipeline;
mod rows;
mod running;
mod truth;

use std::collections::BTreeMap;
use std::time::Duration;

use proto::billing::v1;
use proto::errors::v1::Reason;
use proto::google::r#type as google;
use proto::status;
use store::testing::{Engine, FreshUrl, engines};
use tonic::{Code, Status};
use types::Clock;

pub use pipeline::Pipeline;
pub use rows::{execute, rows};
pub use running::Running;
pub use truth::truth;

/// Longer than anything takes unless it hangs.
pub const LONG: Duration = Duration::from_secs(20);

/// Runs a test once per engine, one after the other.
#[expect(
    clippy::print_stdout,
    reason = "a test that fails says on which engine"
)]
pub async fn on_every_engine<F: AsyncFn(Engine)>(test: F) {
    for engine in engines() {
        println!("on {}", engine.name());
        Box::pin(test(engine)).await;
    }
}

/// A database and a pipeline; billing is started on them, more than once where a test wants.
pub struct Suite {
    pub url: FreshUrl,
    pub pipeline: Pipeline,
}

impl Suite {
    pub async fn new(engine: &Engine) -> Self {
        Self {
            url: engine.fresh_url().await,
            pipeline: Pipeline::start().await,
        }
    }

    /// Billing with its follower of recalls.
    pub async fn start(&self) -> Running {
        Running::start(&self.url, &self.pipeline.uri(), Clock::system(), true).await
    }

    /// Billing without its follower: recalls and fences wait.
    pub async fn start_without_follower(&self) -> Running {
        self.start_at(Clock::system()).await
    }

    /// The same, with one place for calls.
    pub async fn start_with_one_place(&self) -> Running {
        let concurrency = serve::Concurrency {
            calls_max: 1,
            ..serve::Concurrency::default()
        };
        let (uri, clock) = (self.pipeline.uri(), Clock::system());
        Running::start_with(concurrency, &self.url, &uri, clock, false).await
    }

    /// The same by a clock of the test's.
    pub async fn start_at(&self, clock: Clock) -> Running {
        Running::start(&self.url, &self.pipeline.uri(), clock, false).await
    }

    /// The same over another way to the database.
    pub async fn start_over(&self, url: &str) -> Running {
        Running::start(url, &self.pipeline.uri(), Clock::system(), false).await
    }

    /// A store over the same database, to look behind the service.
    pub fn store(&self) -> store::Store {
        store::testing::open(&self.url, &billing::MIGRATIONS)
    }
}

/// The workspace of the tests.
pub const PARENT: &str = "workspaces/default";

pub fn contact(id: &str) -> String {
    format!("{PARENT}/contacts/{id}")
}

#[expect(clippy::unnecessary_wraps, reason = "fields of messages are optional")]
pub fn decimal(text: &str) -> Option<google::Decimal> {
    Some(google::Decimal {
        value: text.to_owned(),
    })
}

/// 2 * 10.50 EUR with 19 % tax: net 21.00, tax 3.99, gross 24.99.
pub fn invoice(contact: &str) -> v1::Invoice {
    v1::Invoice {
        contact: contact.to_owned(),
        currency_code: "EUR".into(),
        lines: vec![v1::LineItem {
            description: "Tiles".into(),
            quantity: decimal("2"),
            unit_price: decimal("10.50"),
            tax_rate: decimal("19"),
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub fn create_request() -> v1::CreateInvoiceRequest {
    v1::CreateInvoiceRequest {
        parent: PARENT.into(),
        ..Default::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "fields of messages are optional")]
pub fn money(units: i64, nanos: i32) -> Option<google::Money> {
    Some(google::Money {
        currency_code: "EUR".into(),
        units,
        nanos,
    })
}

/// Code, reason and metadata of a refusal.
pub fn refusal(status: &Status) -> (Code, Option<Reason>, BTreeMap<String, String>) {
    (
        status.code(),
        status::reason(status),
        status::metadata(status),
    )
}

pub fn assert_refused(status: &Status, reason: Reason) {
    assert_eq!(status::reason(status), Some(reason), "{status:?}");
    assert_eq!(status.code(), reason.code());
}

/// The fields that a FIELD_INVALID names.
pub fn fields(status: &Status) -> Vec<String> {
    use tonic_types::StatusExt as _;
    let details = status.get_details_bad_request().expect("a BadRequest");
    details
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// Polls until `check` is true; fails after a long time.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut check: F) {
    let deadline = tokio::time::Instant::now() + LONG;
    while !check().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "never came true: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Billing without its follower, and a contact who is a client.
pub async fn with_client(engine: &Engine) -> (Suite, Running, String) {
    let suite = Suite::new(engine).await;
    let billing = suite.start_without_follower().await;
    let ada = contact("ada");
    suite.pipeline.put(&ada, "client");
    (suite, billing, ada)
}
