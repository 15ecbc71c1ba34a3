//! The systemd unit, checked by its text and by systemd's own rating.

use std::path::Path;
use std::process::Command;

use super::mutation::{Rule, broken, each_change_counts, each_line_counts};
use super::{run, said, text};

const UNIT: &str = "config/systemd/redoubt.service";

/// Highest exposure, of 10.0, that `systemd-analyze security` may report, in tenths.
const MOST_EXPOSURE: u64 = 19;

/// The lines of a unit.
struct Unit(Vec<String>);

impl Unit {
    fn says(&self, line: &str) -> bool {
        self.0.iter().any(|it| it == line)
    }

    fn says_all(&self, lines: &[&str]) -> bool {
        lines.iter().all(|line| self.says(line))
    }

    /// Returns the only value of a key.
    fn value(&self, key: &str) -> Option<&str> {
        let mut values = self.0.iter().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        values.next().filter(|_| values.next().is_none())
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.trim_end_matches('M').parse().ok()
    }
}

const RULES: &[Rule<Unit>] = &[
    ("the unit has its three sections", |unit| {
        unit.says_all(&["[Unit]", "[Service]", "[Install]"])
    }),
    ("the user exists only while the service runs", |unit| unit.says("DynamicUser=yes")),
    ("passwords are credentials", |unit| {
        ["redis_password", "redoubt_password"].iter().all(|name| {
            let variable = name.to_uppercase();
            unit.says(&format!("LoadCredential={name}:/etc/redoubt/credentials/{name}"))
                && unit.says(&format!("Environment={variable}_FILE=%d/{name}"))
        })
    }),
    ("the unit contains no secret", |unit| {
        !unit.0.iter().any(|line| line.contains("_PASSWORD=") || line.contains("SetCredential"))
    }),
    ("the service has no capabilities", |unit| {
        unit.says_all(&["CapabilityBoundingSet=", "AmbientCapabilities=", "NoNewPrivileges=yes"])
    }),
    ("the file system is read-only", |unit| {
        unit.says_all(&[
            "ProtectSystem=strict",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "PrivateDevices=yes",
            "DevicePolicy=closed",
            "UMask=0077",
            "RuntimeDirectory=redoubt",
            "RuntimeDirectoryMode=0750",
            "LogsDirectory=redoubt",
            "LogsDirectoryMode=0700",
        ])
    }),
    ("the kernel and other processes are protected", |unit| {
        unit.says_all(&[
            "PrivateIPC=yes",
            "PrivateUsers=yes",
            "ProtectProc=invisible",
            "ProcSubset=pid",
            "ProtectClock=yes",
            "ProtectHostname=yes",
            "ProtectKernelLogs=yes",
            "ProtectKernelModules=yes",
            "ProtectKernelTunables=yes",
            "ProtectControlGroups=yes",
            "RestrictNamespaces=yes",
            "RestrictRealtime=yes",
            "RestrictSUIDSGID=yes",
            "RemoveIPC=yes",
            "LockPersonality=yes",
            "MemoryDenyWriteExecute=yes",
            "KeyringMode=private",
        ])
    }),
    ("system calls are limited", |unit| {
        unit.says_all(&[
            "SystemCallArchitectures=native",
            "SystemCallFilter=@system-service",
            "SystemCallFilter=~@privileged @resources",
            "SystemCallErrorNumber=EPERM",
        ])
    }),
    ("memory is never written to disk", |unit| {
        unit.says_all(&["LimitCORE=0", "CoredumpFilter=0", "MemorySwapMax=0"])
    }),
    ("the network is limited", |unit| {
        let sockets = "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX";
        unit.says_all(&[
            "IPAddressDeny=any",
            "IPAddressAllow=localhost",
            sockets,
            "SocketBindDeny=any",
        ]) && unit.says_all(&["SocketBindAllow=tcp:6380", "SocketBindAllow=tcp:6390"])
    }),
    ("resources are limited", |unit| {
        unit.number("LimitNOFILE") > Some(10_000 + 1_000)
            && unit.number("MemoryMax") == Some(256)
            && unit.number("TasksMax").is_some()
    }),
    ("it starts, reloads and stops", |unit| {
        unit.value("ExecStart")
            == Some("/usr/local/bin/redoubt serve --config /etc/redoubt/redoubt.toml")
            && unit.value("ExecReload") == Some("/bin/kill -HUP $MAINPID")
            && unit.value("Type") == Some("exec")
            && unit.number("TimeoutStopSec") > Some(10)
            && unit.says("WantedBy=multi-user.target")
    }),
    ("it restarts, but not for ever", |unit| {
        unit.value("Restart") == Some("on-failure")
            && unit.says("RestartPreventExitStatus=2")
            && unit.number("StartLimitBurst").is_some()
            && unit.number("StartLimitIntervalSec").is_some()
    }),
];

const FREE: [&str; 4] = ["Description=", "After=", "Wants=", "RestartSec="];

fn findings(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    broken(RULES, &Unit(lines.map(str::to_owned).collect()))
}

#[test]
fn the_systemd_unit_meets_its_requirements() {
    let changes = [
        ("DynamicUser=yes", "User=root"),
        ("ProtectSystem=strict", "ProtectSystem=full"),
        ("Environment=REDIS_PASSWORD_FILE=%d/redis_password", "Environment=REDIS_PASSWORD=hunter2"),
        ("IPAddressDeny=any\n", ""),
        ("CapabilityBoundingSet=\n", "CapabilityBoundingSet=CAP_NET_ADMIN\n"),
    ];
    each_line_counts(&text(UNIT), &FREE, findings);
    each_change_counts(&text(UNIT), &changes, findings);
}

