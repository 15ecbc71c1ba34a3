//! The alerts and the dashboard query what exists: every metric, label and value that they use is in a
//! live scrape and in `docs/metrics.md`.

mod promql;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::metrics::{exceed_rules, observing};
use promql::{Selector, uses};
use serde_json::Value;
use support::certificates::Authority;
use support::scrape::value;
use support::{Deadline, Redis, Redoubt};

const ALERTS: &str = "config/prometheus/alerts.yml";
const DASHBOARD: &str = "config/grafana/redoubt.json";
/// Labels that Prometheus itself adds.
const ADDED: [&str; 2] = ["job", "instance"];

type Labels = BTreeMap<String, String>;

/// Returns the labels of all series of a scrape, by name.
fn series(scrape: &str) -> BTreeMap<String, Vec<Labels>> {
    let mut found = BTreeMap::<String, Vec<Labels>>::new();
    for line in scrape.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, labels) = match line.split_once('{') {
            Some((name, rest)) => (name, rest.split_once('}').unwrap().0),
            None => (line.split_once(' ').unwrap().0, ""),
        };
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        let labels = labels.map(|(k, v)| (k.to_owned(), v.trim_matches('"').to_owned()));
        found.entry(name.to_owned()).or_default().push(labels.collect());
    }
    found
}

/// Returns a scrape after every event that the files query has happened at least once.
fn scrape() -> String {
    let (redis, authority) = (Redis::start(), Authority::new());
    let shown = authority.server("shown");
    let redoubt = Redoubt::setup(&redis)
        .set("listen", "[\"127.0.0.1:0\", \"tls://127.0.0.1:0\"]")
        .set_text("tls.certificate", &shown.certificate.display().to_string())
        .set_text("tls.key", &shown.key.display().to_string());
    let redoubt = observing(redoubt).start();
    exceed_rules(&redoubt);
    let mut client = redoubt.session();
    client.command(&["SET", "key", "value"]);
    client.command(&["GET", "key"]);
    client.command(&["INCR", "key"]);
    client.command(&["FLUSHALL"]);
    let sampled = |scrape: &str, class| {
        let labels = format!("{{class=\"{class}\",part=\"upstream\"}}");
        value(scrape, &format!("redoubt_request_duration_seconds_count{labels}")) > 0.0
    };
    let mut scrape = String::new();
    let is_whole = Deadline::standard().poll(|| {
        scrape = redoubt.scrape();
        sampled(&scrape, "read")
            && sampled(&scrape, "write")
            && scrape.contains("\nredoubt_would_refuse_total{")
    });
    assert!(is_whole, "{scrape}");
    scrape
}

/// Returns the errors in an expression if these series are all that exist.
fn mistakes(expression: &str, series: &BTreeMap<String, Vec<Labels>>) -> Vec<String> {
    let uses = match uses(expression) {
        Ok(uses) => uses,
        Err(error) => return vec![error],
    };
    let mut wrong = Vec::new();
    let mut labels: BTreeSet<&str> = ADDED.into();
    for selector in &uses.selectors {
        if selector.metric == "up" {
            continue;
        }
        let Some(all) = series.get(&selector.metric) else {
            wrong.push(format!("there is no metric {}", selector.metric));
            continue;
        };
        labels.extend(all.iter().flat_map(BTreeMap::keys).map(String::as_str));
        wrong.extend(unmatched(selector, all));
    }
    if uses.selectors.is_empty() {
        wrong.push("it uses no metric".to_owned());
    }
    let unknown = uses.grouped.iter().filter(|label| !labels.contains(label.as_str()));
    wrong.extend(unknown.map(|label| format!("no metric there has the label {label}")));
    wrong
}

/// Returns the values that a selector matches and no series has.
fn unmatched(selector: &Selector, all: &[Labels]) -> Vec<String> {
    let mut wrong = Vec::new();
    let own = selector.matchers.iter().filter(|(label, ..)| !ADDED.contains(&label.as_str()));
    for (label, operator, value) in own {
        let values: Vec<_> = match operator.as_str() {
            "=" => vec![value.as_str()],
            "=~" => value.split('|').collect(),
            _ => {
                wrong.push(format!("the operator {operator} is not known here"));
                continue;
            }
        };
        for value in values {
            if !all.iter().any(|labels| labels.get(label).is_some_and(|has| has == value)) {
                wrong.push(format!("no series is {}{{{label}=\"{value}\"}}", selector.metric));
            }
        }
    }
    wrong
}

/// One rule of the file, by key.
type Rule = BTreeMap<String, String>;

/// Parses the rules of a file in which each key has a line of its own.
fn rules(text: &str) -> Vec<Rule> {
    let mut found: Vec<Rule> = Vec::new();
    for line in text.lines().map(str::trim) {
        let line = match line.strip_prefix("- ") {
            Some(rest) if rest.starts_with("alert:") => {
                found.push(Rule::new());
                rest
            }
            _ => line,
        };
        if let (Some(rule), Some((key, value))) = (found.last_mut(), line.split_once(": ")) {
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            let before = rule.insert(key.to_owned(), value.to_owned());
            assert_eq!(before, None, "{key} twice in {rule:?}");
        }
    }
    found
}

