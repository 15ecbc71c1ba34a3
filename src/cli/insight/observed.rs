//! `redoubt observed`: prints what the rule of an identity would have refused.

use redoubt::status::{Observed, WouldRefuse};

use super::WIDTH;
use super::table::{Set, Table, count, duration, unanswered};
use crate::cli::paint::Paint;

/// Returns the refusals as a table, the most frequent first.
pub(super) fn text(answer: &Observed, paint: Paint) -> String {
    let mut text = String::new();
    if !answer.observes {
        text += &paint.red("The identity's mode is not \"observe\": its acl is enforced.");
        text.push('\n');
    } else if answer.refusals.is_empty() {
        text += &paint.dim("Nothing would be refused so far.");
        text.push('\n');
    } else {
        let mut table = Table::new(&[
            ("COUNT", Set::Right),
            ("LAST", Set::Right),
            ("COMMAND", Set::Cut),
            ("RULE", Set::Left),
            ("NEEDS", Set::Cut),
            ("NOTE", Set::Left),
        ]);
        answer.refusals.iter().for_each(|refusal| table.add(cells(refusal)));
        text += &table.text(WIDTH, paint);
    }
    text += &paint.dim(&format!(
        "{} requests tried by ACL DRYRUN, {} waiting, {} not tried.",
        count(answer.asked),
        answer.waiting,
        count(answer.not_asked)
    ));
    text.push('\n');
    if let Some(problem) = &answer.problem {
        let shown: String = problem.chars().filter(|c| !c.is_control()).collect();
        text += &(paint.red(&format!("Redis: {shown}")) + "\n");
    }
    if answer.forgotten > 0 {
        let line = format!("{} older ones are no longer listed.", count(answer.forgotten));
        text += &(paint.red(&line) + "\n");
    }
    text += &unanswered(&answer.unanswered, "requests", paint);
    text
}

fn cells(refusal: &WouldRefuse) -> [String; 6] {
    let note = match (refusal.partly, refusal.named_in_script) {
        (true, _) => "some keys",
        (false, true) => "script",
        (false, false) => "",
    };
    [
        count(refusal.count),
        duration(refusal.last_seconds),
        refusal.command.clone(),
        refusal.rule.clone(),
        refusal.needs.join(" "),
        note.to_owned(),
    ]
}
