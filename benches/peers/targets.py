"""The targets: plain Redis, the other proxies in front of it, and Redoubt in its variants.

A target is one process (or none, for direct) listening on loopback, with one worker thread, asking
its clients for the same password as Redis where it can. To add a row for a feature of Redoubt, add
a line to VARIANTS.
"""

import json
import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVOY = ROOT / "target" / "envoy"
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
HOST = "127.0.0.1"

# Rows of Redoubt: name -> what differs from the defaults, as `section.key` and a TOML value. In it DIR
# is the bench's folder, PORT the target's port and TLS_PORT the port on which Redis uses TLS. A target whose
# clients use a Unix socket has it at DIR/PORT.sock; Redis has its own at DIR/redis.sock.
VARIANTS = {
    "redoubt": {},
    "redoubt-unshared": {"upstream.sharing": '"off"', "upstream.max_links": "12000"},
    "redoubt-no-guard": {"policy.guard": '"off"'},
    "redoubt-no-policy": {
        "policy.blocked": "[]", "policy.escapes": '"allow"', "policy.guard": '"off"'
    },
    "redoubt-no-metrics": {"metrics.enabled": "false"},
    "redoubt-no-audit": {"audit.output": '"off"'},
    "redoubt-audit-file": {"audit.output": '"file"', "audit.file": '"DIR/PORT-audit.log"'},
    "redoubt-tls": {
        "listen": '"tls://127.0.0.1:PORT"', "tls.certificate": '"DIR/tls.crt"',
        "tls.key": '"DIR/tls.key"'
    },
    "redoubt-tls-upstream": {
        "upstream.url": '"rediss://127.0.0.1:TLS_PORT"', "upstream.tls_ca": '"DIR/tls.crt"'
    },
    "redoubt-unix-clients": {"listen": '["127.0.0.1:PORT", "unix://DIR/PORT.sock"]'},
    "redoubt-unix-upstream": {"upstream.url": '"unix://DIR/redis.sock"'},
    "redoubt-unix": {
        "listen": '["127.0.0.1:PORT", "unix://DIR/PORT.sock"]',
        "upstream.url": '"unix://DIR/redis.sock"',
    },
}
# Rows whose clients have to use TLS; Redis itself uses it too, on another port.
TLS = {"direct-tls", "redoubt-tls"}
# Rows whose clients use a Unix socket; Redis itself has one too.
UNIX_CLIENTS = {"direct-unix", "redoubt-unix-clients", "redoubt-unix"}
# Rows with a Unix socket on either side.
UNIX = {*UNIX_CLIENTS, "redoubt-unix-upstream"}
# Rows that show the cost of a feature.
FEATURES = {*VARIANTS, *TLS, *UNIX} - {"redoubt", "redoubt-unshared"}
PEERS = ["haproxy", "twemproxy", "envoy"]
TITLES = {
    "direct": "direct",
    "haproxy": "HAProxy (TCP)",
    "twemproxy": "twemproxy",
    "envoy": "Envoy",
    "redoubt": "**Redoubt**",
    "redoubt-unshared": 'Redoubt, `sharing = "off"`',
    "redoubt-no-guard": "Redoubt, no guard",
    "redoubt-no-policy": "Redoubt, nothing refused",
    "redoubt-no-metrics": "Redoubt, no metrics",
    "redoubt-no-audit": "Redoubt, no audit log",
    "redoubt-audit-file": "Redoubt, audit log in a file",
    "direct-tls": "direct, TLS",
    "redoubt-tls": "Redoubt, clients in TLS",
    "redoubt-tls-upstream": "Redoubt, Redis in TLS",
    "direct-unix": "direct, Unix socket",
    "redoubt-unix-clients": "Redoubt, Unix socket to clients",
    "redoubt-unix-upstream": "Redoubt, Unix socket to Redis",
    "redoubt-unix": "Redoubt, Unix sockets on both sides",
}
# Commands that a proxy refuses or cannot forward.
LACKS = {"twemproxy": {"multi", "pubsub"}, "envoy": {"pubsub"}}
MOST_SESSIONS = 12_000
OPEN_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def title(name):
    return TITLES.get(name, f"Redoubt, {name.removeprefix('redoubt-')}")


@dataclass
class Target:
    """A running process that clients can connect to."""

    name: str
    port: int
    process: subprocess.Popen
    lacks: set = field(default_factory=set)
    admin: int | None = None
    # The Unix socket that clients use in place of the port.
    socket: Path | None = None

    @property
    def address(self):
        """The address for the `load` program."""
        return f"unix://{self.socket}" if self.socket else f"{HOST}:{self.port}"

    @property
    def options(self):
        """The address for redis-benchmark."""
        return ["-s", str(self.socket)] if self.socket else ["-h", HOST, "-p", str(self.port)]

    @property
    def pid(self):
        return self.process.pid

    @property
    def speaks_tls(self):
        return self.name in TLS

    def can_run(self, load):
        """Returns true if the target is measured with this load. The cost of a feature is measured
        with two of the loads, since all would take an hour. The `load` program has no TLS."""
        if self.name in UNIX and load.shows_sockets:
            return load.needs not in self.lacks
        if self.name in FEATURES and not load.shows_features:
            return False
        return load.needs not in self.lacks and not (self.speaks_tls and load.tool == "load")


