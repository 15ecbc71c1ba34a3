//! Gauges in a scrape.

use support::{Redis, Redoubt, Wire};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn gauges_rise_and_fall() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis)
        .set("throttle.exempt", "[]")
        .set("throttle.failures", 2)
        .set_text("throttle.lockout", "60s")
        .start();
    let becomes = |series, wanted| redoubt.metric_becomes(series, wanted);

    // Each link has one kind, and each gauge returns to zero.
    let mut client = redoubt.session();
    client.command(&["GET", "key"]);
    becomes("redoubt_links{kind=\"shared\"}", 1.0);
    client.command(&["MULTI"]);
    becomes("redoubt_links{kind=\"leased\"}", 1.0);
    becomes("redoubt_leases", 1.0);
    client.command(&["DISCARD"]);
    becomes("redoubt_links{kind=\"pooled\"}", 1.0);
    becomes("redoubt_links{kind=\"leased\"}", 0.0);
    becomes("redoubt_leases", 0.0);
    becomes("redoubt_links{kind=\"opening\"}", 0.0);

    // These gauges count pending replies and memory.
    let mut waiting = redoubt.session();
    waiting.send(b"BLPOP nothing 0\r\nGET half-a-requ");
    becomes("redoubt_replies_due", 1.0);
    becomes("redoubt_buffer_bytes{buffer=\"client_input\"}", 15.0);
    drop(waiting);
    becomes("redoubt_replies_due", 0.0);
    becomes("redoubt_buffer_bytes{buffer=\"client_input\"}", 0.0);

    // These gauges belong to the connection limiter.
    let unauthenticated = [(); 3].map(|()| redoubt.connect());
    becomes("redoubt_sessions_unauthenticated", 3.0);
    drop(unauthenticated);
    becomes("redoubt_sessions_unauthenticated", 0.0);
    becomes("redoubt_locked_out_addresses", 0.0);
    for _ in 0..2 {
        client.send(b"AUTH wrong\r\n");
    }
    becomes("redoubt_locked_out_addresses", 1.0);
    becomes("redoubt_throttled_addresses", 1.0);
    becomes("redoubt_lockouts_total", 1.0);
    let mut locked_out = Wire::connect(redoubt.address());
    assert_eq!(locked_out.read_to_close(), b"");
    becomes("redoubt_connections_refused_total{reason=\"locked_out\"}", 1.0);
    // Authenticated sessions stay.
    becomes("redoubt_sessions", 1.0);
    drop(client);
    becomes("redoubt_sessions", 0.0);
}
