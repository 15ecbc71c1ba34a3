//! The tables of programs in `docs/clients.md` are made from the lists that their tests use.

use std::fmt::Write as _;
use std::fs;

use support::programs::{ALL, CONNECT_KEYS, CONNECTS, Restarts};
use support::root;

const PAGE: &str = "docs/clients.md";
const BEGIN: &str = "<!-- made by REDOUBT_BLESS=1 cargo test --test docs clients -->\n";
const END: &str = "<!-- end of what is made -->\n";

fn tables() -> String {
    let mut text = "| program | its test | restarted meanwhile | through Redoubt | remarks |\n|---|---|---|---|---|\n".to_owned();
    for program in ALL {
        let restarted = match program.restarts {
            Restarts::Both => "Redis, Redoubt",
            Restarts::Redoubt => "Redoubt",
            Restarts::None => "nothing",
        };
        let (name, does) = (program.name, program.does);
        // A bar would end the cell, also in code.
        let cell = |text: String| text.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| {name} | {does} | {restarted} | {} | {} |",
            cell(program.verdict()),
            cell(program.remarks())
        );
    }
    let keys = CONNECT_KEYS.map(|key| format!("`{key} = true`")).join(" and ");
    let _ = write!(
        text,
        "\nThese cannot run in the tests. What they send when they connect is replayed, and gets the server's \
         replies but for what is refused. With {keys} nothing is:\n\n\
         | library | refused by default | remarks |\n|---|---|---|\n"
    );
    for library in CONNECTS {
        let refused: Vec<_> =
            library.refused.iter().map(|request| format!("`{request}`")).collect();
        let refused = if refused.is_empty() { "nothing".to_owned() } else { refused.join(", ") };
        let _ = writeln!(text, "| {} | {refused} | {} |", library.name, library.note);
    }
    text
}

#[test]
fn the_tables_of_programs_are_up_to_date() {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the mark before the tables");
    let (_, after) = rest.split_once(END).expect("the mark behind the tables");
    let wanted = format!("{before}{BEGIN}{}{END}{after}", tables());
    if std::env::var_os("REDOUBT_BLESS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(
        found == wanted,
        "{PAGE} is out of date: REDOUBT_BLESS=1 cargo test --test docs clients"
    );
}
