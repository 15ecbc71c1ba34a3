//! What the Sentinels agree on.

use std::collections::BTreeMap;

use crate::config::Endpoint;
use crate::net::upstream_error::NoPrimary;

/// What a Sentinel said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing yet, or it cannot be reached, or did not answer in time.
    Nothing,
    /// It has no primary of this name.
    NoSuchName,
    /// The primary is here, and these are the other Sentinels.
    Primary { at: Endpoint, others: Vec<Endpoint> },
}

/// What all Sentinels said last.
pub(super) type AllSaid = BTreeMap<Endpoint, Said>;

/// Returns the primary that more than half of the Sentinels name that answer.
///
/// # Errors
/// There is none.
pub(super) fn primary(said: &AllSaid) -> Result<Endpoint, NoPrimary> {
    let mut votes: BTreeMap<&Endpoint, usize> = BTreeMap::new();
    let mut answers = 0_usize;
    for one in said.values() {
        match one {
            Said::Nothing => {}
            Said::NoSuchName => answers = answers.saturating_add(1),
            Said::Primary { at, .. } => {
                answers = answers.saturating_add(1);
                let count = votes.entry(at).or_default();
                *count = count.saturating_add(1);
            }
        }
    }
    if let Some((at, _)) = votes.iter().find(|(_, count)| is_majority(**count, answers)) {
        return Ok((*at).clone());
    }
    let of = |shown: String| format!("{shown}; {answers} of {} answer", said.len());
    match (answers, votes.len()) {
        (0, _) => Err(NoPrimary::Silence(format!("{} are known", said.len()))),
        (_, 0) => Err(NoPrimary::Unknown(format!("{answers} of {} answer", said.len()))),
        _ => {
            let named = votes.iter().map(|(at, count)| format!("{count} name {at}"));
            Err(NoPrimary::Disagree(of(named.collect::<Vec<_>>().join(", "))))
        }
    }
}

/// Returns the Sentinels that more than half of those name that answer, themselves included. So one that lies cannot
/// bring others like it, which would outvote the rest.
pub(super) fn sentinels(said: &AllSaid) -> Vec<Endpoint> {
    let mut votes: BTreeMap<&Endpoint, usize> = BTreeMap::new();
    let mut answers = 0_usize;
    for (own, one) in said {
        let Said::Primary { others, .. } = one else { continue };
        answers = answers.saturating_add(1);
        let named = others.iter().filter(|other| *other != own);
        for sentinel in named.chain([own]) {
            let count = votes.entry(sentinel).or_default();
            *count = count.saturating_add(1);
        }
    }
    let named = votes.into_iter().filter(|(_, count)| is_majority(*count, answers));
    named.map(|(at, _)| at.clone()).collect()
}

fn is_majority(count: usize, of: usize) -> bool {
    count.saturating_mul(2) > of
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    fn named(primary: &str, others: &[&str]) -> Said {
        Said::Primary { at: at(primary), others: others.iter().map(|text| at(text)).collect() }
    }

    fn all(said: &[(&str, Said)]) -> AllSaid {
        said.iter().map(|(own, said)| (at(own), said.clone())).collect()
    }

    #[test]
    fn more_than_half_of_those_that_answer_must_name_one_primary() {
        let [one, two] = ["one:1", "two:2"].map(|primary| named(primary, &[]));
        let found = |said: [&Said; 3]| {
            primary(&all(&[
                ("a:1", said[0].clone()),
                ("b:1", said[1].clone()),
                ("c:1", said[2].clone()),
            ]))
        };
        let silent = &Said::Nothing;
        assert_eq!(found([&one, &one, &two]), Ok(at("one:1")));
        assert_eq!(found([&two, silent, silent]), Ok(at("two:2")));
        assert_eq!(found([&two, &one, &two]), Ok(at("two:2")));
        assert!(matches!(found([&one, &two, silent]), Err(NoPrimary::Disagree(_))));
        assert!(matches!(found([&one, &Said::NoSuchName, silent]), Err(NoPrimary::Disagree(_))));
        assert!(matches!(found([silent, silent, silent]), Err(NoPrimary::Silence(_))));
        assert!(matches!(found([&Said::NoSuchName, silent, silent]), Err(NoPrimary::Unknown(_))));
        assert!(matches!(primary(&AllSaid::new()), Err(NoPrimary::Silence(_))));
    }

    #[test]
    fn a_single_sentinel_cannot_bring_others() {
        let honest = |others: &[&str]| named("p:1", others);
        let said = all(&[
            ("a:1", honest(&["b:1", "c:1", "d:1"])),
            ("b:1", honest(&["a:1", "c:1", "d:1"])),
            ("c:1", honest(&["x:1", "y:1", "z:1", "c:1"])),
        ]);
        assert_eq!(sentinels(&said), ["a:1", "b:1", "c:1", "d:1"].map(at));
        assert_eq!(sentinels(&AllSaid::new()), []);
    }
}