class Bench:
    """Starts one Redis, and the targets in front of it; all end with the `with` block."""

    def __init__(self, directory):
        self.directory = Path(directory).resolve()
        self.password = os.urandom(24).hex()
        self.redis = None
        self.tls_port = None
        self.running = []

    def __enter__(self):
        self._certificate()
        port, self.tls_port = free_port(), free_port()
        config = (
            f"tls-port {self.tls_port}\ntls-cert-file {self.certificate}\n"
            f"tls-key-file {self.directory / 'tls.key'}\ntls-auth-clients no\n"
            f"unixsocket {self.directory / 'redis.sock'}\n"
            f"port {port}\nbind {HOST}\nsave \"\"\nappendonly no\nrequirepass {self.password}\n"
            f"maxclients {MOST_SESSIONS}\ntcp-backlog 4096\ndir {self.directory}\n"
            "client-output-buffer-limit pubsub 0 0 0\n"
        )
        process = self._launch("redis", ["redis-server", self._write("redis.conf", config)])
        self.redis = self._await(Target("direct", port, process))
        return self

    def __exit__(self, *_):
        for line in self.obituary():
            print(line, file=sys.stderr)
        for target in self.running:
            target.process.kill()
            target.process.wait()

    def start(self, name, settings=None):
        """Starts the target of that name; `settings` go on top of a Redoubt's own."""
        if name == "direct":
            return self.redis
        if name == "direct-tls":
            return Target(name, self.tls_port, self.redis.process)
        if name == "direct-unix":
            socket_file = self.directory / "redis.sock"
            return Target(name, self.redis.port, self.redis.process, socket=socket_file)
        port, admin = free_port(), None
        starter = {"haproxy": self._haproxy, "twemproxy": self._twemproxy, "envoy": self._envoy}
        if name in starter:
            command = starter[name](port)
        else:
            admin = free_port()
            command = self._redoubt(name, port, admin, settings)
        process = self._launch(f"{name}-{port}", command)
        socket_file = self.directory / f"{port}.sock" if name in UNIX_CLIENTS else None
        lacks = LACKS.get(name, set())
        return self._await(Target(name, port, process, lacks, admin, socket_file))

    def client(self, target):
        """A connection to the target that has logged in."""
        return Client(target.port, self.password, self.certificate if target.speaks_tls else None)

    def obituary(self):
        """What to say of a process that should be running and is not."""
        return [f"{target.name} has ended with {target.process.poll()}"
                for target in self.running if target.process.poll() is not None]

    def stop(self, target):
        target.process.kill()
        target.process.wait()
        self.running.remove(target)

    def _haproxy(self, port):
        # The proxy needs two sockets for a session, and refuses to start if there could be too few.
        most = min(MOST_SESSIONS, (OPEN_FILES - 100) // 2)
        return ["haproxy", "-db", "-f", self._write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn {most}
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen redis
    bind {HOST}:{port} backlog 4096
    server redis {HOST}:{self.redis.port}
""")]

    def _twemproxy(self, port):
        config = self._write("nutcracker.yml", f"""
redis:
  listen: {HOST}:{port}
  hash: fnv1a_64
  distribution: ketama
  redis: true
  redis_auth: {self.password}
  preconnect: true
  backlog: 4096
  servers:
   - {HOST}:{self.redis.port}:1
""")
        stats = str(free_port())
        return ["nutcracker", "-c", config, "-s", stats, "-a", HOST]

    def _envoy(self, port):
        config = self._write("envoy.json", json.dumps(envoy_config(port, self)))
        return [envoy_binary(), "-c", config, "--concurrency", "1", "--log-level", "error",
                "--disable-hot-restart"]

    @property
    def certificate(self):
        """Of Redis and of Redoubts, and its own authority."""
        return self.directory / "tls.crt"

    def _certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "1", "-subj", "/CN=bench", "-addext", f"subjectAltName=IP:{HOST}",
             "-addext", "basicConstraints=critical,CA:FALSE",
             "-keyout", self.directory / "tls.key", "-out", self.certificate],
            check=True, capture_output=True)

    def _redoubt(self, name, port, admin, settings):
        keys = {
            "listen": f'"{HOST}:{port}"',
            "admin.listen": f'"{HOST}:{admin}"',
            "log.level": '"warn"',
            "client.password": f'"{self.password}"',
            "upstream.url": f'"redis://{HOST}:{self.redis.port}"',
            "upstream.password": f'"{self.password}"',
            "limits.max_sessions": str(MOST_SESSIONS),
            # All clients connect at the same time, from one address.
            "limits.unauthenticated_sessions": str(2 * MOST_SESSIONS),
        }
        places = {"DIR": self.directory, "TLS_PORT": self.tls_port, "PORT": port}
        for key, value in (VARIANTS.get(name, {}) | (settings or {})).items():
            for word, meant in places.items():
                value = value.replace(word, str(meant))
            keys[key] = value
        sections = {}
        for key, value in keys.items():
            section, _, key = key.rpartition(".")
            sections.setdefault(section, []).append(f"{key} = {value}")
        lines = sections.pop("", [])
        for section, pairs in sections.items():
            lines += [f"[{section}]", *pairs]
        config = self._write(f"{name}-{port}.toml", "\n".join(lines) + "\n")
        return [redoubt_binary(name), "serve", "--config", config]

    def _write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def _launch(self, name, command):
        log = open(self.directory / f"{name}.log", "wb")
        try:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        except FileNotFoundError:
            sys.exit(f"{command[0]} is missing: scripts/prerequisites.sh bench")

    def _await(self, target):
        self.running.append(target)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and target.process.poll() is None:
            try:
                with self.client(target) as client:
                    if client.ask("PING") == b"+PONG":
                        return target
            except OSError:
                pass
            time.sleep(0.05)
        logs = "\n".join(path.read_text(errors="replace")[-2000:]
                         for path in self.directory.glob(f"{target.name}*.log"))
        sys.exit(f"{target.name} does not answer:\n{logs}")


class Client:
    """A plain connection that has logged in."""

    def __init__(self, port, password, authority=None):
        self.socket = socket.create_connection((HOST, port), timeout=30)
        if authority:
            context = ssl.create_default_context(cafile=authority)
            self.socket = context.wrap_socket(self.socket, server_hostname=HOST)
        self.stream = self.socket.makefile("rb")
        self.ask("AUTH", password)

    def ask(self, *words):
        """One command; its reply's first line."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        self.socket.sendall(request.encode())
        return self.stream.readline().rstrip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def envoy_config(port, bench):
    def address(port):
        return {"socket_address": {"address": HOST, "port_value": port}}

    kind = "type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3."
    password = {"inline_string": bench.password}
    proxy = {
        "@type": kind + "RedisProxy",
        "stat_prefix": "redis",
        "settings": {"op_timeout": "60s"},
        "prefix_routes": {"catch_all_route": {"cluster": "redis"}},
        "downstream_auth_passwords": [password],
    }
    filters = [{"name": "envoy.filters.network.redis_proxy", "typed_config": proxy}]
    endpoint = {"endpoint": {"address": address(bench.redis.port)}}
    cluster = {
        "name": "redis",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "redis", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            "envoy.filters.network.redis_proxy": {
                "@type": kind + "RedisProtocolOptions", "auth_password": password,
            },
        },
    }
    listener = {"name": "redis", "address": address(port), "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def envoy_binary():
    found = [*ENVOY.glob("lib/python*/site-packages/envoy/_bin/envoy")]
    return str(found[0]) if found else shutil.which("envoy") or "envoy"


def redoubt_binary(name):
    """BENCH_REDOUBT may name other binaries than this tree's: `old=/path,new=/path`."""
    others = other_redoubts()
    return others.get(name) or others.get("redoubt") or str(TARGET / "release" / "redoubt")


def other_redoubts():
    """Binaries by the name of their row."""
    pairs = [pair.split("=", 1) for pair in os.environ.get("BENCH_REDOUBT", "").split(",") if pair]
    return {name if name == "redoubt" else f"redoubt-{name}": path for name, path in pairs}


def free_port():
    with socket.socket() as listener:
        # The port is below the range from which the system takes ports for outgoing connections.
        while True:
            port = 15_000 + int.from_bytes(os.urandom(2), "big") % 17_000
            try:
                listener.bind((HOST, port))
                return port
            except OSError:
                continue


def versions(names):
    """What each program says of itself."""
    commands = {
        "direct": ["redis-server", "--version"],
        "haproxy": ["haproxy", "-v"],
        "twemproxy": ["nutcracker", "--version"],
        "envoy": [envoy_binary(), "--version"],
        "redoubt": [redoubt_binary("redoubt"), "--version"],
    }
    found = {}
    for name in names:
        if name in commands:
            done = subprocess.run(commands[name], capture_output=True, text=True)
            number = re.search(r"\d+\.\d+\.\d+\S*", done.stdout + done.stderr)
            text = number.group().split("/")[0] if number else "unknown"
            found["Redis" if name == "direct" else title(name).strip("*")] = text
    return found
