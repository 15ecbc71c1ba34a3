//! What is asked, who may ask it, and the answer.

use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::Admin;
use crate::telemetry;

type Answer = Response<Full<Bytes>>;

const PLAIN: &str = "text/plain; charset=utf-8";
/// Prometheus's text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What can be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Livez,
    Readyz,
    Metrics,
}

impl Route {
    const ALL: [Self; 3] = [Self::Livez, Self::Readyz, Self::Metrics];

    fn path(self) -> &'static str {
        match self {
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Metrics => "/metrics",
        }
    }

    fn methods(self) -> &'static [Method] {
        &[Method::GET, Method::HEAD]
    }

    fn exists(self, admin: &Admin) -> bool {
        self != Self::Metrics || admin.metrics
    }
}

/// Answers `request` of `peer`.
pub(super) async fn answer(request: Request<Incoming>, _peer: SocketAddr, admin: &Admin) -> Answer {
    let mut routes = Route::ALL.into_iter().filter(|route| route.exists(admin));
    let Some(route) = routes.clone().find(|route| route.path() == request.uri().path()) else {
        let known: String = routes.by_ref().map(|route| format!("{}\n", route.path())).collect();
        return plain(StatusCode::NOT_FOUND, known);
    };
    if !route.methods().contains(request.method()) {
        return not_allowed(route.methods());
    }
    if !request.body().is_end_stream() {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "no body is taken\n".to_owned());
    }
    match route {
        Route::Livez => plain(StatusCode::OK, "ok\n".to_owned()),
        Route::Readyz => match (admin.unready)().join("\n") {
            reasons if reasons.is_empty() => plain(StatusCode::OK, "ok\n".to_owned()),
            reasons => plain(StatusCode::SERVICE_UNAVAILABLE, reasons + "\n"),
        },
        Route::Metrics => with(StatusCode::OK, PROMETHEUS, telemetry::metrics::render()),
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