/// Returns systemd's rating of a unit, in tenths of exposure.
fn exposure(unit: &Path) -> u64 {
    let is = run(Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(unit));
    let said = said(&is);
    let overall = said.lines().find_map(|line| line.split("exposure level for ").nth(1));
    let tenths = overall.and_then(|rest| {
        let number = rest.split(": ").nth(1)?.split(' ').next()?;
        number.replace('.', "").parse().ok()
    });
    tenths.unwrap_or_else(|| panic!("no exposure level: {said}"))
}

#[test]
fn systemd_rates_the_units_exposure_as_low() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join(UNIT);
    let is = exposure(&unit);
    assert!(is <= MOST_EXPOSURE, "{is} tenths of exposure");

    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("redoubt.service");
    let bare: Vec<_> =
        text(UNIT).lines().filter(|line| !line.contains("=yes")).map(str::to_owned).collect();
    std::fs::write(&open, bare.join("\n")).unwrap();
    assert!(exposure(&open) > MOST_EXPOSURE, "a unit without restrictions is rated as well");
}

#[test]
fn systemd_accepts_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let verified = |text: &str| {
        let unit = dir.path().join("redoubt.service");
        std::fs::write(&unit, text).unwrap();
        let is = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
        let about = |line: &&str| line.contains("redoubt.service");
        said(&is).lines().filter(about).map(str::to_owned).collect::<Vec<_>>()
    };
    let here = env!("CARGO_BIN_EXE_redoubt");
    let text = text(UNIT).replace("/usr/local/bin/redoubt", here);
    assert_eq!(verified(&text), [""; 0]);
    assert_ne!(verified(&text.replace("PrivateTmp", "PrivateTemp")), [""; 0]);
}

/// The drop-ins and the lines of `redis.conf` with which Redis has a Unix socket.
const UNIX: [&str; 3] = ["redoubt.conf", "redis-server.conf", "redis.conf"];

/// The three files, one after the other.
fn unix_files() -> String {
    UNIX.map(|name| text(&format!("config/systemd/unix/{name}"))).concat()
}

const UNIX_RULES: &[Rule<Unit>] = &[
    ("Redis has no port and no network", |unit| {
        unit.says_all(&["port 0", "PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX"])
            && unit.says("RestrictAddressFamilies=")
    }),
    ("only the group may open the socket", |unit| {
        let socket = ["unixsocket /run/redis/redis.sock", "unixsocketperm 770"];
        unit.says_all(&socket)
            && unit.says_all(&["RuntimeDirectory=redis", "RuntimeDirectoryMode=0750"])
    }),
    ("Redis's socket has the group that Redoubt is in", |unit| {
        let groups = ["Group=redoubt-upstream", "SupplementaryGroups=redoubt-upstream"];
        unit.says_all(&groups) && unit.says("SupplementaryGroups=redis")
    }),
    ("Redoubt connects to the socket, once Redis has it", |unit| {
        unit.says("Environment=REDOUBT_UPSTREAM=unix:///run/redis/redis.sock")
            && unit.says_all(&["[Unit]", "After=redis-server.service"])
    }),
    ("the settings are in the section of the service", |unit| {
        unit.0.iter().filter(|line| *line == "[Service]").count() == 2
    }),
];

#[test]
fn the_systemd_files_for_a_unix_socket_meet_their_requirements() {
    let findings = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        broken(UNIX_RULES, &Unit(lines.map(str::to_owned).collect()))
    };
    let changes = [
        ("port 0", "port 6379"),
        ("unixsocketperm 770", "unixsocketperm 777"),
        ("RuntimeDirectoryMode=0750", "RuntimeDirectoryMode=0755"),
        ("Group=redoubt-upstream", "Group=redis"),
        ("/run/redis/redis.sock", "/run/redis/other.sock"),
    ];
    each_line_counts(&unix_files(), &[], findings);
    each_change_counts(&unix_files(), &changes, findings);
}

#[test]
fn systemd_accepts_the_drop_ins_for_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("redoubt.service");
    let here = env!("CARGO_BIN_EXE_redoubt");
    std::fs::write(&unit, text(UNIT).replace("/usr/local/bin/redoubt", here)).unwrap();
    let drop_ins = dir.path().join("redoubt.service.d");
    std::fs::create_dir(&drop_ins).unwrap();
    let verified = |text: &str| {
        std::fs::write(drop_ins.join("unix.conf"), text).unwrap();
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--man=no"]).arg(&unit);
        let is = run(command.env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display())));
        let about = |line: &&str| line.contains("unix.conf") || line.contains("redoubt.service");
        said(&is).lines().filter(about).map(str::to_owned).collect::<Vec<_>>()
    };
    for name in &UNIX[..2] {
        let text = text(&format!("config/systemd/unix/{name}"));
        assert_eq!(verified(&text), [""; 0], "{name}");
        assert_ne!(verified(&text.replace("SupplementaryGroups", "SupplementGroups")), [""; 0]);
    }
}

/// A server that is started with these lines has a socket that its user and its group may open, and no port.
#[test]
fn redis_makes_the_socket_that_the_systemd_files_describe() {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let at = socket.display().to_string();
    let lines = text("config/systemd/unix/redis.conf").replace("/run/redis/redis.sock", &at);
    let conf = dir.path().join("redis.conf");
    std::fs::write(&conf, lines).unwrap();
    let mut redis = Command::new("redis-server").arg(&conf).args(["--save", ""]).spawn().unwrap();
    let ask = || said(&run(Command::new("redis-cli").args(["-s", &at, "config", "get", "port"])));
    let has_no_port = support::Deadline::standard().poll(|| ask() == "port\n0\n");
    let file = std::fs::metadata(&socket).unwrap();
    redis.kill().unwrap();
    redis.wait().unwrap();
    assert!(has_no_port, "it does not answer, or has a port");
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o770);
}
