//! `redoubt refused`: prints the commands that a running proxy has refused.

use redoubt::status::{Refused, RefusedGroup};

use super::WIDTH;
use super::table::{Set, Table, count, duration, or_none, unanswered};
use crate::cli::paint::Paint;

/// Returns the refused commands as a table, the most frequent first.
pub(super) fn text(answer: &Refused, paint: Paint) -> String {
    let mut text = String::new();
    if answer.groups.is_empty() {
        text += &paint.dim("Nothing was refused.");
        text.push('\n');
    } else {
        let mut table = Table::new(&[
            ("COUNT", Set::Right),
            ("LAST", Set::Right),
            ("USER", Set::Cut),
            ("PROGRAM", Set::Cut),
            ("COMMAND", Set::Cut),
            ("RULE", Set::Cut),
            ("OPENED BY", Set::Left),
        ]);
        answer.groups.iter().for_each(|group| table.add(cells(group)));
        text += &table.text(WIDTH, paint);
    }
    if answer.forgotten > 0 {
        let forgotten = count(answer.forgotten);
        text += &paint
            .red(&format!("{forgotten} older ones are no longer listed; the audit log has them."));
        text.push('\n');
    }
    text += &unanswered(&answer.unanswered, "refusals", paint);
    text
}

fn cells(group: &RefusedGroup) -> [String; 7] {
    let program = match (&group.name, &group.library) {
        (Some(name), Some(library)) => format!("{name} ({library})"),
        (name, library) => or_none(name.as_deref().or(library.as_deref())),
    };
    [
        count(group.count),
        duration(group.last_seconds),
        or_none(group.user.as_deref()),
        program,
        group.command.clone(),
        group.rule.clone(),
        or_none(group.opened_by.as_deref()),
    ]
}
