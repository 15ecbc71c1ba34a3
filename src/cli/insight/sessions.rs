//! `redoubt sessions`: prints the sessions of a running proxy.

use redoubt::status::{Session, Sessions};

use super::WIDTH;
use super::table::{NONE, Set, Table, count, duration, or_none, unanswered};
use crate::cli::paint::Paint;

/// Returns the sessions as a table, the oldest first, and their number.
pub(super) fn text(answer: &Sessions, paint: Paint) -> String {
    let mut table = Table::new(&[
        ("SESSION", Set::Right),
        ("PEER", Set::Cut),
        ("USER", Set::Cut),
        ("PROGRAM", Set::Cut),
        ("DB", Set::Right),
        ("AGE", Set::Right),
        ("IDLE", Set::Right),
        ("LINK", Set::Left),
        ("STATE", Set::Cut),
        ("COMMANDS", Set::Right),
        ("REFUSED", Set::Cut),
    ]);
    let mut sessions: Vec<_> = answer.sessions.iter().collect();
    sessions.sort_by_key(|session| (std::cmp::Reverse(session.age_seconds), session.session));
    for session in &sessions {
        table.add(cells(session));
    }
    let number = sessions.len();
    let mut text = table.text(WIDTH, paint);
    text += &paint.dim(&format!("{number} session{}", if number == 1 { "" } else { "s" }));
    text.push('\n');
    if answer.truncated {
        text += &paint.red("There are more sessions than are shown.");
        text.push('\n');
    }
    text += &unanswered(&answer.unanswered, "sessions", paint);
    text
}

fn cells(session: &Session) -> [String; 11] {
    [
        session.session.to_string(),
        session.peer.clone(),
        or_none(session.user.as_deref()),
        or_none(session.name.as_deref().or(session.library.as_deref())),
        session.database.to_string(),
        duration(session.age_seconds),
        duration(session.idle_seconds),
        match session.link_number {
            Some(number) => format!("{} {number}", session.link),
            None => NONE.to_owned(),
        },
        state(session),
        count(session.commands),
        match &session.last_refused {
            Some(command) => format!("{} {command}", count(session.refused)),
            None => NONE.to_owned(),
        },
    ]
}

/// Returns the most important part of the session's state.
fn state(session: &Session) -> String {
    if session.user.is_none() {
        "no AUTH".to_owned()
    } else if session.bytes_waiting > 0 {
        format!("unread {}", count(session.bytes_waiting))
    } else if session.in_transaction {
        "MULTI".to_owned()
    } else if session.subscriptions > 0 {
        format!("subs {}", count(session.subscriptions.into()))
    } else if session.replies_due > 0 {
        format!("due {}", count(session.replies_due))
    } else {
        NONE.to_owned()
    }
}
