//! The admin port, over HTTP.

mod support;

use support::http::http_get;
use support::{Redis, Redoubt, target_is_redis};

#[test]
fn metrics_are_there_unless_they_are_off() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let (status, headers, body) = http_get(redoubt.admin(), "/metrics");
    assert_eq!(status, 200);
    assert!(headers.contains("content-type: text/plain; version=0.0.4"), "{headers}");
    assert!(body.contains("\nredoubt_build_info{"), "{body}");
    let redoubt = Redoubt::setup(&redis).set("metrics.enabled", false).start();
    let (status, _, body) = http_get(redoubt.admin(), "/metrics");
    assert_eq!((status, &*body), (404, "/livez\n/readyz\n"));
}
