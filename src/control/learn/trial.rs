//! The users for dry runs, and the dry runs.

use std::collections::HashMap;
use std::sync::Arc;

use crate::control::guard::GuardProvisioner;
use crate::control::kept_link::KeptLink;
use crate::learn::{CheckOrder, Checked};
use crate::net::conversation::Conversation;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::auth::IdentityId;
use redoubt_core::observe::{Sample, Tried};
use redoubt_core::upstream::guard::{Answer, Batch, remove};

/// Dry runs that are sent together.
const BATCH: usize = 50;
/// Most characters of Redis's words in a problem.
const LONGEST: usize = 200;

/// The users for dry runs, one for each identity that is observed. They are switched off, and named as guards are, so
/// that those which a process leaves behind are removed.
pub(super) struct Trials {
    link: KeptLink,
    maker: Arc<GuardProvisioner>,
    candidates: HashMap<IdentityId, Candidate>,
    problems: HashMap<IdentityId, String>,
}

struct Candidate {
    name: String,
    rule: Arc<[String]>,
}

impl Trials {
    pub(super) fn new(link: KeptLink, maker: Arc<GuardProvisioner>) -> Self {
        Self { link, maker, candidates: HashMap::new(), problems: HashMap::new() }
    }

    /// Returns why nothing of an identity can be tried now.
    pub(super) fn problem(&self, id: IdentityId) -> Option<String> {
        self.problems.get(&id).cloned()
    }

    /// Tries requests. Returns the outcomes, and the requests that are to be tried again.
    pub(super) async fn run(
        &mut self,
        due: Vec<Sample>,
        rule: impl Fn(IdentityId) -> Option<Arc<[String]>>,
    ) -> (Vec<(Sample, Tried)>, Vec<Sample>) {
        let (mut outcomes, mut left) = (Vec::new(), Vec::new());
        let mut by_identity: HashMap<IdentityId, Vec<Sample>> = HashMap::new();
        for sample in due {
            by_identity.entry(sample.identity).or_default().push(sample);
        }
        for (id, samples) in by_identity {
            // An identity that is gone meanwhile needs no verdict.
            let Some(rule) = rule(id) else { continue };
            match self.try_all(id, &rule, &samples).await {
                Ok(tried) => {
                    self.problems.remove(&id);
                    let is_gone = tried.contains(&Tried::NoUser);
                    if is_gone {
                        self.candidates.remove(&id);
                    }
                    for (sample, tried) in samples.into_iter().zip(tried) {
                        match tried {
                            Tried::NoUser => left.push(sample),
                            Tried::Unknown(why) => {
                                self.problems.insert(id, why.clone());
                                outcomes.push((sample, Tried::Unknown(why)));
                            }
                            tried => outcomes.push((sample, tried)),
                        }
                    }
                }
                Err(why) => {
                    self.problems.insert(id, why);
                    left.extend(samples);
                }
            }
        }
        (outcomes, left)
    }

    async fn try_all(
        &mut self,
        id: IdentityId,
        rule: &Arc<[String]>,
        samples: &[Sample],
    ) -> Result<Vec<Tried>, String> {
        let known = self.candidates.get(&id);
        let name = known.map(|candidate| candidate.name.clone());
        let is_current = known.is_some_and(|candidate| candidate.rule == *rule);
        let name = match name {
            Some(name) => name,
            None => self.new_name()?,
        };
        let asked = self.link.ask(async |link| {
            if !is_current && let Err(why) = make(link, &name, rule).await? {
                return Ok(Err(why));
            }
            let requests: Vec<_> = samples.iter().map(|sample| &*sample.words).collect();
            dry_run(link, &name, &requests).await.map(Ok)
        });
        let tried = asked.await.map_err(|error| error.to_string())?;
        if tried.is_ok() {
            let rule = Arc::clone(rule);
            self.candidates.insert(id, Candidate { name, rule });
        }
        tried
    }

    /// Tries a rule on a user of its own, which is removed again.
    pub(super) async fn check(&mut self, order: &CheckOrder) -> Result<Checked, String> {
        let name = self.new_name()?;
        let asked = self.link.ask(async |link| {
            let requests: Vec<_> = order.requests.iter().map(|words| &**words).collect();
            let tried = match make(link, &name, &order.rule).await? {
                Ok(()) => Ok(dry_run(link, &name, &requests).await?),
                Err(why) => Err(why),
            };
            link.ask(&remove(&[&*name])).await?;
            let mut categories = Vec::new();
            for category in &order.categories {
                let answers = link.ask(&Batch::of(&["ACL", "CAT", category])).await?;
                categories.push(answers.first().and_then(words));
            }
            Ok(tried.map(|tried| Checked { tried, categories }))
        });
        asked.await.map_err(|error| error.to_string())?
    }

    /// Removes all users for dry runs. Errors are ignored: another process will do it.
    pub(super) async fn end(&mut self) {
        let names: Vec<_> = self.candidates.drain().map(|(_, candidate)| candidate.name).collect();
        if !names.is_empty() {
            let _ = self.link.ask(async |link| link.ask(&remove(&names)).await).await;
        }
    }

    fn new_name(&self) -> Result<String, String> {
        self.maker.new_name().map_err(|error| error.to_string())
    }
}

/// Makes a user that nobody can log in as, with the rights of `rule`, or gives it these. The result within is Redis's
/// refusal.
async fn make(
    link: &mut Conversation,
    name: &str,
    rule: &[String],
) -> Result<Result<(), String>, UpstreamError> {
    let words = ["ACL", "SETUSER", name, "reset"].into_iter();
    let words = words.chain(rule.iter().map(String::as_str)).chain(["off", "resetpass"]);
    let answers = link.ask(&Batch::of(&words.collect::<Vec<_>>())).await?;
    Ok(match answers.first() {
        Some(Answer::Error(text)) => Err(text.escape_debug().take(LONGEST).collect()),
        _ => Ok(()),
    })
}

async fn dry_run(
    link: &mut Conversation,
    name: &str,
    requests: &[&[bytes::Bytes]],
) -> Result<Vec<Tried>, UpstreamError> {
    let mut tried = Vec::new();
    for some in requests.chunks(BATCH) {
        let mut batch = Batch::default();
        some.iter().for_each(|words| Tried::ask(name, words, &mut batch));
        tried.extend(link.ask(&batch).await?.iter().map(Tried::of));
    }
    Ok(tried)
}

/// Returns the words of an array.
fn words(answer: &Answer) -> Option<Vec<String>> {
    let Answer::Array(words) = answer else { return None };
    let word = |word: &Answer| match word {
        Answer::BulkString(text) | Answer::SimpleString(text) => {
            Some(String::from_utf8_lossy(text).to_ascii_lowercase())
        }
        _ => None,
    };
    words.iter().map(word).collect()
}
