//! The pages link to existing places, describe every alert, and name only keys and metrics that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use redoubt::config::{Environment, Settings};
use support::pages::{pages, text};
use support::root;

const ALERTS: &str = include_str!("../../config/prometheus/alerts.yml");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
const CONFIGURATION: &str = include_str!("../../docs/configuration.md");
const METRICS: &str = include_str!("../../docs/metrics.md");

/// Returns all pages that contain links.
fn linking() -> Vec<String> {
    let mut all = pages();
    all.extend(["benches/README.md", "examples/semantic-cache/README.md"].map(str::to_owned));
    assert!(all.len() > 15, "{all:?}");
    all
}

/// Removes code blocks, where brackets have other meanings.
fn prose(page: &str) -> String {
    let parts = page.split("```");
    parts.step_by(2).collect()
}

/// Returns the anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

fn has_anchor(page: &str, wanted: &str) -> bool {
    let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(|line| line.trim_start_matches('#').trim()).any(|line| anchor(line) == wanted)
}

#[test]
fn links_of_the_pages_lead_to_existing_places() {
    let mut seen = 0;
    for page in linking() {
        let path = root().join(&page);
        for (before, after) in split_at_links(&prose(&text(&page))) {
            let target = after.split(')').next().unwrap();
            if target.starts_with("http") || target.contains(' ') {
                continue;
            }
            let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
            let to = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(to.exists(), "{page}: {before}]({target}) is not there");
            if !wanted.is_empty() {
                let to = fs::read_to_string(&to).unwrap();
                assert!(has_anchor(&to, wanted), "{page}: no heading for {target}");
            }
            seen += 1;
        }
    }
    assert!(seen > 80, "{seen} links are few");
}

/// Returns, for each link, the text before its address and the text that begins with its address.
fn split_at_links(text: &str) -> Vec<(String, String)> {
    let ends = text.match_indices("](").map(|(at, _)| at);
    ends.map(|at| {
        let start = text[..at].rfind('[').unwrap_or(at);
        (text[start..at].to_owned(), text[at + 2..].to_owned())
    })
    .collect()
}

#[test]
fn the_configuration_in_the_readme_is_valid() {
    let page = include_str!("../../README.md");
    let (_, text) = page.split_once("```toml\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let secrets = tempfile::tempdir().unwrap();
    for (name, letter) in [("redis_password", "a"), ("redoubt_password", "b")] {
        fs::write(secrets.path().join(name), letter.repeat(64)).unwrap();
    }
    let text = text.replace("/run/secrets", secrets.path().to_str().unwrap());
    let settings =
        Settings::parse(Path::new("README.md"), &text, &Environment::from_lookup(|_| None));
    let settings = settings.unwrap();
    assert_eq!(settings.warnings, []);
    assert_eq!(settings.listen.len(), 2);
}

#[test]
fn the_runbook_lists_exactly_the_alerts_with_their_severities() {
    let alerts: Vec<_> = ALERTS
        .split("- alert: ")
        .skip(1)
        .map(|alert| {
            let (name, rest) = alert.split_once('\n').unwrap();
            let (_, severity) = rest.split_once("severity: ").unwrap();
            format!("### {name}\n\n*{}* · ", severity.lines().next().unwrap())
        })
        .collect();
    assert!(alerts.len() > 20, "{alerts:?}");
    let (_, runbook) = OPERATIONS.split_once("\n## Alerts\n").unwrap();
    for alert in &alerts {
        let (_, says) = runbook.split_once(alert).unwrap_or_else(|| panic!("no {alert}"));
        let says = says.split("\n### ").next().unwrap();
        assert!(says.contains("\n- "), "{alert} says nothing to do");
    }
    assert_eq!(runbook.matches("\n### ").count(), alerts.len());
}

/// Returns the text between backticks in the prose of a page.
fn quoted(page: &str) -> BTreeSet<String> {
    prose(page).split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn keys_and_metrics_named_on_pages_exist() {
    let keys: BTreeSet<_> = CONFIGURATION
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .flat_map(quoted)
        .collect();
    assert!(keys.len() > 60, "{keys:?}");
    let sections: BTreeSet<_> = keys.iter().filter_map(|key| key.split_once('.')).collect();
    let sections: BTreeSet<_> = sections.into_iter().map(|(section, _)| section).collect();
    // Fields of the admin port's answers look like keys.
    for page in linking().into_iter().filter(|page| page != "docs/admin.md") {
        for word in quoted(&text(&page)) {
            let name = word.split([' ', '{', '=']).next().unwrap();
            let is_name = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.');
            if !name.chars().all(is_name) || name.ends_with("..") {
                continue;
            }
            if name.starts_with("redoubt_") && name != "redoubt_password" {
                assert!(METRICS.contains(name), "{page}: no metric {name}");
            }
            let is_file = [".rs", ".toml", ".md", ".py", ".json", ".log", ".sh", ".yml", ".conf"];
            let ends = is_file.iter().any(|ending| name.ends_with(ending));
            if let Some((section, _)) = name.split_once('.').filter(|_| !ends)
                && sections.contains(section)
            {
                assert!(keys.contains(name), "{page}: no key {name}");
            }
        }
    }
}
