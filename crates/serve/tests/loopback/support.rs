//! A tiny service with one method per thing a server must get right, and a server that runs it.
//!
//! It is written by hand, with its descriptors, so that these tests need no protos.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{Stream, StreamExt, stream};
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    ServiceDescriptorProto,
};
use serve::telemetry::{Export, Logs, Telemetry};
use serve::tls::{ClientTls, ServerTls};
use serve::{Config, Health, Peer, Protection, Server, Services};
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

pub const SERVICE: &str = "serve.test.v1.Probe";

/// The one message of the service.
#[derive(Clone, PartialEq, Message)]
pub struct Note {
    #[prost(string, tag = "1")]
    pub text: String,
    /// What the handler saw of its call.
    #[prost(string, tag = "2")]
    pub trace_id: String,
    #[prost(string, tag = "3")]
    pub traceparent: String,
    #[prost(string, tag = "4")]
    pub peer: String,
    #[prost(uint64, tag = "5")]
    pub left_us: u64,
    #[prost(uint64, tag = "6")]
    pub grpc_timeout_us: u64,
}

/// The service.
#[derive(Clone, Default)]
pub struct Probe {
    /// Lets the calls of `Hold` and the streams of `Export` finish.
    pub release: Arc<Notify>,
    /// A `Hold` has begun.
    pub held: Arc<Notify>,
    /// A handler of `Hold` was dropped before it finished.
    pub dropped: Arc<AtomicBool>,
    /// Where `Relay` asks.
    pub next: Option<Peer>,
}

struct DropFlag(Arc<AtomicBool>);

impl Drop for DropFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Probe {
    async fn unary(self, method: String, request: Request<Note>) -> Result<Response<Note>, Status> {
        match method.as_str() {
            "Echo" => Ok(Response::new(seen(&request))),
            "Panic" => panic!("a handler that panics on purpose"),
            "Fail" => Err(Status::internal("it broke")),
            "Hold" => {
                let unfinished = DropFlag(Arc::clone(&self.dropped));
                self.held.notify_one();
                self.release.notified().await;
                std::mem::forget(unfinished);
                Ok(Response::new(seen(&request)))
            }
            "Relay" => {
                let deadline = serve::deadline(&request);
                let peer = self.next.expect("a peer was set");
                let asked = serve::peer::request(deadline, request.into_inner());
                call(peer, "Echo", asked).await
            }
            _ => Err(Status::unimplemented("")),
        }
    }

    fn stream(self, method: &str) -> impl Stream<Item = Result<Note, Status>> + Send + use<> {
        let note = || Ok(Note::default());
        match method {
            "WatchNotes" => stream::iter([note()]).chain(stream::pending()).boxed(),
            "WatchFlood" => stream::repeat_with(note).boxed(),
            "WatchPanic" => stream::iter(0..2)
                .map(move |n| {
                    if n == 0 {
                        note()
                    } else {
                        panic!("a stream that panics")
                    }
                })
                .boxed(),
            _ => {
                let release = self.release;
                let rest = stream::once(async move {
                    release.notified().await;
                    note()
                });
                stream::iter([note()]).chain(rest).boxed()
            }
        }
    }
}

/// What a handler saw.
fn seen(request: &Request<Note>) -> Note {
    let metadata = |key: &str| {
        let value = request.metadata().get(key);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let micros = metadata("grpc-timeout");
    Note {
        text: request.get_ref().text.clone(),
        trace_id: serve::caller(request).trace_id.to_string(),
        traceparent: metadata("traceparent"),
        peer: serve::caller(request).peer.unwrap_or_default().to_owned(),
        left_us: u64::try_from(serve::deadline(request).remaining().as_micros()).expect("fits"),
        grpc_timeout_us: micros
            .strip_suffix('u')
            .and_then(|n| n.parse().ok())
            .unwrap_or_default(),
    }
}

impl NamedService for Probe {
    const NAME: &'static str = SERVICE;
}

impl Service<http::Request<Body>> for Probe {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let probe = self.clone();
        let method = request
            .uri()
            .path()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Note, Note>::default());
        Box::pin(async move {
            if method.starts_with("Watch") || method == "Export" {
                let handler = service_fn(move |_: Request<Note>| {
                    let answer = Response::new(probe.clone().stream(&method));
                    let opens = method != "WatchNever";
                    async move {
                        if !opens {
                            std::future::pending::<()>().await;
                        }
                        Ok::<_, Status>(answer)
                    }
                });
                return Ok(grpc.server_streaming(handler, request).await);
            }
            let handler = service_fn(move |request| probe.clone().unary(method.clone(), request));
            Ok(grpc.unary(handler, request).await)
        })
    }
}

