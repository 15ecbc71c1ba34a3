//! `docs/servers.md` is made from the lists of servers and of differences that the tests use.

use std::fmt::Write as _;
use std::fs;

use support::differences;
use support::root;
use support::servers::{MAIN, TESTED, title};

const PAGE: &str = "docs/servers.md";

const HEAD: &str = "\
# Servers

This page is made from the lists that the tests use: `REDOUBT_BLESS=1 cargo test --test docs servers`.

`make test-servers` runs the suites that compare Redoubt with a server on each of these, `make test` all tests
on the first one:

| server | `make test` | `make test-servers` |
|---|---|---|
";

const MIDDLE: &str = "
Redict 7.3 runs in the tests of the guard, the shared connections and plain commands. Older servers than Redis
7.0 are not tested, except for [the guard](guard.md).

Redoubt reads the server's name and version from its reply to `HELLO`, and answers as that server does where it
answers in its place. Until it knows them, it takes the strictest behaviour. A Valkey with
`extended-redis-compatibility` reports the version of a Redis, and is treated like it.

## Differences

[differences.md](differences.md) lists what differs from every server. These depend on the server:

| servers | what differs |
|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (index, server) in TESTED.iter().enumerate() {
        let fast = match index {
            0 => "all tests",
            _ if MAIN.contains(server) => "fast suites",
            _ => "a few tests",
        };
        let _ =
            writeln!(page, "| {} | {fast} | suites that compare with a server |", title(server));
    }
    page += MIDDLE;
    for difference in &differences::ALL {
        let servers: Vec<_> = difference.servers.iter().map(|server| title(server)).collect();
        let _ = writeln!(page, "| {} | {} |", servers.join(", "), difference.what);
    }
    page
}

#[test]
fn the_page_of_servers_is_up_to_date() {
    let path = root().join(PAGE);
    if std::env::var_os("REDOUBT_BLESS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page(),
        "{PAGE} is out of date: REDOUBT_BLESS=1 cargo test --test docs servers"
    );
}
