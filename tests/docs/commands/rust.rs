//! A block of Rust on a page cannot be run, so the page contains the program that is compiled here.

use std::fs;

use super::blocks::{Block, blocks};
use super::{pages, text};
use support::certificates::Authority;
use support::{Redis, Redoubt};

include!("redis_rs.rs");

#[test]
fn the_rust_program_of_the_page_works() {
    let is_rust = |block: &Block| block.language == "rust";
    let found = pages().into_iter().flat_map(|page| blocks(&text(&page))).filter(is_rust);
    let found: Vec<_> = found.map(|block| block.text).collect();
    assert_eq!(found, [include_str!("redis_rs.rs")]);

    let redis = Redis::start();
    let authority = Authority::new();
    let pair = authority.server("server");
    let redoubt = Redoubt::setup(&redis)
        .set("listen", "[\"127.0.0.1:0\", \"tls://127.0.0.1:0\"]")
        .set_text("tls.certificate", pair.certificate.to_str().unwrap())
        .set_text("tls.key", pair.key.to_str().unwrap())
        .start();
    redis.direct().command(&["SET", "greeting", "hello"]);
    let (password, address) = (redoubt.password(), redoubt.address_of("127"));
    assert_eq!(greeting(&format!("redis://default:{password}@{address}/0")).unwrap(), "hello");
    let url = format!("rediss://default:{password}@{}/0", redoubt.address_of("tls"));
    let ca = fs::read(authority.ca()).unwrap();
    assert_eq!(greeting_in_tls(&url, ca).unwrap(), "hello");
}
