//! Redoubt with each server that `scripts/servers.sh` installs, and with Redis 7.0.

use support::servers::{self, on_each};
use support::{Redis, Redoubt, shown};

#[test]
fn shared_links_leases_and_scripts_work_with_each_server() {
    on_each(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::start(&redis);
        let mut wire = redoubt.session();
        for (request, reply) in [
            (&["SET", "k", "v"][..], "+OK\r\n"),
            (&["GET", "k"], "$1\r\nv\r\n"),
            (&["MULTI"], "+OK\r\n"),
            (&["INCR", "n"], "+QUEUED\r\n"),
            (&["EXEC"], "*1\r\n:1\r\n"),
            (&["EVAL", "return redis.call('GET', KEYS[1])", "1", "k"], "$1\r\nv\r\n"),
            (&["FLUSHALL"], "-ERR unknown command 'FLUSHALL', with args beginning with: \r\n"),
        ] {
            assert_eq!(shown(&wire.command(request)), shown(reply.as_bytes()), "{request:?}");
        }
    });
}