/// Returns the labels that a text for people contains placeholders for.
fn filled_in<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    let parts = text.split("{{").skip(1).filter_map(|part| part.split_once("}}"));
    parts.filter_map(|(inner, _)| inner.trim().strip_prefix(start)).collect()
}

/// Collects every expression of the dashboard, with the legend of its panel's line.
fn expressions(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            let text = |key: &str| map.get(key).and_then(Value::as_str);
            if let Some(expression) = text("expr").or(text("definition")) {
                let legend = text("legendFormat").unwrap_or_default();
                found.push((expression.to_owned(), legend.to_owned()));
            }
            map.values().for_each(|value| expressions(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn alerts_and_dashboard_use_only_metrics_of_a_scrape() {
    let series = series(&scrape());
    let mut wrong = Vec::new();
    let rules = rules(&fs::read_to_string(ALERTS).unwrap());
    assert!(rules.len() >= 15, "{} alerts were found", rules.len());
    for rule in &rules {
        let name = &rule["alert"];
        for key in ["expr", "severity", "summary", "description", "runbook"] {
            if rule.get(key).is_none_or(String::is_empty) {
                wrong.push(format!("{name}: no {key}"));
            }
        }
        if !["critical", "warning"].contains(&rule["severity"].as_str()) {
            wrong.push(format!("{name}: severity {}", rule["severity"]));
        }
        let expression = &rule["expr"];
        wrong.extend(mistakes(expression, &series).into_iter().map(|m| format!("{name}: {m}")));
        // An aggregation keeps the labels that it groups by, and no other.
        let grouped = uses(expression).unwrap_or_default().grouped;
        for label in rule.values().flat_map(|text| filled_in(text, "$labels.")) {
            if !ADDED.contains(&label) && !grouped.contains(label) {
                wrong.push(format!("{name}: a text is filled in with {label}, which is not left"));
            }
        }
    }
    let mut found = Vec::new();
    let dashboard = fs::read_to_string(DASHBOARD).unwrap();
    expressions(&serde_json::from_str(&dashboard).unwrap(), &mut found);
    assert!(found.len() >= 40, "{} expressions were found", found.len());
    for (expression, legend) in &found {
        let mut more = mistakes(expression, &series);
        let grouped = uses(expression).unwrap_or_default().grouped;
        for label in filled_in(legend, "") {
            if !ADDED.contains(&label) && !grouped.contains(label) {
                more.push(format!("the legend's label {label} is not left"));
            }
        }
        wrong.extend(
            more.into_iter().map(|mistake| format!("{DASHBOARD}: {expression}: {mistake}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // The dashboard or the alerts use every metric of Redoubt's own.
    let page = fs::read_to_string("docs/metrics.md").unwrap();
    let listed = page.lines().filter_map(|line| line.strip_prefix("| `redoubt_")?.split_once('`'));
    let unused: Vec<_> = listed
        .map(|(name, _)| format!("redoubt_{name}"))
        .filter(|n| !dashboard.contains(n))
        .collect();
    assert!(unused.is_empty(), "the dashboard does not show {unused:?}");
}

#[test]
fn mistakes_in_promql_expressions_are_found() {
    let series = series(
        "# TYPE a_total counter\na_total{reason=\"x\"} 1\nb 2\nc_bucket{part=\"p\",le=\"+Inf\"} 3\n",
    );
    let right = [
        "up{job=\"redoubt\"} == 0",
        "sum by (reason) (rate(a_total{reason=~\"x\",job=\"j\"}[5m])) > 1",
        "histogram_quantile(0.99, sum by (instance, le) (rate(c_bucket{part=\"p\"}[5m])))",
    ];
    for expression in right {
        assert_eq!(mistakes(expression, &series), Vec::<String>::new(), "{expression}");
    }
    let wrong = [
        "rate(a_totals[5m])",
        "rate(a_total{reasons=\"x\"}[5m])",
        "rate(a_total{reason=\"y\"}[5m])",
        "rate(a_total{reason=~\"x|y\"}[5m])",
        "sum by (rule) (b)",
        "sum by (reason) (b)",
        "rats(b[5m])",
        "1 > 0",
    ];
    for expression in wrong {
        assert_ne!(mistakes(expression, &series), Vec::<String>::new(), "{expression}");
    }
}

/// Prometheus's own tool parses the alerts too.
#[test]
fn promtool_accepts_the_alerts() {
    let done = Command::new("promtool")
        .args(["check", "rules", ALERTS])
        .output()
        .expect("promtool is missing: apt-get install -y --no-install-recommends prometheus");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stdout));
}
