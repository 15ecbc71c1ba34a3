//! Scenes: several sessions that alternate, with the replies to each step in a defined order.
//!
//! `=== name | option` begins a scene; the options are those of cases. Each other line is one of
//!
//! ```text
//! a: SET k v        session a sends a request and reads one reply
//! a 3: UNSUBSCRIBE  the same, with three frames for a reply
//! a> BLPOP k 0      it sends, and reads nothing yet
//! a< 2              it reads two frames that are due
//! a id              it asks for its CLIENT ID; from here on {id:a} stands for it
//! a closes          its connection is closed
//! blocked 1         waits until Redis reports one blocked client
//! # text            nothing
//! ```
//!
//! Sessions connect and log in when they are first named. At the end each session without a pending
//! reply sends a PING, which shows that nothing else has been sent to it.

use std::collections::BTreeMap;

use super::{Case, case, mask, without_modules};
use support::{Deadline, Redis, Redoubt, Wire, frame, shown};

/// A scene as written in its table.
pub(crate) struct Scene {
    pub(crate) case: Case,
    lines: Vec<String>,
}

/// Reads a table.
pub(crate) fn read(table: &str) -> Vec<Scene> {
    let mut scenes: Vec<Scene> = Vec::new();
    for line in table.lines() {
        if let Some(heading) = line.strip_prefix("=== ") {
            scenes.push(Scene { case: case::begin(heading), lines: Vec::new() });
        } else if !line.is_empty() && !line.starts_with("# ") {
            scenes.last_mut().expect("a scene begins with ===").lines.push(line.into());
        }
    }
    scenes
}

/// The server to connect to with this password, and the Redis that has its data.
pub(crate) struct Stage<'a> {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) password: &'a str,
    pub(crate) behind: &'a Redis,
}

impl<'a> Stage<'a> {
    pub(crate) fn of(redoubt: &'a Redoubt, upstream: &'a Redis) -> Self {
        let behind = redoubt.stand_in().unwrap_or(upstream);
        Self { address: redoubt.address(), password: redoubt.password(), behind }
    }
}

/// One session of a scene.
struct Player {
    wire: Wire,
    id: String,
    /// True if it has sent a request whose reply it has not read.
    owed: bool,
}

/// Plays a scene. Returns one line for each step, with the replies.
pub(crate) fn play(scene: &Scene, stage: &Stage<'_>) -> Vec<String> {
    let mut players = BTreeMap::<String, Player>::new();
    let mut heard = Vec::new();
    for line in &scene.lines {
        if let Some(count) = line.strip_prefix("blocked ") {
            heard.push(format!("{line} {}", wait_until_blocked(stage.behind, count)));
            continue;
        }
        let split = line.find(|c: char| !c.is_ascii_lowercase()).expect("a name and what it does");
        let (name, action) = line.split_at(split);
        if action == " closes" {
            drop(players.remove(name));
            continue;
        }
        let words = |text: &str| {
            let ids = players.iter().map(|(name, player)| (format!("{{id:{name}}}"), &player.id));
            let text = ids.fold(text.to_owned(), |text, (place, id)| text.replace(&place, id));
            case::words(&text, stage.password).unwrap_or_else(|| panic!("not a line: {line}"))
        };
        let (request, frames) = if action == " id" {
            (Some(words("CLIENT ID")), 1)
        } else if let Some(text) = action.strip_prefix('>') {
            (Some(words(text)), 0)
        } else if let Some(count) = action.strip_prefix('<') {
            (None, count.trim().parse().unwrap_or(1))
        } else {
            let (count, text) = action.split_once(':').expect("a colon after the name");
            (Some(words(text)), count.trim().parse().unwrap_or(1))
        };
        let player = players.entry(name.into()).or_insert_with(|| Player {
            wire: Wire::authenticated(stage.address, stage.password),
            id: String::new(),
            owed: false,
        });
        if let Some(request) = &request {
            player.wire.send(&frame::request(request));
        }
        player.owed = frames == 0;
        let mut got: Vec<u8> = (0..frames).flat_map(|_| player.wire.frame()).collect();
        if action == " id" {
            player.id = String::from_utf8_lossy(&got).trim_matches([':', '\r', '\n']).into();
            got.clear();
        }
        heard.push(format!("{line} => {}", shown(&mask(&scene.case, without_modules(got)))));
    }
    for (name, player) in players.iter_mut().filter(|(_, player)| !player.owed) {
        let last = player.wire.command(&["PING", "the end"]);
        heard.push(format!("{name} at the end: {}", shown(&last)));
    }
    heard
}

fn wait_until_blocked(redis: &Redis, count: &str) -> &'static str {
    let mut wire = redis.direct();
    let wanted = format!("\r\nblocked_clients:{count}\r\n").into_bytes();
    let come = Deadline::standard().poll(|| {
        let info = wire.command(&["INFO", "clients"]);
        info.windows(wanted.len()).any(|part| part == wanted)
    });
    if come { "came" } else { "never came" }
}
