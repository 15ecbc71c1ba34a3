#!/usr/bin/env python3
"""Runs the test suites of Redis and of redis-py directly and through Redoubt, with a policy that refuses
nothing, and compares them.

    REDIS_SOURCE=… scripts/suites.py [redis|redis-py]... [--only TEXT]

- `redis` is the suite in tests/ of Redis's source tree, which REDIS_SOURCE names: of the release that
  redis-server on the PATH has. It runs as Redis runs it for an external server, without slow tests.
- `redis-py` is the suite in the library's source distribution, which pip downloads; in RESP2 and RESP3.
- `--only TEXT` runs only the files whose names contain TEXT, such as unit/introspection.

REDOUBT is the program to test; without it, a release build is made. Each file of a suite has a Redis and a Redoubt
of its own, on free ports. Logs are under target/suites/logs.

Prints the tests that pass directly and fail through Redoubt, each time that they are repeated. The last
section of docs/differences.md says why they do. Fails if a test is missing there, and reports a test there
that passes now.
"""

import argparse
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
FOLDER = TARGET / "suites"
LOGS = FOLDER / "logs"
PAGE = ROOT / "docs" / "differences.md"
SECTION = "## Tests that pass only without Redoubt"

# Every user of Redis accepts any password until it has one, so the same AUTH works directly and through Redoubt.
PASSWORD = "the-password-of-these-suites-0123456789"
PACKAGES = ["redis==5.0.8", "pytest==7.4.4", "pytest-asyncio==0.21.2", "pytest-timeout==2.3.1", "mock", "uvloop",
            "cachetools", "packaging"]
# They need a cluster, modules or certificates.
IGNORED = ["test_cluster.py", "test_search.py", "test_ssl.py", "test_asyncio/test_cluster.py",
           "test_asyncio/test_search.py"]
MARKS = "not onlycluster and not redismod and not ssl"

# Seconds without progress after which a test counts as failed.
STUCK = 60
# How many times a test that fails only through Redoubt is repeated.
REPEATS = 2

CONFIG = """
listen = "127.0.0.1:{port}"
workers = 2
[client]
password = "{password}"
[upstream]
url = "redis://127.0.0.1:{upstream}"
user = "default"
password = "{password}"
[policy]
blocked = []
escapes = "allow"
guard = "off"
[throttle]
failures = 1000000
[admin]
listen = "off"
[audit]
output = "off"
"""

# Put in front of the suite's own client, since every connection to Redoubt has to authenticate.
AUTHENTICATES = """
rename socket plain_socket
proc socket {args} {
    set fd [uplevel 1 [list plain_socket {*}$args]]
    if {[llength $args] == 2 && [lindex $args 1] eq $::env(SUITE_PORT)} {
        fconfigure $fd -translation binary
        puts -nonewline $fd "AUTH default $::env(SUITE_PASSWORD)\\r\\n"
        flush $fd
        if {[set reply [gets $fd]] ne "+OK\\r"} { error "AUTH: $reply" }
        fconfigure $fd -translation auto
    }
    return $fd
}
"""

