//! `redoubt grant`, `grants` and `revoke`.

use redoubt::grants::{Grant, Grants};
use url::form_urlencoded::Serializer;

use super::WIDTH;
use super::table::{Set, Table, count, duration, or_none};
use crate::cli::args;
use crate::cli::paint::Paint;

/// Returns the path of a request for a grant.
pub(super) fn give(args: &args::Grant) -> String {
    let seconds = args.lasts.as_secs().to_string();
    let query = Serializer::new(String::new())
        .append_pair("identity", &args.identity)
        .append_pair("command", &args.command)
        .append_pair("seconds", &seconds)
        .append_pair("reason", &args.reason)
        .finish();
    format!("/grants?{query}")
}

/// Returns what is granted as a table, the oldest first.
pub(super) fn text(answer: &Grants, paint: Paint) -> String {
    if answer.grants.is_empty() {
        return paint.dim("Nothing is granted.") + "\n";
    }
    let mut table = Table::new(&[
        ("NUMBER", Set::Right),
        ("LEFT", Set::Right),
        ("IDENTITY", Set::Cut),
        ("COMMAND", Set::Cut),
        ("BY", Set::Cut),
        ("REASON", Set::Cut),
    ]);
    answer.grants.iter().for_each(|grant| table.add(cells(grant)));
    table.text(WIDTH, paint)
}

fn cells(grant: &Grant) -> [String; 6] {
    [
        count(grant.number),
        duration(grant.left_seconds),
        grant.identity.clone(),
        grant.command.clone(),
        or_none(grant.by.as_deref()),
        grant.reason.clone(),
    ]
}
