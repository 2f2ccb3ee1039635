//! Questions in gRPC to containerd and to whatever speaks the CRI, a container on a connection.

mod containerd;
mod cri;

use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use prost::Message;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use crate::metadata::connect;
use crate::metadata::socket::{Failure, Kind, Socket};

/// What a socket says about a container.
pub(super) async fn find(socket: &Socket, wanted: &Wanted) -> Result<Option<Metadata>, Failure> {
    let connection = Connection::open(socket).await?;
    let of_pod = cri::find(&connection, wanted, socket.kind).await?;
    if socket.kind == Kind::Cri {
        return Ok(of_pod);
    }
    let found = containerd::find(&connection, wanted).await?;
    Ok(match (found, of_pod) {
        (Some(mut found), Some(of_pod)) => {
            found.adopt(&of_pod);
            Some(found)
        }
        (found, of_pod) => found.or(of_pod),
    })
}

/// A connection, for the questions about one container.
struct Connection {
    sender: SendRequest<Body>,
    answer_bytes: usize,
}

impl Connection {
    async fn open(socket: &Socket) -> Result<Self, Failure> {
        let answer_bytes = usize::try_from(socket.limits.answer_bytes).unwrap_or(usize::MAX);
        match connect::http2(&socket.path, socket.allowance()).await {
            Ok(sender) => Ok(Self { sender, answer_bytes }),
            // Others are of the protocol.
            Err(error) if error.get_ref().is_none() => Err(Failure::of_connect(error)),
            Err(error) if connect::is_cut(&error) => Err(Failure::Cut),
            Err(error) => Err(Failure::Malformed(error.to_string())),
        }
    }

    /// `None`: there is no such thing, or nobody who would know.
    async fn call<Q, A>(
        &self,
        method: &'static str,
        namespace: Option<&str>,
        question: Q,
    ) -> Result<Option<A>, Failure>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let service = Service(self.sender.clone());
        let mut client = Grpc::with_origin(service, Uri::from_static("http://localhost"))
            .max_decoding_message_size(self.answer_bytes);
        let mut request = tonic::Request::new(question);
        if let Some(namespace) = namespace {
            let namespace = MetadataValue::try_from(namespace)
                .map_err(|error| Failure::Malformed(format!("a namespace: {error}")))?;
            request.metadata_mut().insert("containerd-namespace", namespace);
        }
        let path = PathAndQuery::from_static(method);
        match client.unary(request, path, ProstCodec::<Q, A>::default()).await {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) => match status.code() {
                // An argument that is invalid is an id that could not be one of its containers'.
                Code::NotFound | Code::Unimplemented | Code::InvalidArgument => Ok(None),
                _ => Err(failure(&status)),
            },
        }
    }
}

fn failure(status: &Status) -> Failure {
    if let Some(cause) = status.source() {
        if connect::is_too_long(cause) {
            return Failure::TooLong;
        }
        if connect::is_cut(cause) {
            return Failure::Cut;
        }
        return Failure::Malformed(cause.to_string());
    }
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => Failure::TooLong,
        // What tonic itself says of bytes that are no message.
        Code::Internal => Failure::Malformed(status.message().to_owned()),
        code => Failure::Refused(code.to_string()),
    }
}

/// hyper's end of a connection, as tonic wants it.
struct Service(SendRequest<Body>);

impl GrpcService<Body> for Service {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

#[cfg(test)]
mod tests;
