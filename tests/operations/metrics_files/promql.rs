//! Finds the metrics and labels that an expression of Prometheus's language uses. It is strict: unknown
//! syntax is an error, so that a mistake in a name is not taken for something else.

use std::collections::BTreeSet;

/// Words of the language that are neither metric nor label.
const WORDS: [&str; 8] = ["and", "or", "unless", "bool", "offset", "by", "without", "on"];
/// The functions and aggregations that the files use.
const FUNCTIONS: [&str; 12] = [
    "changes",
    "count",
    "histogram_quantile",
    "increase",
    "label_values",
    "max",
    "min",
    "rate",
    "sum",
    "topk",
    "avg",
    "time",
];

/// A metric with its label matchers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    /// The label, the operator and the value.
    pub(crate) matchers: Vec<(String, String, String)>,
}

/// Metrics and labels in an expression.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    pub(crate) selectors: Vec<Selector>,
    /// Labels that the expression groups by.
    pub(crate) grouped: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// Parses `expression`.
pub(crate) fn uses(expression: &str) -> Result<Uses, String> {
    let tokens = tokens(expression)?;
    let mut uses = Uses::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let Token::Word(word) = token else { continue };
        if ["by", "without", "on"].contains(&word.as_str()) {
            at = list(&tokens, at, &mut uses.grouped)?;
        } else if word.starts_with(|first: char| first.is_ascii_digit())
            || WORDS.contains(&word.as_str())
        {
        } else if FUNCTIONS.contains(&word.as_str()) {
            // Grafana has `label_values(metric, label)` of its own.
            if word == "label_values" {
                let Some(Token::Word(label)) = tokens.iter().rev().nth(1) else {
                    return Err("label_values without a label".to_owned());
                };
                uses.grouped.insert(label.clone());
                let inner = &tokens[at + 1..tokens.len() - 3];
                let (selector, end) = selector(inner, 0)?;
                if end != inner.len() {
                    return Err("label_values of more than a metric".to_owned());
                }
                uses.selectors.push(selector);
                return Ok(uses);
            }
            let grouping = |token: &Token| matches!(token, Token::Word(word) if word == "by");
            let opens = tokens.get(at).is_some_and(|t| *t == Token::Sign('(') || grouping(t));
            if !opens {
                return Err(format!("{word} is not called"));
            }
        } else if tokens.get(at) == Some(&Token::Sign('(')) {
            return Err(format!("{word} is no function that is known here"));
        } else {
            let (found, end) = selector(&tokens, at - 1)?;
            uses.selectors.push(found);
            at = end;
        }
    }
    Ok(uses)
}

/// Returns the metric at `at`, and where the rest begins.
fn selector(tokens: &[Token], at: usize) -> Result<(Selector, usize), String> {
    let Some(Token::Word(metric)) = tokens.get(at) else {
        return Err("no metric where one is due".to_owned());
    };
    let (mut selector, mut at) =
        (Selector { metric: metric.clone(), matchers: Vec::new() }, at + 1);
    if tokens.get(at) != Some(&Token::Sign('{')) {
        return Ok((selector, at));
    }
    loop {
        at += 1;
        let Some(Token::Word(label)) = tokens.get(at) else {
            return Err(format!("no label where one is due, of {metric}"));
        };
        let mut operator = String::new();
        at += 1;
        while let Some(Token::Sign(sign @ ('=' | '!' | '~'))) = tokens.get(at) {
            operator.push(*sign);
            at += 1;
        }
        let Some(Token::Text(value)) = tokens.get(at) else {
            return Err(format!("no value for {label} of {metric}"));
        };
        selector.matchers.push((label.clone(), operator, value.clone()));
        at += 1;
        match tokens.get(at) {
            Some(Token::Sign(',')) => {}
            Some(Token::Sign('}')) => return Ok((selector, at + 1)),
            _ => return Err(format!("the labels of {metric} do not end")),
        }
    }
}

/// Adds the words of a list in parentheses; returns where the rest begins.
fn list(tokens: &[Token], at: usize, found: &mut BTreeSet<String>) -> Result<usize, String> {
    if tokens.get(at) != Some(&Token::Sign('(')) {
        return Err("no list where one is due".to_owned());
    }
    for (at, token) in tokens.iter().enumerate().skip(at + 1) {
        match token {
            Token::Word(word) => _ = found.insert(word.clone()),
            Token::Sign(',') => {}
            Token::Sign(')') => return Ok(at + 1),
            _ => break,
        }
    }
    Err("a list does not end".to_owned())
}

/// Splits an expression into tokens, without ranges such as `[5m]`.
fn tokens(expression: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.';
        if first == '"' {
            let (text, after) = rest[1..].split_once('"').ok_or("a text does not end")?;
            found.push(Token::Text(text.to_owned()));
            rest = after;
        } else if first == '[' {
            rest = rest.split_once(']').ok_or("a range does not end")?.1;
        } else if is_part(first) {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            found.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            if !" (){},=!~<>+-*/".contains(first) {
                return Err(format!("{first:?} is not known here"));
            }
            if first != ' ' {
                found.push(Token::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(found)
}

#[test]
fn a_promql_expression_is_parsed() {
    let found = uses("sum by (rule, le) (rate(a_total{x=\"1\",y=~\"b|c\"}[5m])) / b_max > 0.5");
    let matcher = |label: &str, operator: &str, value: &str| {
        (label.to_owned(), operator.to_owned(), value.to_owned())
    };
    let a = Selector {
        metric: "a_total".to_owned(),
        matchers: vec![matcher("x", "=", "1"), matcher("y", "=~", "b|c")],
    };
    let b = Selector { metric: "b_max".to_owned(), matchers: Vec::new() };
    let grouped = ["le", "rule"].map(str::to_owned).into();
    assert_eq!(found, Ok(Uses { selectors: vec![a.clone(), b], grouped }));
    let found = uses("label_values(a_total{x=\"1\",y=~\"b|c\"}, job)");
    assert_eq!(found, Ok(Uses { selectors: vec![a], grouped: ["job".to_owned()].into() }));
    for wrong in ["rats(a_total[5m])", "a{", "a{b}", "sum by a", "sum", "a{b=\"1\"", "a;b"] {
        assert!(uses(wrong).is_err(), "{wrong}");
    }
}
