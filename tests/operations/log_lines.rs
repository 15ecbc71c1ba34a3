//! The log's lines, in both formats, without a process around them.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redoubt::config::{LogFormat, LogSettings};
use redoubt::telemetry;
use redoubt_core::auth::LoginMethod;
use redoubt_core::policy::{Escapes, Policy, RuleName};
use redoubt_core::session::{
    Answered, ClaimedUser, CloseReason, CompatKey, Event, Program, Refusal, Refused,
};

/// A log kept in memory.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines that `log` writes for `write`.
fn lines(format: LogFormat, level: &str, write: impl FnOnce()) -> Vec<String> {
    let kept = Kept::default();
    let settings = LogSettings { format, level: level.to_owned() };
    let writer = kept.clone();
    let dispatch = telemetry::dispatch(&settings, move || writer.clone(), false).unwrap();
    tracing::dispatcher::with_default(&dispatch, write);
    let bytes = kept.0.lock().unwrap();
    String::from_utf8(bytes.clone()).unwrap().lines().map(str::to_owned).collect()
}

fn everything() {
    let peer = "192.0.2.7:51000";
    telemetry::opened(7, &peer, None);
    let rule = Policy::compile(&["FLUSHALL"], Escapes::Allow).unwrap().rules().next().unwrap();
    let program =
        Program { name: Some("web".to_owned()), library: Some("redis-py 5.0.1".to_owned()) };
    for event in [
        Event::AuthFailed { user: ClaimedUser::new(b"bob\n\"x") },
        Event::Authenticated { user: "app".into(), method: LoginMethod::Password },
        refused(&rule, None, Program::default()),
        refused(&rule, Some("policy.blocked"), program),
        Event::Answered(Answered {
            key: CompatKey::ConfigGet,
            parameters: vec!["save", "timeout"],
            succeeded: true,
            is_new: true,
        }),
        closed(CloseReason::Quit),
        closed(CloseReason::Internal),
        Event::LockedOut { lasts: Duration::from_secs(2) },
    ] {
        telemetry::report(7, &peer, None, &event);
    }
    telemetry::refused(&"locked_out", 3, 5);
    telemetry::unserved(12);
}

fn refused(rule: &RuleName, opened_by: Option<&'static str>, program: Program) -> Event {
    let refusal = Refusal { command: rule.clone(), rule: rule.clone(), opened_by };
    let refused = Box::new(Refused { refusal, keys: vec!["canary".to_owned()] });
    Event::Refused { refused, program }
}

fn closed(reason: CloseReason) -> Event {
    let lasted = Duration::from_millis(1500);
    Event::Closed { reason, lasted, commands: 3, bytes_in: 100, bytes_out: 200 }
}

#[test]
fn text_log_writes_one_line_per_event() {
    let shown: Vec<_> = lines(LogFormat::Text, "info", everything)
        .iter()
        .map(|line| line.split_once("Z ").unwrap().1.trim_start().to_owned())
        .collect();
    let counts = "duration_ms=1500 commands=3 bytes_in=100 bytes_out=200";
    assert_eq!(
        shown,
        [
            "INFO redoubt::session: session opened session=7 peer=192.0.2.7:51000".to_owned(),
            "WARN redoubt::session: AUTH failed session=7 peer=192.0.2.7:51000 user=bob\\n\\\"x"
                .to_owned(),
            "INFO redoubt::session: authenticated session=7 peer=192.0.2.7:51000 user=app \
             method=password"
                .to_owned(),
            "WARN redoubt::session: command refused session=7 peer=192.0.2.7:51000 \
             command=flushall rule=flushall"
                .to_owned(),
            "WARN redoubt::session: command refused session=7 peer=192.0.2.7:51000 name=\"web\" \
             library=\"redis-py 5.0.1\" command=flushall rule=flushall opened_by=\"policy.blocked\""
                .to_owned(),
            "INFO redoubt::session: refused command answered as policy.compat says session=7 \
             peer=192.0.2.7:51000 key=\"config_get\" parameters=\"save timeout\" succeeded=true"
                .to_owned(),
            format!(
                "INFO redoubt::session: session closed session=7 peer=192.0.2.7:51000 \
                 reason=quit {counts}"
            ),
            format!(
                "ERROR redoubt::session: session closed session=7 peer=192.0.2.7:51000 \
                 reason=internal {counts}"
            ),
            "WARN redoubt::session: address locked out session=7 peer=192.0.2.7:51000 \
             duration_ms=2000"
                .to_owned(),
            "WARN redoubt::session: connections refused reason=locked_out count=3 total=5"
                .to_owned(),
            "WARN redoubt::session: sessions closed at once reason=upstream_unavailable count=12"
                .to_owned(),
        ]
    );
}

#[test]
fn json_log_writes_one_flat_object_per_event() {
    let shown = lines(LogFormat::Json, "info", everything);
    assert_eq!(shown.len(), 11);
    for line in &shown[..9] {
        assert!(line.starts_with("{\"timestamp\":\"") && line.ends_with('}'), "{line}");
        for part in
            ["\"target\":\"redoubt::session\"", "\"session\":7", "\"peer\":\"192.0.2.7:51000\""]
        {
            assert!(line.contains(part), "no {part} in {line}");
        }
    }
    assert!(shown[1].contains("\"level\":\"WARN\",\"message\":\"AUTH failed\""), "{}", shown[1]);
    assert!(shown[1].contains("\"user\":\"bob\\\\n\\\\\\\"x\""), "{}", shown[1]);
    for part in [
        "\"message\":\"session closed\"",
        "\"reason\":\"quit\"",
        "\"duration_ms\":1500",
        "\"commands\":3",
        "\"bytes_in\":100",
        "\"bytes_out\":200",
    ] {
        assert!(shown[6].contains(part), "no {part} in {}", shown[6]);
    }
}

#[test]
fn the_log_level_decides_what_is_logged() {
    assert_eq!(lines(LogFormat::Text, "warn", everything).len(), 7);
    assert_eq!(lines(LogFormat::Text, "off", everything).len(), 0);
    assert_eq!(lines(LogFormat::Text, "info,redoubt::session=error", everything).len(), 1);
}
