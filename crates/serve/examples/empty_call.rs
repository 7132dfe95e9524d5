//! What the stack costs: an empty unary call to a bare tonic server and to one of ours, side by side
//! in one process.
//!
//! `cargo run --release -p clientele-serve --example empty_call [seconds per measurement] [log filter]`
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use http::uri::PathAndQuery;
use prost::Message;
use serve::telemetry::{Export, Logs};
use serve::{Config, Server, Services};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

/// A service whose one method answers at once.
#[derive(Clone)]
struct Empty;

impl NamedService for Empty {
    const NAME: &'static str = "serve.example.v1.Empty";
}

impl Service<http::Request<Body>> for Empty {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Nothing, Nothing>::default());
        let handler =
            service_fn(|_: Request<Nothing>| async { Ok::<_, Status>(Response::new(Nothing {})) });
        Box::pin(async move { Ok(grpc.unary(handler, request).await) })
    }
}

async fn bare() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tonic::transport::Server::builder().add_service(Empty);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Ok(address)
}

async fn ours() -> Result<SocketAddr, Failure> {
    let server = Server::bind(Config::on_free_port()).await?;
    let address = server.address();
    tokio::spawn(server.run(Services::new().with(Empty), std::future::pending()));
    Ok(address)
}

/// Calls per second of `clients` connections, each with one call at a time.
async fn measure(address: SocketAddr, clients: u32, span: Duration) -> Result<f64, Failure> {
    let mut tasks = Vec::new();
    let begun = Instant::now();
    let path = PathAndQuery::from_static("/serve.example.v1.Empty/Call");
    for _ in 0..clients {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        let mut grpc = tonic::client::Grpc::new(endpoint.connect().await?);
        let path = path.clone();
        tasks.push(tokio::spawn(async move {
            let mut calls = 0_u32;
            while begun.elapsed() < span {
                grpc.ready().await?;
                let codec = ProstCodec::<Nothing, Nothing>::default();
                grpc.unary(Request::new(Nothing {}), path.clone(), codec)
                    .await?;
                calls += 1;
            }
            Ok::<_, Failure>(calls)
        }));
    }
    let mut calls = 0;
    for task in tasks {
        calls += task.await??;
    }
    Ok(f64::from(calls) / begun.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let seconds = std::env::args().nth(1).map_or(Ok(3), |text| text.parse())?;
    let span = Duration::from_secs(seconds);
    let mut logs = Logs::default();
    if let Some(filter) = std::env::args().nth(2) {
        logs.filter = filter;
    }
    // Nothing leaves the process, unless OTEL_EXPORTER_OTLP_ENDPOINT says where to.
    let export = Export {
        endpoint: None,
        service: "empty-call".to_owned(),
        version: "0",
    };
    let _telemetry = serve::telemetry::init(&logs, &export).await?;
    let (bare, ours) = (bare().await?, ours().await?);
    for address in [bare, ours] {
        measure(address, 8, span / 3).await?;
    }
    println!("clients  bare/s  ours/s  ratio");
    for clients in [1, 32] {
        // Turns, so that a change of the machine's load falls on both.
        let (mut of_bare, mut of_ours) = (0.0, 0.0);
        for _ in 0..3 {
            of_bare += measure(bare, clients, span).await? / 3.0;
            of_ours += measure(ours, clients, span).await? / 3.0;
        }
        let ratio = of_ours / of_bare;
        println!("{clients:>7}  {of_bare:>6.0}  {of_ours:>6.0}  {ratio:>5.2}");
    }
    Ok(())
}