# A plugin of pytest. A test that gives the server a password cannot take it away again through Redoubt, whose own
# links are refused then; without this, all later tests of its file would fail.
TAKES_PASSWORD_AWAY = """
import os, redis
server = redis.Redis(port=int(os.environ["SUITE_UPSTREAM"]), single_connection_client=True)
def pytest_runtest_logfinish():
    try:
        server.config_set("requirepass", "")
    except redis.ConnectionError:
        # The test has ended this connection.
        server.config_set("requirepass", "")
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]


class Servers:
    """A Redis and, if `through` is true, a Redoubt before it, while the block runs. `port` is the one to test."""

    def __init__(self, redoubt, folder, through):
        self.redoubt, self.folder, self.through = redoubt, folder, through
        self.started = []

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        options = ["--save", "", "--enable-protected-configs", "yes", "--enable-debug-command", "yes",
                   "--enable-module-command", "yes"]
        self.start("redis", lambda port: ["redis-server", "--port", str(port), *options])
        self.upstream = self.port
        if self.through:
            self.start("redoubt", self.serve)
        return self

    def serve(self, port):
        config = self.folder / "redoubt.toml"
        config.write_text(CONFIG.format(port=port, upstream=self.upstream, password=PASSWORD))
        return [self.redoubt, "serve", "--config", config]

    def start(self, name, command):
        """Starts a server on a free port; on another one if somebody takes that port first."""
        for _ in range(10):
            self.port = free_port()
            if self.answers(name, command(self.port)):
                return
        self.__exit__()
        raise SystemExit(f"suites.py: {name} does not start; see {self.folder}/{name}.log")

    def answers(self, name, command):
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        self.started.append(process)
        for _ in range(300):
            if process.poll() is not None:
                return False
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                    client.sendall(f"AUTH default {PASSWORD}\r\nPING\r\n".encode())
                    if client.makefile("rb").readline() == b"+OK\r\n":
                        return True
            except OSError:
                pass
            time.sleep(0.1)
        return False

    def __exit__(self, *_):
        for process in reversed(self.started):
            process.kill()
            process.wait()


class RedisSuite:
    """Redis's own suite. A result maps "file: test" to true if the test passes."""

    name = "redis"

    def __init__(self, redoubt):
        self.redoubt = redoubt
        source = os.environ.get("REDIS_SOURCE")
        if not source or not (pathlib.Path(source) / "tests" / "test_helper.tcl").is_file():
            raise SystemExit("suites.py: REDIS_SOURCE must be the folder of Redis's source (with tests/), of the "
                             "release of redis-server")
        # Each way has a copy, since the suite removes the temporary files of all its runs.
        self.copies = {}
        for through in (False, True):
            copy = self.copies[through] = FOLDER / f"redis-{through}"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(pathlib.Path(source) / "tests", copy / "tests", symlinks=True)
            (copy / "src").mkdir()
            for tool in ("redis-server", "redis-cli", "redis-benchmark", "redis-check-aof", "redis-check-rdb"):
                if found := shutil.which(tool):
                    (copy / "src" / tool).symlink_to(found)
            shutil.copy(pathlib.Path(source) / "redis.conf", copy)
            client = copy / "tests" / "support" / "redis.tcl"
            client.write_text(AUTHENTICATES + client.read_text())
        listed = (self.copies[True] / "tests" / "test_helper.tcl").read_text()
        self.files = re.search(r"set ::all_tests \{(.*?)\}", listed, re.S)[1].split()

    def run(self, file, through):
        """Runs a file until no test of it is stuck: such a test is left out the next time."""
        results, stuck = {}, []
        while True:
            more, hangs = self.run_once(file, through, stuck)
            results.update(more)
            results.update({f"{file}: {name}": False for name in stuck})
            if not hangs or hangs in stuck or len(stuck) > 10:
                return results
            stuck.append(hangs)

    def run_once(self, file, through, skipped):
        logs = LOGS / "redis" / ("redoubt" if through else "direct") / file
        with Servers(self.redoubt, logs, through) as servers:
            command = ["tclsh", "tests/test_helper.tcl", "--host", "127.0.0.1", "--port", str(servers.port),
                       "--durable", "--tags", "-slow", "--timeout", str(STUCK), "--single", file,
                       "--baseport", "27000" if through else "21111"]
            for name in skipped:
                command += ["--skiptest", name]
            environment = {**os.environ, "SUITE_PORT": str(servers.port), "SUITE_PASSWORD": PASSWORD,
                           "REDISCLI_AUTH": PASSWORD}
            done = subprocess.run(command, cwd=self.copies[through], env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode(errors="replace"))
        (logs / "suite.log").write_text(text)
        results = {}
        for status, name in re.findall(r"(?m)^\[(ok|err|exception)\]: (.*)$", text):
            name = re.sub(r" \(\d+ ms\)$", "", name).removesuffix(f" in tests/{file}.tcl")
            name = f"{file}: {name}"
            results[name] = status == "ok" and results.get(name, True)
        hangs = re.search(r"(?m)^\S+ => \(IN PROGRESS\) (.*)$", text) if "[TIMEOUT]" in text else None
        return results, hangs and hangs[1]


