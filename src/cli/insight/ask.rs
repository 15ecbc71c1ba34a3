//! Sends requests to the admin port of a running proxy.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use redoubt::config::{ConfigError, Endpoint, Environment, Settings};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::args::Admin;

/// Most bytes of a response.
const ANSWER: usize = 64 << 20;

/// The reason why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("admin.listen is \"off\", so there is no admin port to connect to")]
    Off,
    #[error("admin.listen leaves the port to the system: write --admin HOST:PORT")]
    NoPort,
    #[error("cannot send the request")]
    Start(#[source] io::Error),
    #[error("cannot connect to the admin port {0}")]
    Connect(Endpoint, #[source] io::Error),
    #[error("the admin port {0} does not answer within {1:?}")]
    Timeout(Endpoint, Duration),
    #[error("the admin port {0} sent a response that this version of Redoubt does not understand")]
    Answer(Endpoint),
    #[error("the admin port {0} responds {1}: {2}")]
    Refused(Endpoint, StatusCode, String),
}

/// A response.
pub(super) struct Answer {
    endpoint: Endpoint,
    pub(super) status: StatusCode,
    pub(super) body: String,
}

impl Answer {
    /// Parses the response.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, AskError> {
        let Self { endpoint, status, body } = self;
        if !status.is_success() {
            let line = reason(&body);
            return Err(AskError::Refused(endpoint, status, line));
        }
        serde_json::from_str(&body).map_err(|_| AskError::Answer(endpoint))
    }
}

/// Returns the reason in a response that is no success: its first line, or the text of its field `error`.
fn reason(body: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(body).ok();
    let error = parsed.as_ref().and_then(|parsed| parsed.get("error")?.as_str());
    let line = error.or_else(|| body.lines().next()).unwrap_or_default();
    line.escape_debug().to_string()
}

/// Requests `path` by GET; waits at most `limit`.
pub(super) fn ask(admin: &Admin, path: &str, limit: Duration) -> Result<Answer, AskError> {
    ask_by(Method::GET, admin, path, limit)
}

/// Like [`ask`], by `method`.
pub(super) fn ask_by(
    method: Method,
    admin: &Admin,
    path: &str,
    limit: Duration,
) -> Result<Answer, AskError> {
    let endpoint = endpoint(admin)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AskError::Start)?;
    runtime.block_on(async {
        let answer = timeout(limit, exchange(method, &endpoint, path)).await;
        answer.map_err(|_| AskError::Timeout(endpoint, limit))?
    })
}

/// Returns the address to connect to. If the port listens on all addresses, the loopback address is
/// used.
fn endpoint(admin: &Admin) -> Result<Endpoint, AskError> {
    let mut endpoint = match &admin.admin {
        Some(endpoint) => endpoint.clone(),
        None => Settings::load(admin.config.file.as_deref(), &Environment::of_process())?
            .admin
            .ok_or(AskError::Off)?,
    };
    if let Ok(Ipv4Addr::UNSPECIFIED) = endpoint.host.parse() {
        endpoint.host = Ipv4Addr::LOCALHOST.to_string();
    } else if let Ok(Ipv6Addr::UNSPECIFIED) = endpoint.host.parse() {
        endpoint.host = Ipv6Addr::LOCALHOST.to_string();
    }
    if endpoint.port == 0 { Err(AskError::NoPort) } else { Ok(endpoint) }
}

async fn exchange(method: Method, endpoint: &Endpoint, path: &str) -> Result<Answer, AskError> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|source| AskError::Connect(endpoint.clone(), source))?;
    // The admin port requires an address in the Host header, not a name.
    let host = stream.peer_addr().map_err(|source| AskError::Connect(endpoint.clone(), source))?;
    let wrong = || AskError::Answer(endpoint.clone());
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| wrong())?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|_| wrong())?;
    let (head, body) = sender.send_request(request).await.map_err(|_| wrong())?.into_parts();
    let body = Limited::new(body, ANSWER).collect().await.map_err(|_| wrong())?;
    let body = String::from_utf8(body.to_bytes().into()).map_err(|_| wrong())?;
    Ok(Answer { endpoint: endpoint.clone(), status: head.status, body })
}
