//! `/grants`: lists grants (GET), gives one (POST) and revokes one (DELETE).

use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;
use url::form_urlencoded;

use super::access::Ends;
use super::caller::caller;
use crate::grants::{Ask, GrantRequest, GrantSender, NewGrant};

/// How long a client waits for the outcome.
const WAIT: Duration = Duration::from_secs(30);

/// Answers a request for `/grants`.
pub(super) async fn grants(
    request: &Request<Incoming>,
    ends: Ends,
    sender: &GrantSender,
) -> (StatusCode, Value) {
    let ask = match ask(request.method(), request.uri().query().unwrap_or_default()) {
        Ok(ask) => ask,
        Err(error) => return failed(StatusCode::BAD_REQUEST, error),
    };
    let by = match ask {
        Ask::List => None,
        Ask::Give(_) | Ask::Revoke(_) => caller(ends).await,
    };
    let (reply, outcome) = oneshot::channel();
    if sender.try_send(GrantRequest { ask, by, reply }).is_err() {
        return failed(StatusCode::SERVICE_UNAVAILABLE, "other requests are waiting; try again");
    }
    match timeout(WAIT, outcome).await {
        Ok(Ok(Ok(grants))) => (StatusCode::OK, json!(grants)),
        Ok(Ok(Err(error))) => failed(StatusCode::UNPROCESSABLE_ENTITY, &error),
        Ok(Err(_)) => failed(StatusCode::SERVICE_UNAVAILABLE, "Redoubt is stopping"),
        Err(_) => {
            failed(StatusCode::GATEWAY_TIMEOUT, "this takes long; its outcome will be in the log")
        }
    }
}

fn ask(method: &Method, query: &str) -> Result<Ask, &'static str> {
    const GIVE: &str = "expected identity, command, seconds and reason, each once";
    let mut values: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let mut take = |name: &str| {
        let place = values.iter().position(|(known, _)| known == name)?;
        Some(values.remove(place).1)
    };
    let (ask, wrong) = match *method {
        Method::POST => {
            let (identity, command) = (take("identity").ok_or(GIVE)?, take("command").ok_or(GIVE)?);
            let seconds = take("seconds").and_then(|seconds| seconds.parse().ok()).ok_or(GIVE)?;
            let (lasts, reason) = (Duration::from_secs(seconds), take("reason").ok_or(GIVE)?);
            (Ask::Give(NewGrant { identity, command, lasts, reason }), GIVE)
        }
        Method::DELETE => {
            const REVOKE: &str = "expected number=NUMBER of a grant";
            let number = take("number").and_then(|number| number.parse().ok()).ok_or(REVOKE)?;
            (Ask::Revoke(number), REVOKE)
        }
        _ => (Ask::List, "no parameters are taken"),
    };
    if values.is_empty() { Ok(ask) } else { Err(wrong) }
}

fn failed(status: StatusCode, error: &str) -> (StatusCode, Value) {
    (status, json!({ "error": error }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_all_parameters_once_and_no_others() {
        let given = ask(&Method::POST, "identity=a&command=config%7Cget&seconds=60&reason=why+not");
        let new = NewGrant {
            identity: "a".to_owned(),
            command: "config|get".to_owned(),
            lasts: Duration::from_secs(60),
            reason: "why not".to_owned(),
        };
        assert_eq!(given, Ok(Ask::Give(new)));
        assert_eq!(ask(&Method::DELETE, "number=7"), Ok(Ask::Revoke(7)));
        assert_eq!(ask(&Method::GET, ""), Ok(Ask::List));
        for (method, query) in [
            (Method::POST, ""),
            (Method::POST, "identity=a&command=b&seconds=60"),
            (Method::POST, "identity=a&command=b&seconds=1m&reason=c"),
            (Method::POST, "identity=a&command=b&seconds=60&reason=c&reason=d"),
            (Method::DELETE, "number=x"),
            (Method::DELETE, ""),
            (Method::GET, "since=1"),
        ] {
            assert!(ask(&method, query).is_err(), "{method} {query}");
        }
    }
}
