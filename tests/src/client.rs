//! A gRPC client that knows only the protos: methods by name, messages as JSON.

use anyhow::{Context, Result, anyhow};
use bytes::{Buf, BufMut};
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use serve::tls::{ClientTls, Connector};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_types::StatusExt;

/// Calls any method of the suite, wherever its services listen.
#[derive(Clone)]
pub struct Client {
    contacts: Channel,
    pipeline: Channel,
    billing: Channel,
    token: Option<String>,
}

/// An answer and the headers it came with.
pub struct Answer {
    /// The response as proto JSON with the field names of the proto.
    pub body: Value,
    /// The response headers.
    pub metadata: MetadataMap,
}

impl Client {
    /// A client of three services at their URIs, which may be one and the same.
    pub fn new(contacts: &str, pipeline: &str, billing: &str) -> Result<Self> {
        Self::connect(contacts, pipeline, billing, |endpoint| {
            Ok(endpoint.connect_lazy())
        })
    }

    /// The same at `https://` addresses.
    pub fn over(tls: &ClientTls, contacts: &str, pipeline: &str, billing: &str) -> Result<Self> {
        Self::connect(contacts, pipeline, billing, |endpoint| {
            let connector = Connector::new(endpoint.uri(), tls.clone())?;
            Ok(endpoint.connect_with_connector_lazy(connector))
        })
    }

    fn connect(
        contacts: &str,
        pipeline: &str,
        billing: &str,
        connect: impl Fn(&Endpoint) -> Result<Channel>,
    ) -> Result<Self> {
        let channel = |uri: &str| -> Result<Channel> {
            connect(&Endpoint::from_shared(uri.to_owned())?.tcp_nodelay(true))
        };
        Ok(Self {
            contacts: channel(contacts)?,
            pipeline: channel(pipeline)?,
            billing: channel(billing)?,
            token: None,
        })
    }

