//! The paths of the admin port, who may request each, and the responses.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use percent_encoding::percent_decode_str;
use serde::Serialize;
use tokio::time::timeout;

use super::Admin;
use super::access::{Ends, refusal};
use super::grants::grants;
use super::reload::{WAIT, reload};
use crate::status::{Learned, Refused};
use crate::telemetry;

type Answer = Response<Full<Bytes>>;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// Prometheus's text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long a request for sessions waits while another list of sessions is being made.
const SESSIONS_WAIT: Duration = Duration::from_secs(5);

/// A path of the admin port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Livez,
    Readyz,
    Metrics,
    Sessions,
    Stats,
    Refused,
    Learn,
    Observed,
    Reload,
    Grants,
}

impl Route {
    const ALL: [Self; 10] = [
        Self::Livez,
        Self::Readyz,
        Self::Metrics,
        Self::Sessions,
        Self::Stats,
        Self::Refused,
        Self::Learn,
        Self::Observed,
        Self::Reload,
        Self::Grants,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Metrics => "/metrics",
            Self::Sessions => "/sessions",
            Self::Stats => "/stats",
            Self::Refused => "/refused",
            Self::Learn => "/learn",
            Self::Observed => "/observed",
            Self::Reload => "/reload",
            Self::Grants => "/grants",
        }
    }

    fn methods(self) -> &'static [Method] {
        match self {
            Self::Reload => &[Method::POST],
            Self::Grants => &[Method::GET, Method::HEAD, Method::POST, Method::DELETE],
            _ => &[Method::GET, Method::HEAD],
        }
    }

    /// Returns whether only programs on this machine may request this path.
    fn is_local(self) -> bool {
        !matches!(self, Self::Livez | Self::Readyz | Self::Metrics)
    }

    fn exists(self, admin: &Admin) -> bool {
        self != Self::Metrics || admin.metrics
    }
}

/// Answers `request`, which came over a connection with these `ends`.
pub(super) async fn answer(request: Request<Incoming>, ends: Ends, admin: &Admin) -> Answer {
    let mut routes = Route::ALL.into_iter().filter(|route| route.exists(admin));
    let Some(route) = routes.clone().find(|route| route.path() == request.uri().path()) else {
        let known: String = routes.by_ref().map(|route| format!("{}\n", route.path())).collect();
        return plain(StatusCode::NOT_FOUND, known);
    };
    if !route.methods().contains(request.method()) {
        return not_allowed(route.methods());
    }
    if let Some(refusal) = refusal(request.headers(), ends).filter(|_| route.is_local()) {
        return plain(StatusCode::FORBIDDEN, refusal.to_owned());
    }
    if !request.body().is_end_stream() {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "no body is taken\n".to_owned());
    }
    match route {
        Route::Livez => health(&admin.insight.unlive()),
        Route::Readyz => health(&admin.insight.unready()),
        Route::Metrics => with(StatusCode::OK, PROMETHEUS, telemetry::metrics::render()),
        Route::Sessions => match timeout(SESSIONS_WAIT, admin.listing_sessions.lock()).await {
            Ok(_one_at_a_time) => match identity(request.uri().query()) {
                Ok(identity) => json(StatusCode::OK, &admin.insight.sessions(identity).await),
                Err(text) => plain(StatusCode::BAD_REQUEST, text),
            },
            Err(_) => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "other requests for sessions are in progress; try again\n".to_owned(),
            ),
        },
        Route::Stats => json(StatusCode::OK, &admin.insight.stats().await),
        Route::Refused => match since(request.uri().query()) {
            Ok(since) => json(StatusCode::OK, &admin.insight.refused(since).await),
            Err(text) => plain(StatusCode::BAD_REQUEST, text),
        },
        Route::Grants => {
            let (status, answer) = grants(&request, ends, &admin.grants).await;
            json(status, &answer)
        }
        Route::Learn => match of_identity(request.uri().query()) {
            Ok((name, since)) => or_unknown(admin.insight.learning.learned(&name, since).await),
            Err(text) => plain(StatusCode::BAD_REQUEST, text),
        },
        Route::Observed => match of_identity(request.uri().query()) {
            Ok((name, None)) => or_unknown(admin.insight.learning.observed(&name).await),
            Ok(_) => plain(StatusCode::BAD_REQUEST, "expected identity=NAME\n".to_owned()),
            Err(text) => plain(StatusCode::BAD_REQUEST, text),
        },
        Route::Reload => {
            let (status, answer) = reload(&admin.reload, WAIT).await;
            json(status, &answer)
        }
    }
}

/// Reads `since=SECONDS`; without it, there is no such limit.
fn since(query: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(None) };
    let seconds = query.strip_prefix("since=").and_then(|seconds| seconds.parse().ok());
    match seconds.map(Duration::from_secs) {
        Some(since) if (Refused::SHORTEST..=Refused::LONGEST).contains(&since) => Ok(Some(since)),
        _ => Err(format!("expected since=SECONDS, from 1 to {}\n", Refused::LONGEST.as_secs())),
    }
}

/// Reads `identity=NAME` with the name percent-encoded, and `since=SECONDS` if it is there.
fn of_identity(query: Option<&str>) -> Result<(String, Option<Duration>), String> {
    let longest = Learned::LONGEST.as_secs();
    let wrong =
        || format!("expected identity=NAME and perhaps &since=SECONDS, from 1 to {longest}\n");
    let (name, since) = match query.unwrap_or_default().split_once('&') {
        Some((name, since)) => (name, Some(since)),
        None => (query.unwrap_or_default(), None),
    };
    let name = name.strip_prefix("identity=").filter(|name| !name.is_empty()).ok_or_else(wrong)?;
    let name = percent_decode_str(name).decode_utf8().map_err(|_| wrong())?;
    let since = since.map(|since| {
        let seconds = since.strip_prefix("since=").and_then(|seconds| seconds.parse().ok());
        let since = seconds.map(Duration::from_secs);
        since
            .filter(|since| (Learned::SHORTEST..=Learned::LONGEST).contains(since))
            .ok_or_else(wrong)
    });
    Ok((name.into_owned(), since.transpose()?))
}

fn or_unknown(answer: Option<impl Serialize>) -> Answer {
    match answer {
        Some(answer) => json(StatusCode::OK, &answer),
        None => plain(StatusCode::NOT_FOUND, "there is no such identity\n".to_owned()),
    }
}

/// Reads `identity=NAME`, percent-encoded; without it, all identities are meant.
fn identity(query: Option<&str>) -> Result<Option<Arc<str>>, String> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(None) };
    let name = query.strip_prefix("identity=").filter(|name| !name.contains('&'));
    let name = name.and_then(|name| percent_decode_str(name).decode_utf8().ok());
    match name.filter(|name| !name.is_empty()) {
        Some(name) => Ok(Some(name.as_ref().into())),
        None => Err("expected identity=NAME\n".to_owned()),
    }
}

/// Responds `ok`, or with the reasons why not.
fn health(reasons: &[String]) -> Answer {
    match reasons {
        [] => plain(StatusCode::OK, "ok\n".to_owned()),
        _ => plain(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
    }
}

fn not_allowed(methods: &[Method]) -> Answer {
    let allowed = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, format!("{allowed}\n"));
    if let Ok(allowed) = HeaderValue::try_from(allowed) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

fn json(status: StatusCode, answer: &impl Serialize) -> Answer {
    match serde_json::to_string(answer) {
        Ok(text) => with(status, JSON, text + "\n"),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: String) -> Answer {
    with(status, PLAIN, text)
}

fn with(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
