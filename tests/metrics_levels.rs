//! What is there now, as metrics tell it, against a real Redis. One test, since the recorder is one
//! for the whole process.

#[expect(unused_imports, reason = "the proxy runs in this process")]
mod support;

use std::net::TcpStream;

use support::Redis;
use support::inside::{Inside, becomes, value};

#[test]
fn levels_rise_and_fall() {
    let more = "[throttle]\nfailures = 2\nlockout = \"60s\"\nexempt = []\n";
    let mut proxy = Inside::start(Redis::start(), more);
    becomes("redoubt_ready", 1.0);

    // Links are of one kind each, and go back to none.
    let mut client = proxy.client();
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

    // What is owed and what is held.
    let mut waiting = proxy.client();
    waiting.send(b"BLPOP nothing 0\r\nGET half-a-requ");
    becomes("redoubt_replies_due", 1.0);
    becomes("redoubt_buffer_bytes{buffer=\"client_input\"}", 15.0);
    drop(waiting);
    becomes("redoubt_replies_due", 0.0);
    becomes("redoubt_buffer_bytes{buffer=\"client_input\"}", 0.0);

    // The door.
    let strangers = [(); 3].map(|()| TcpStream::connect(proxy.address).unwrap());
    becomes("redoubt_sessions_unauthenticated", 3.0);
    drop(strangers);
    becomes("redoubt_sessions_unauthenticated", 0.0);
    assert_eq!(value("redoubt_locked_out_addresses"), 0.0);
    for _ in 0..2 {
        client.send(b"AUTH wrong\r\n");
    }
    becomes("redoubt_locked_out_addresses", 1.0);
    becomes("redoubt_throttled_addresses", 1.0);
    becomes("redoubt_lockouts_total", 1.0);
    // Who has authenticated stays.
    becomes("redoubt_sessions", 1.0);
    drop(client);
    becomes("redoubt_sessions", 0.0);

    proxy.redis.kill();
    becomes("redoubt_ready", 0.0);
    becomes("redoubt_upstream_up", 0.0);
    proxy.redis.restart();
    becomes("redoubt_ready", 1.0);
    proxy.stop();
    becomes("redoubt_ready", 0.0);
}
