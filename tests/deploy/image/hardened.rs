//! Starts Redis as it is deployed: `config/redis-server.sh` with `config/redis.conf`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use support::{Lines, Wire, redis, secret};

const SCRIPT: &str = "config/redis-server.sh";
const CONF: &str = "config/redis.conf";

/// A running Redis, killed on drop, and its secrets.
pub(crate) struct Hardened {
    pub(crate) port: u16,
    pub(crate) secrets: Secrets,
    child: Child,
}

/// A directory with the two passwords, as Compose mounts them.
pub(crate) struct Secrets {
    dir: TempDir,
    pub(crate) redis: String,
    pub(crate) redoubt: String,
}

impl Secrets {
    pub(crate) fn new() -> Self {
        let (dir, redis, redoubt) = (tempfile::tempdir().unwrap(), secret(), secret());
        let new = Self { dir, redis, redoubt };
        for (name, password) in [("redis_password", &new.redis), ("redoubt_password", &new.redoubt)]
        {
            fs::write(new.file(name), format!("{password}\n")).unwrap();
            new.permit(name, 0o444);
        }
        new
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn permit(&self, name: &str, mode: u32) {
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// Returns the command that runs the script with the password in a file.
pub(crate) fn script(password_file: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg(SCRIPT).arg(CONF).arg(password_file).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

impl Hardened {
    pub(crate) fn start() -> Self {
        let secrets = Secrets::new();
        for _ in 0..50 {
            let port = redis::free_port();
            let mut child = script(&secrets.file("redis_password"))
                .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let output = Lines::of(&mut child);
            if output.wait(|line| line.contains("Ready to accept")).is_some() {
                return Self { port, secrets, child };
            }
            drop(child.kill());
            child.wait().unwrap();
            let all = output.all().join("\n");
            assert!(all.contains("Address already in use"), "redis-server does not start:\n{all}");
        }
        panic!("redis-server finds no free port");
    }

    /// Starts it on the Unix socket `redis.sock` beside its secrets, with the options of the command line that the
    /// examples have for that.
    pub(crate) fn start_on_socket() -> (Self, PathBuf) {
        let secrets = Secrets::new();
        let socket = secrets.file("redis.sock");
        let mut child = script(&secrets.file("redis_password"))
            .args(["--port", "0", "--unixsocket"])
            .arg(&socket)
            .args(["--unixsocketperm", "770"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Lines::of(&mut child);
        let ready = output.wait(|line| line.contains("ready to accept"));
        assert!(ready.is_some(), "redis-server does not start:\n{}", output.all().join("\n"));
        (Self { port: 0, secrets, child }, socket)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns a connection with the rights that Redoubt has before it creates the guard.
    pub(crate) fn login(&self) -> Wire {
        Wire::authenticated(([127, 0, 0, 1], self.port).into(), &self.secrets.redis)
    }
}

impl Drop for Hardened {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
