//! `POST /reload`: requests that the configuration be read again.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::reload::{ReloadRequest, ReloadSender};

/// How long a client waits for the outcome. The reload continues after that.
pub(super) const WAIT: Duration = Duration::from_secs(30);

/// Requests a reload and waits at most `wait` for its outcome.
pub(super) async fn reload(sender: &ReloadSender, wait: Duration) -> (StatusCode, Value) {
    let (reply, outcome) = oneshot::channel();
    if sender.try_send(ReloadRequest { reply }).is_err() {
        return failed(StatusCode::SERVICE_UNAVAILABLE, "another reload is waiting; try again");
    }
    match timeout(wait, outcome).await {
        Ok(Ok(Ok(done))) => {
            let done = json!({
                "reloaded": true,
                "changed": done.changed,
                "needs_restart": done.needs_restart,
                "closed_sessions": done.closed_sessions,
            });
            (StatusCode::OK, done)
        }
        Ok(Ok(Err(error))) => failed(StatusCode::UNPROCESSABLE_ENTITY, &error),
        Ok(Err(_)) => {
            failed(StatusCode::SERVICE_UNAVAILABLE, "Redoubt is stopping and does not reload")
        }
        Err(_) => failed(
            StatusCode::GATEWAY_TIMEOUT,
            "the reload takes long; its outcome will be in the log",
        ),
    }
}

fn failed(status: StatusCode, error: &str) -> (StatusCode, Value) {
    (status, json!({ "reloaded": false, "error": error }))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::reload::Reloaded;

    /// Returns the response if the reload has `outcome`; `None` drops the request unanswered.
    async fn response_to(outcome: Option<Result<Reloaded, String>>) -> (u16, String) {
        let (sender, mut requests) = mpsc::channel::<ReloadRequest>(1);
        let carry_out = async {
            let request = requests.recv().await.unwrap();
            if let Some(outcome) = outcome {
                request.reply.send(outcome).unwrap();
            }
        };
        let ((status, answer), ()) = tokio::join!(reload(&sender, WAIT), carry_out);
        (status.as_u16(), answer.to_string())
    }

    #[tokio::test]
    async fn response_reports_outcome_of_reload() {
        let done = Reloaded {
            changed: vec!["limits.max_sessions".to_owned()],
            needs_restart: vec!["listen".to_owned()],
            closed_sessions: 2,
        };
        let (status, text) = response_to(Some(Ok(done))).await;
        assert_eq!(status, 200);
        let expected = "{\"changed\":[\"limits.max_sessions\"],\"closed_sessions\":2,\
                        \"needs_restart\":[\"listen\"],\"reloaded\":true}";
        assert_eq!(text, expected);
        let refused = response_to(Some(Err("policy.blocked: unknown".to_owned()))).await;
        assert_eq!(refused.0, 422);
        assert_eq!(refused.1, "{\"error\":\"policy.blocked: unknown\",\"reloaded\":false}");
        assert_eq!(response_to(None).await.0, 503);
    }

    #[tokio::test]
    async fn response_comes_even_if_reload_does_not_finish() {
        let (sender, requests) = mpsc::channel::<ReloadRequest>(1);
        assert_eq!(reload(&sender, Duration::from_millis(1)).await.0, 504);
        assert_eq!(reload(&sender, WAIT).await.0, 503, "the queue is full");
        drop(requests);
        assert_eq!(reload(&sender, WAIT).await.0, 503, "nothing receives requests");
    }
}