    /// The same client, on whose calls this token stands.
    #[must_use]
    pub fn bearing(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// Sends a request, whatever it is, and gives what the server says to it. Of a stream only the
    /// beginning is waited for.
    pub async fn send(
        &self,
        method: &MethodDescriptor,
        message: DynamicMessage,
    ) -> Result<(), Status> {
        let request = self.signed(Request::new(message));
        let (mut grpc, path, codec) = self.prepare(method).await?;
        if method.is_server_streaming() {
            grpc.server_streaming(request, path, codec)
                .await
                .map(|_| ())
        } else {
            grpc.unary(request, path, codec).await.map(|_| ())
        }
    }

    fn signed<T>(&self, mut request: Request<T>) -> Request<T> {
        if let Some(token) = &self.token {
            let header = format!("Bearer {token}").parse().expect("a header");
            request.metadata_mut().insert("authorization", header);
        }
        request
    }

    /// Calls `Service/Method` (the package is found) with a request as proto JSON.
    ///
    /// # Panics
    ///
    /// Panics when the method or the request does not fit the protos: that is the test's mistake.
    pub async fn call(&self, method: &str, request: Value) -> Result<Value, Status> {
        Ok(self.call_with(method, request, &[]).await?.body)
    }

    /// As [`Client::call`], with request headers, and giving the response's.
    pub async fn call_with(
        &self,
        method: &str,
        request: Value,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Status> {
        let method = find(method).expect("a method of the protos");
        let request = request_of(&method, request).expect("a request that fits the protos");
        let mut request = self.signed(request);
        for (name, value) in headers {
            request
                .metadata_mut()
                .insert(*name, value.parse().expect("a header"));
        }
        let (mut grpc, path, codec) = self.prepare(&method).await?;
        let response = grpc.unary(request, path, codec).await?;
        let (metadata, message, _) = response.into_parts();
        Ok(Answer {
            body: to_json(&message),
            metadata,
        })
    }

    /// Opens a server stream.
    pub async fn open(&self, method: &str, request: Value) -> Result<Stream, Status> {
        let method = find(method).expect("a method of the protos");
        let request = request_of(&method, request).expect("a request that fits the protos");
        let request = self.signed(request);
        let (mut grpc, path, codec) = self.prepare(&method).await?;
        Ok(Stream(
            grpc.server_streaming(request, path, codec)
                .await?
                .into_inner(),
        ))
    }

    async fn prepare(
        &self,
        method: &MethodDescriptor,
    ) -> Result<(Grpc<Channel>, PathAndQuery, DynamicCodec), Status> {
        let service = method.parent_service().full_name().to_owned();
        let channel = match service.split('.').nth(1) {
            Some("contacts") => &self.contacts,
            Some("pipeline") => &self.pipeline,
            _ => &self.billing,
        };
        let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(16 << 20);
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let path = format!("/{service}/{}", method.name());
        let path = PathAndQuery::try_from(path).expect("a method's path");
        Ok((grpc, path, DynamicCodec(method.output())))
    }
}

/// The messages of a server stream, as proto JSON.
pub struct Stream(Streaming<DynamicMessage>);

impl Stream {
    /// The next message; `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<Value>, Status> {
        Ok(self.0.message().await?.as_ref().map(to_json))
    }
}

/// The method called `Service/Method` or `package.Service/Method`.
pub fn find(name: &str) -> Result<MethodDescriptor> {
    let (service, method) = name
        .split_once('/')
        .context("a method is written Service/Method")?;
    let found = proto::pool()
        .services()
        .find(|candidate| candidate.name() == service || candidate.full_name() == service);
    found
        .and_then(|service| {
            service
                .methods()
                .find(|candidate| candidate.name() == method)
        })
        .ok_or_else(|| anyhow!("the protos have no method {name}"))
}

fn request_of(method: &MethodDescriptor, body: Value) -> Result<Request<DynamicMessage>> {
    let body = if body.is_null() {
        Value::Object(serde_json::Map::new())
    } else {
        body
    };
    let message = DynamicMessage::deserialize(method.input(), body)
        .with_context(|| format!("the request of {}", method.full_name()))?;
    Ok(Request::new(message))
}

fn to_json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("a response is written as JSON")
}

/// A refusal as the error details tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC code, such as `FAILED_PRECONDITION`.
    pub code: String,
    /// The reason of the `ErrorInfo`.
    pub reason: String,
    /// The metadata of the `ErrorInfo`.
    pub metadata: std::collections::BTreeMap<String, String>,
    /// The paths of the `BadRequest`'s field violations, then the subjects of the
    /// `PreconditionFailure`'s violations.
    pub violations: Vec<String>,
    /// The message.
    pub message: String,
}

/// Reads a refusal out of a status.
pub fn refusal(status: &Status) -> Refusal {
    let info = status.get_details_error_info();
    let fields = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations);
    let guards = status
        .get_details_precondition_failure()
        .map(|failure| failure.violations);
    let fields = fields
        .into_iter()
        .flatten()
        .map(|violation| violation.field);
    let guards = guards
        .into_iter()
        .flatten()
        .map(|violation| violation.subject);
    Refusal {
        code: code_name(status.code()).to_owned(),
        reason: info
            .as_ref()
            .map(|info| info.reason.clone())
            .unwrap_or_default(),
        metadata: info
            .map(|info| info.metadata.into_iter().collect())
            .unwrap_or_default(),
        violations: fields.chain(guards).collect(),
        message: status.message().to_owned(),
    }
}

fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Encodes and decodes messages by their descriptors.
struct DynamicCodec(MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> DynamicDecoder {
        DynamicDecoder(self.0.clone())
    }
}

struct DynamicEncoder;

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item.encode_to_vec().as_slice());
        Ok(())
    }
}

struct DynamicDecoder(MessageDescriptor);

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        DynamicMessage::decode(self.0.clone(), bytes)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
