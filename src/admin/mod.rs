//! The admin port: `/livez` and `/readyz` over HTTP, on a thread of its own.
//!
//! Invariants: at most [`MOST`] connections are open, more are closed at once; headers must come
//! within [`HEADERS`]; no request body is read.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const MOST: usize = 16;
const HEADERS: Duration = Duration::from_secs(5);

/// What keeps Redoubt from being ready, a line each.
pub(crate) type Unready = Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>;

/// Serves on `listener`, which does not block, until `stop`.
pub(crate) fn start(
    listener: TcpListener,
    unready: Unready,
    stop: CancellationToken,
) -> io::Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("admin".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = accept(listener, unready) => {}
            }
        });
    })
}

async fn accept(listener: TcpListener, unready: Unready) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let unready = Arc::clone(&unready);
        tokio::spawn(async move {
            let _place = place;
            let service = hyper::service::service_fn(move |request| {
                let answer = answer(&request, &unready);
                async move { Ok::<_, Infallible>(answer) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer(request: &Request<Incoming>, unready: &Unready) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (_, path) if !["/livez", "/readyz"].contains(&path) => {
            (StatusCode::NOT_FOUND, "/livez\n/readyz\n".to_owned())
        }
        (method, _) if ![Method::GET, Method::HEAD].contains(method) => {
            (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD\n".to_owned())
        }
        (_, "/livez") => (StatusCode::OK, "ok\n".to_owned()),
        _ => match unready().join("\n") {
            reasons if reasons.is_empty() => (StatusCode::OK, "ok\n".to_owned()),
            reasons => (StatusCode::SERVICE_UNAVAILABLE, reasons + "\n"),
        },
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let no_store = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allow = header::HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
