//! Makes the answers of `/learn` and `/observed`.

use std::cmp::Reverse;
use std::time::{Duration, UNIX_EPOCH};

use redoubt_core::observe::{Origin, Proposal, Tried, Used, unused};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{CheckOrder, Checked, Learning, Order};
use crate::config::seconds;
use crate::status::{Check, Learned, NeededDatabase, NeededWord, Note, Observed, WouldRefuse};

/// How long a question may take.
const LIMIT: Duration = Duration::from_secs(10);

impl Learning {
    /// Returns the smallest rule for what the identity called `name` has done in the time `since`, or since the
    /// beginning; `None` if there is no such identity.
    pub(crate) async fn learned(&self, name: &str, since: Option<Duration>) -> Option<Learned> {
        let unanswered = self.collect().await;
        let now = seconds();
        let (used, rule, mut answer) = {
            let store = self.store();
            let rule = store.known(name).map(|known| known.rule.clone());
            let profile = store.profiles.get(name);
            if rule.is_none() && profile.is_none() {
                return None;
            }
            let from = since.map_or(0, |since| now.saturating_sub(since.as_secs()));
            let used = profile.map(|profile| profile.used_since(from)).unwrap_or_default();
            let answer = Learned {
                identity: name.to_owned(),
                began: time(profile.map_or(now, |profile| profile.since)),
                since_seconds: since.map(|since| since.as_secs()),
                not_counted: profile.map_or(0, |profile| profile.not_counted),
                ..Learned::default()
            };
            (used, rule.flatten(), answer)
        };
        let proposal = Proposal::of(&used);
        let categories = rule.as_deref().map(categories).unwrap_or_default();
        let requests = used.iter().filter_map(|used| used.combination.request());
        let order = CheckOrder {
            rule: proposal.rule().map(str::to_owned).collect(),
            requests: requests.collect(),
            categories: categories.clone(),
        };
        let checked = self.check(order).await;
        answer.combinations = used.len();
        answer.unanswered = unanswered;
        answer.acl = proposal.rule().map(str::to_owned).collect();
        answer.words = proposal
            .words
            .iter()
            .map(|word| NeededWord {
                word: word.text.clone(),
                count: word.count,
                last: time(word.last),
                last_seconds: now.saturating_sub(word.last),
                named_in_script: word.named_in_script,
            })
            .collect();
        answer.databases = proposal
            .databases
            .iter()
            .map(|database| NeededDatabase {
                number: database.number,
                count: database.count,
                last_seconds: now.saturating_sub(database.last),
            })
            .collect();
        answer.notes = proposal
            .notes
            .iter()
            .map(|(unclear, commands)| Note {
                reason: unclear.as_str().to_owned(),
                text: unclear.explanation().to_owned(),
                commands: commands.clone(),
            })
            .collect();
        let known = checked.as_ref().map(|checked| &*checked.categories).unwrap_or_default();
        answer.unused = rule.map(|rule| {
            unused(&rule, &used, |name| {
                let place = categories.iter().position(|category| category == name)?;
                known.get(place).cloned().flatten()
            })
        });
        match checked {
            Ok(checked) => answer.check = Some(check(&used, &checked)),
            Err(reason) => answer.not_checked = Some(reason),
        }
        Some(answer)
    }

    /// Returns what the rule of the identity called `name` would have refused; `None` if there is no such identity.
    pub(crate) async fn observed(&self, name: &str) -> Option<Observed> {
        let unanswered = self.collect().await;
        let now = seconds();
        let store = self.store();
        let known = store.known(name)?;
        let mut answer = Observed {
            identity: name.to_owned(),
            observes: known.observes,
            unanswered,
            ..Observed::default()
        };
        let Some(own) = store.observed.get(name) else { return Some(answer) };
        answer.asked = own.asked;
        answer.not_asked = own.not_asked;
        answer.waiting = own.waiting;
        answer.problem = own.problem.clone();
        answer.forgotten = own.forgotten;
        let shown = own.refusals.iter().map(|((combination, part), counted)| WouldRefuse {
            count: counted.count,
            command: combination.command.to_string(),
            rule: part.as_str().to_owned(),
            needs: combination.needs(*part),
            partly: counted.partly,
            named_in_script: combination.origin == Origin::NamedInScript,
            last_seconds: now.saturating_sub(counted.last),
        });
        answer.refusals = shown.collect();
        let key = |refusal: &WouldRefuse| {
            (Reverse(refusal.count), refusal.command.clone(), refusal.needs.clone())
        };
        answer.refusals.sort_by_cached_key(key);
        Some(answer)
    }

    async fn collect(&self) -> Vec<usize> {
        self.order(Order::Collect).await.unwrap_or_default()
    }

    async fn check(&self, order: CheckOrder) -> Result<Checked, String> {
        let answer = self.order(|reply| Order::Check(order, reply)).await;
        answer.unwrap_or_else(|| Err("Redis does not answer in time".to_owned()))
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.orders.send(order(reply)).await.ok()?;
            answer.await.ok()
        };
        timeout(LIMIT, asked).await.ok().flatten()
    }
}

/// Returns the categories that a rule allows, without the `@`; `all` needs no question.
fn categories(rule: &[String]) -> Vec<String> {
    let words = rule.iter().flat_map(|words| words.split([' ', '(', ')']));
    let mut found: Vec<_> = words
        .filter_map(|word| word.strip_prefix("+@"))
        .map(str::to_ascii_lowercase)
        .filter(|name| name != "all")
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Returns what the dry runs of the requests of `used` have found.
fn check(used: &[Used], checked: &Checked) -> Check {
    let mut check = Check::default();
    let mut outcomes = checked.tried.iter();
    for used in used {
        let combination = &used.combination;
        let tried = combination.request().and_then(|_| outcomes.next());
        match tried {
            Some(Tried::Allowed) => check.allowed = check.allowed.saturating_add(1),
            Some(Tried::Refused(part)) => {
                let needs = combination.needs(*part).join(" ");
                check.refused.push(format!("{} ({}: {needs})", combination.command, part.as_str()));
            }
            Some(Tried::Unknown(why)) => {
                check.unknown.push(format!("{}: {why}", combination.command));
            }
            Some(Tried::NoUser) => {
                check.unknown.push(format!("{}: the candidate is gone", combination.command));
            }
            None => check.unknown.push(format!("{}: its keys are unknown", combination.command)),
        }
    }
    check
}

fn time(seconds: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}
