//! The empty call: what a bare tonic server on the same machine does, in a process of its own.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::process::Stdio;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::load::Call;

/// Serves empty calls until it is killed; prints where.
#[expect(clippy::print_stdout, reason = "the line that its parent waits for")]
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    // The server's own setting does not reach a listener that it is given.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .add_service(Empty)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

#[derive(Clone)]
struct Empty;

impl NamedService for Empty {
    const NAME: &'static str = "bench.Empty";
}

impl Service<http::Request<Body>> for Empty {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            Ok(Grpc::new(ProstCodec::<(), ()>::default())
                .unary(Nothing, request)
                .await)
        })
    }
}

struct Nothing;

impl UnaryService<()> for Nothing {
    type Response = ();
    type Future = Ready<Result<Response<()>, Status>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

/// A process that serves empty calls, killed when dropped.
pub struct Process {
    /// Where it listens.
    pub uri: String,
    _child: Child,
}

impl Process {
    /// Starts this program again as the server.
    pub async fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--empty-server")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("its standard output")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        Ok(Self {
            uri: line.context("the server ended")?,
            _child: child,
        })
    }
}

/// Makes empty calls.
pub struct Caller(Vec<Channel>);

impl Caller {
    /// A caller with a connection for every sixteen clients.
    pub fn new(uri: &str, clients: usize) -> Result<Self> {
        Ok(Self(channels(uri, clients)?))
    }
}

/// A connection for every sixteen clients.
pub fn channels(uri: &str, clients: usize) -> Result<Vec<Channel>> {
    let endpoint = Endpoint::from_shared(uri.to_owned())?.tcp_nodelay(true);
    Ok((0..clients.div_ceil(16))
        .map(|_| endpoint.connect_lazy())
        .collect())
}

impl Call for Caller {
    async fn call(&self, client: usize, _: usize) -> bool {
        let mut grpc = tonic::client::Grpc::new(self.0[client / 16].clone());
        let path = PathAndQuery::from_static("/bench.Empty/Call");
        let codec = ProstCodec::<(), ()>::default();
        grpc.ready().await.is_ok() && grpc.unary(Request::new(()), path, codec).await.is_ok()
    }
}