class RedisPySuite:
    """redis-py's suite. A result maps "protocol file::test" to true if the test passes."""

    name = "redis-py"

    def __init__(self, redoubt):
        self.redoubt = redoubt
        self.folder, venv = FOLDER / "redis-py", FOLDER / "python"
        self.python = venv / "bin" / "python"
        installed = venv / "installed"
        if not installed.exists() or installed.read_text() != "\n".join(PACKAGES):
            for old in (venv, self.folder, FOLDER / "unpacked"):
                shutil.rmtree(old, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            pip = [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "install", *PACKAGES], check=True)
            source = [*pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", FOLDER / "unpacked", PACKAGES[0]]
            subprocess.run(source, check=True)
            archive = next((FOLDER / "unpacked").glob("*.tar.gz"))
            shutil.unpack_archive(archive, FOLDER / "unpacked", filter="data")
            archive.unlink()
            next((FOLDER / "unpacked").iterdir()).rename(self.folder)
            # The installed library is tested.
            shutil.rmtree(self.folder / "redis")
            installed.write_text("\n".join(PACKAGES))
        tests = self.folder / "tests"
        paths = sorted(str(path.relative_to(tests)) for path in tests.rglob("test_*.py"))
        self.files = [f"{protocol} {path}" for protocol in ("RESP2", "RESP3") for path in paths if path not in IGNORED]

    def run(self, file, through):
        protocol, path = file.split()
        logs = LOGS / "redis-py" / ("redoubt" if through else "direct") / protocol / path.removesuffix(".py")
        with Servers(self.redoubt, logs, through) as servers:
            url = f"redis://default:{PASSWORD}@127.0.0.1:{servers.port}/0"
            command = [self.python, "-m", "pytest", "-p", "no:cacheprovider", "--asyncio-mode=auto",
                       f"--timeout={STUCK}", "-v", "--tb=short", "-W", "ignore", "-m", MARKS, f"--redis-url={url}",
                       f"--protocol={protocol[-1]}", f"tests/{path}"]
            environment = {**os.environ, "PYTHONPATH": str(logs), "SUITE_UPSTREAM": str(servers.upstream)}
            if "requirepass" in (self.folder / "tests" / path).read_text():
                (logs / "suite_password.py").write_text(TAKES_PASSWORD_AWAY)
                command += ["-p", "suite_password"]
            with open(logs / "suite.log", "wb") as log:
                process = subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log)
                try:
                    process.wait(timeout=10 * STUCK)
                except subprocess.TimeoutExpired:
                    # The end of a test is not in pytest's time limit.
                    process.kill()
                    process.wait()
        results = {}
        text = (logs / "suite.log").read_text(errors="replace")
        for test, outcome in re.findall(r"(?m)^tests/(\S+::.*?) (PASSED|FAILED|ERROR)\b", text):
            name = f"{protocol} {test}"
            results[name] = outcome == "PASSED" and results.get(name, True)
        return results


class Explained:
    """The table in docs/differences.md. A name of a test in it may end in `*`, and leaves the protocol out."""

    def __init__(self, suite):
        text = PAGE.read_text().partition(SECTION)[2].replace("\\|", "\0")
        rows = re.findall(r"(?m)^\| `([^`]+)` \| `(.*?)` \| ", text)
        self.names = [name.replace("\0", "|") for of, names in rows if of == suite for name in names.split("`, `")]

    @staticmethod
    def covers(name, test):
        test = re.sub(r"^RESP\d ", "", test)
        return test.startswith(name[:-1]) if name.endswith("*") else test == name

    def has(self, test):
        return any(self.covers(name, test) for name in self.names)

    def without_cause(self, passed, failing):
        """Returns the names of which tests pass now, and none fails."""
        found = lambda name, tests: any(self.covers(name, test) for test in tests)
        return [name for name in self.names if found(name, passed) and not found(name, failing)]


def compare(suite, files):
    """Runs the suite both ways; returns the tests that pass directly, and of these the ones that fail through
    Redoubt each time."""
    passed, failing, shown = set(), set(), set()
    with ThreadPoolExecutor(2) as pool:
        for file in files:
            names = None
            for _ in range(1 + REPEATS):
                direct, through = pool.map(lambda through: suite.run(file, through), (False, True))
                good = {name for name, passes in direct.items() if passes}
                bad = {name for name in good if not through.get(name, False)}
                passed |= good
                # A test that fails directly once says nothing about Redoubt.
                names = bad if names is None else names & bad
                if not names:
                    break
            failing |= names
            counts = f"{len(good)} pass directly, {len(good) - len(names)} of them through Redoubt"
            print(f"{suite.name} {file}: {counts}", flush=True)
            for name in sorted(names):
                print(f"    {name}", flush=True)
    return passed, failing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    parser.add_argument("--only", default="", metavar="TEXT")
    options = parser.parse_args()
    kinds = {kind.name: kind for kind in (RedisSuite, RedisPySuite)}
    if unknown := set(options.suites) - set(kinds):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    redoubt = os.environ.get("REDOUBT")
    if not redoubt:
        subprocess.run(["cargo", "build", "--locked", "--release"], cwd=ROOT, check=True)
        redoubt = TARGET / "release" / "redoubt"
    redoubt = pathlib.Path(redoubt).resolve()
    FOLDER.mkdir(parents=True, exist_ok=True)
    wrong = False
    for name in options.suites or kinds:
        suite, explained = kinds[name](redoubt), Explained(name)
        passed, failing = compare(suite, [file for file in suite.files if options.only in file])
        print(f"{name}: {len(passed)} tests pass directly, {len(passed) - len(failing)} of them through Redoubt")
        for test in sorted(failing):
            if not explained.has(test):
                wrong = True
                print(f"  not explained in docs/differences.md: {test}")
        for test in explained.without_cause(passed, failing):
            print(f"  passes now, so docs/differences.md need not explain it: {test}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