/// The descriptors of [`Probe`], encoded.
pub fn descriptors() -> &'static [u8] {
    static ENCODED: OnceLock<Vec<u8>> = OnceLock::new();
    ENCODED.get_or_init(|| {
        let method = |name: &str| MethodDescriptorProto {
            name: Some(name.to_owned()),
            input_type: Some(".serve.test.v1.Note".to_owned()),
            output_type: Some(".serve.test.v1.Note".to_owned()),
            server_streaming: Some(name.starts_with("Watch") || name == "Export"),
            ..MethodDescriptorProto::default()
        };
        let methods = [
            "Echo",
            "Panic",
            "Fail",
            "Hold",
            "Relay",
            "WatchNotes",
            "WatchFlood",
            "WatchPanic",
            "WatchNever",
            "Export",
        ];
        let file = FileDescriptorProto {
            name: Some("serve/test/v1/probe.proto".to_owned()),
            package: Some("serve.test.v1".to_owned()),
            message_type: vec![DescriptorProto {
                name: Some("Note".to_owned()),
                ..DescriptorProto::default()
            }],
            service: vec![ServiceDescriptorProto {
                name: Some("Probe".to_owned()),
                method: methods.map(method).to_vec(),
                ..ServiceDescriptorProto::default()
            }],
            syntax: Some("proto3".to_owned()),
            ..FileDescriptorProto::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    })
}

/// A server with the service, on a port of its own.
pub struct Running {
    pub address: SocketAddr,
    pub health_address: Option<SocketAddr>,
    pub probe: Probe,
    pub health: Health,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<(), serve::ServerError>>,
}

impl Running {
    /// Starts the server of these settings.
    pub async fn start(config: Config, probe: Probe) -> Self {
        trace().await;
        let server = Server::bind(config).await.expect("loopback binds");
        Self::run(server, probe)
    }

    /// Starts the server of these settings, which speaks TLS.
    pub async fn start_over(tls: ServerTls, config: Config) -> Self {
        trace().await;
        let protection = Protection {
            tls: Some(tls),
            ..Protection::default()
        };
        let server = Server::bind_protected(config, protection).await;
        Self::run(server.expect("loopback binds"), Probe::default())
    }

    /// Runs a bound server.
    pub fn run(server: Server, probe: Probe) -> Self {
        let server = server.describe(descriptors());
        let (stop, stopped) = oneshot::channel();
        let (address, health) = (server.address(), server.health());
        let health_address = server.health_address();
        let services = Services::new().with(probe.clone());
        let ended = tokio::spawn(server.run(services, async move {
            let _ = stopped.await;
        }));
        Self {
            address,
            health_address,
            probe,
            health,
            stop: Some(stop),
            ended,
        }
    }

    /// Begins the shutdown.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server has ended; how long that took.
    pub async fn ended(self) -> Duration {
        let begun = Instant::now();
        self.ended.await.expect("no panic").expect("no error");
        begun.elapsed()
    }

    /// A plain channel, without anything of ours on the client's side.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("a URI");
        endpoint.connect().await.expect("the server listens")
    }

    /// A channel as the suite's services use it.
    pub fn peer(&self) -> Peer {
        Peer::connect_lazy(&format!("http://{}", self.address), "billing").expect("a URI")
    }

    /// The same over TLS, to this host of the server.
    pub fn peer_over(&self, tls: &ClientTls, host: &str) -> Peer {
        let uri = format!("https://{host}:{}", self.address.port());
        Peer::connect_lazy_over(&uri, "billing", Some(tls.clone())).expect("a URI")
    }
}

/// Calls a unary method.
pub async fn call<C>(
    channel: C,
    method: &str,
    request: Request<Note>,
) -> Result<Response<Note>, Status>
where
    C: tonic::client::GrpcService<Body>,
    C::Error: Into<tonic::codegen::StdError>,
    C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <C::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
{
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    grpc.unary(request, path(method), ProstCodec::default())
        .await
}

/// Opens a stream.
pub async fn open(channel: Channel, method: &str) -> Streaming<Note> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.expect("connected");
    let request = Request::new(Note::default());
    let opened = grpc
        .server_streaming(request, path(method), ProstCodec::<Note, Note>::default())
        .await;
    opened.expect("the stream opens").into_inner()
}

/// Reads a stream to its end; how many messages came and what ended it.
pub async fn read_out(mut notes: Streaming<Note>) -> (usize, Status) {
    let mut count = 0;
    loop {
        match notes.message().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, Status::ok("")),
            Err(status) => return (count, status),
        }
    }
}

fn path(method: &str) -> PathAndQuery {
    format!("/{SERVICE}/{method}").parse().expect("a path")
}

/// An empty request that must be answered within `timeout`.
pub fn within(timeout: Duration) -> Request<Note> {
    let mut request = Request::new(Note::default());
    request.set_timeout(timeout);
    request
}

/// The reason of a refusal.
pub fn reason(status: &Status) -> String {
    use tonic_types::StatusExt;
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// The trace id that a fault names.
pub fn request_id(status: &Status) -> String {
    use tonic_types::StatusExt;
    status
        .get_details_request_info()
        .map(|info| info.request_id)
        .unwrap_or_default()
}

/// Sets up tracing once for the test binary.
pub async fn trace() {
    static TELEMETRY: OnceCell<Telemetry> = OnceCell::const_new();
    let init = async || {
        let logs = Logs {
            filter: "off".to_owned(),
            ..Logs::default()
        };
        let export = Export {
            endpoint: None,
            service: "loopback".to_owned(),
            version: "0",
        };
        // The hook withholds what a panic says; a failed test should say it.
        let hook = std::panic::take_hook();
        let telemetry = serve::telemetry::init(&logs, &export).await;
        std::panic::set_hook(hook);
        telemetry.expect("set up once")
    };
    TELEMETRY.get_or_init(init).await;
}
