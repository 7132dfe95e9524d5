//! An OpenTelemetry collector for tests: takes traces, metrics and logs over OTLP/gRPC and keeps them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Attributes by name, their values as text.
pub type Attributes = BTreeMap<String, String>;

/// A collector that runs until it is dropped.
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    received: Received,
    /// Its own, so that its connections end with it.
    runtime: Option<Runtime>,
}

/// What arrived. Clones share it.
#[derive(Clone, Default)]
struct Received {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
    /// Whether to keep who sends something waiting for ever.
    hangs: bool,
}

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct Span {
    /// The process that sent it, by its resource.
    pub process: Attributes,
    /// Its name.
    pub name: String,
    /// `SERVER` is 2, `CLIENT` 3.
    pub kind: i32,
    /// The trace, in hexadecimal digits.
    pub trace: String,
    /// Its id, in hexadecimal digits.
    pub id: String,
    /// Its parent's, empty for none.
    pub parent: String,
    /// Its attributes.
    pub attributes: Attributes,
}

/// The values of a metric that arrived under one set of labels.
#[derive(Clone, Debug)]
pub struct Point {
    /// The service that sent it.
    pub service: String,
    /// The metric's name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Its description.
    pub description: String,
    /// `counter`, `level`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: Attributes,
    /// Its value; of a histogram the number of what was recorded.
    pub value: f64,
}

/// A log line as it arrived.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it says.
    pub body: String,
    /// The trace that it was written in, empty for none.
    pub trace: String,
    /// The span that it was written in, empty for none.
    pub span: String,
}

impl Span {
    /// The service that sent it.
    pub fn service(&self) -> &str {
        &self.process["service.name"]
    }
}

impl Collector {
    /// Starts one on a free port.
    ///
    /// # Panics
    ///
    /// Panics where there is none.
    pub fn start() -> Self {
        Self::run(Received::default())
    }

    /// Starts one that takes connections and answers nothing.
    ///
    /// # Panics
    ///
    /// Panics where there is no free port.
    pub fn start_hanging() -> Self {
        let received = Received {
            hangs: true,
            ..Received::default()
        };
        Self::run(received)
    }

    fn run(received: Received) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("its address");
        let serving = Server::builder()
            .add_service(TraceServiceServer::new(received.clone()))
            .add_service(MetricsServiceServer::new(received.clone()))
            .add_service(LogsServiceServer::new(received.clone()));
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.spawn(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let incoming = TcpListenerStream::new(listener);
            serving.serve_with_incoming(incoming).await.expect("serves");
        });
        Self {
            address,
            received,
            runtime: Some(runtime),
        }
    }

    /// The arguments that make a process send to it.
    pub fn arguments(&self) -> Vec<String> {
        vec![
            "--otlp-endpoint".to_owned(),
            format!("http://{}", self.address),
        ]
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let mut found = Vec::new();
        for sent in &*lock(&self.received.traces) {
            for of_process in &sent.resource_spans {
                let process = resource(of_process.resource.as_ref());
                let spans = of_process.scope_spans.iter().flat_map(|scope| &scope.spans);
                found.extend(spans.map(|span| Span {
                    process: process.clone(),
                    name: span.name.clone(),
                    kind: span.kind,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    attributes: attributes(&span.attributes),
                }));
            }
        }
        found
    }

    /// All points of metrics so far, the newest last.
    pub fn points(&self) -> Vec<Point> {
        let mut found = Vec::new();
        for sent in &*lock(&self.received.metrics) {
            for of_process in &sent.resource_metrics {
                let process = resource(of_process.resource.as_ref());
                let scopes = of_process.scope_metrics.iter();
                for metric in scopes.flat_map(|scope| &scope.metrics) {
                    for (kind, labels, value) in values(metric) {
                        found.push(Point {
                            service: process["service.name"].clone(),
                            name: metric.name.clone(),
                            unit: metric.unit.clone(),
                            description: metric.description.clone(),
                            kind,
                            labels,
                            value,
                        });
                    }
                }
            }
        }
        found
    }

    /// All log lines so far.
    pub fn lines(&self) -> Vec<Line> {
        let logs = lock(&self.received.logs);
        let records = logs
            .iter()
            .flat_map(|sent| &sent.resource_logs)
            .flat_map(|of_process| &of_process.scope_logs)
            .flat_map(|scope| &scope.log_records);
        records
            .map(|record| Line {
                body: text(record.body.as_ref()),
                trace: hex(&record.trace_id),
                span: hex(&record.span_id),
            })
            .collect()
    }

    /// Everything that arrived, as text, for looking for what must not be there.
    pub fn text(&self) -> String {
        format!(
            "{:?}\n{:?}\n{:?}",
            lock(&self.received.traces),
            lock(&self.received.metrics),
            lock(&self.received.logs)
        )
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Received {
    async fn take<M, R: Default>(
        &self,
        kept: &Mutex<Vec<M>>,
        request: Request<M>,
    ) -> Result<Response<R>, Status> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        lock(kept).push(request.into_inner());
        Ok(Response::new(R::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.take(&self.traces, request).await
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.take(&self.metrics, request).await
    }
}

#[tonic::async_trait]
impl LogsService for Received {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.take(&self.logs, request).await
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn resource(resource: Option<&Resource>) -> Attributes {
    resource.map_or_else(Attributes::new, |resource| attributes(&resource.attributes))
}

fn attributes(found: &[KeyValue]) -> Attributes {
    let all = found.iter();
    all.map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref())))
        .collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

/// Each point of a metric: its kind, labels and value.
fn values(metric: &Metric) -> Vec<(&'static str, Attributes, f64)> {
    let number = |kind: &'static str, points: &[NumberDataPoint]| {
        let all = points.iter();
        all.map(|point| {
            let value = match point.value {
                Some(number_data_point::Value::AsDouble(value)) => value,
                other => panic!("{}: {other:?}", metric.name),
            };
            (kind, attributes(&point.attributes), value)
        })
        .collect()
    };
    match &metric.data {
        Some(Data::Sum(sum)) if sum.is_monotonic => number("counter", &sum.data_points),
        Some(Data::Sum(sum)) => number("level", &sum.data_points),
        Some(Data::Gauge(gauge)) => number("gauge", &gauge.data_points),
        Some(Data::Histogram(histogram)) => histogram
            .data_points
            .iter()
            .map(|point| {
                let count = u32::try_from(point.count).expect("a small number");
                ("histogram", attributes(&point.attributes), f64::from(count))
            })
            .collect(),
        other => panic!("{}: {other:?}", metric.name),
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}
