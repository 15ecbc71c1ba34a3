//! Every setting of `config/redoubt.toml` is changed, and the effect is observed.
//!
//! There is one test for each key, `KEY_takes_effect`, in a file for each section.
//! [`every_setting_has_a_test`] fails if one is missing. Other programs test the settings in depth.

mod audit;
mod client;
mod limits;
mod operations;
mod policy;
mod process;
mod throttle;
mod tls;
mod upstream;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use support::{Redoubt, Wire, frame};

const MAX_CLIENTS: &[u8] = b"-ERR max number of clients reached\r\n";
const WRONG_PASSWORD: &[u8] = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
const NO_AUTH: &[u8] = b"-NOAUTH Authentication required.\r\n";

/// Returns the reply that a new client gets to `AUTH` with these arguments.
fn auth(redoubt: &Redoubt, arguments: &[&str]) -> Vec<u8> {
    let mut wire = redoubt.connect();
    wire.offer(&frame::request(&[&["AUTH"][..], arguments].concat()));
    wire.receive();
    wire.received().to_vec()
}

fn is_unknown(wire: &mut Wire, command: &[&str]) -> bool {
    wire.command(command).starts_with(b"-ERR unknown ")
}

#[test]
fn every_setting_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = fs::read_to_string(root.join("config/redoubt.toml")).unwrap();
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in file.lines() {
        if line.starts_with("# [identities.") {
            section = "identities.".to_owned();
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        }
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some((name, _)) = line.split_once(" = ")
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            // tests/identities tests these.
            && section != "identities."
        {
            keys.insert(format!("{section}{name}"));
        }
    }
    let mut tested = BTreeSet::new();
    for entry in fs::read_dir(root.join("tests/config/settings")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for test in text.split("#[test]\n").skip(1) {
            let (name, body) =
                test.trim_start_matches("fn ").split_once("_takes_effect()").unwrap();
            // Where a file tests two sections, the test contains the full key.
            let is_of = |key: &&String| {
                key.replace('.', "_").ends_with(name) && body.contains(&format!("\"{key}\""))
            };
            let key = keys.iter().find(is_of);
            let key = key.unwrap_or_else(|| panic!("the test {name} changes no such setting"));
            assert!(tested.insert(key.clone()), "{key} has two tests");
        }
    }
    assert_eq!(keys, tested);
}
