"""What the programs share: the URL of Redis, their output, which the test compares, and workers."""

import os
import subprocess
import sys
import time

URL = sys.argv[1]


def step(what, result):
    """Prints what a step of the program has given. It must be the same in each run."""
    print(f"step {what} => {result}", flush=True)


def restart(which):
    """Has the test kill and start again "redis" or "redoubt"; without Redoubt, Redis in both cases."""
    print(f"restart {which}", flush=True)
    assert sys.stdin.readline() == "restarted\n"


def eventually(action, wanted, seconds=60):
    """Repeats `action` until it gives what is wanted, also if it fails meanwhile; returns what it gave last."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = action()
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found == wanted or time.monotonic() > end:
            return found
        time.sleep(0.05)


class Process:
    """A program of its own, such as a worker, which ends with the `with` block."""

    def __init__(self, *words, stop="terminate"):
        # Programs of the virtual environment, which find the modules beside this file.
        self.words = [os.path.join(os.path.dirname(sys.executable), words[0]), *words[1:]]
        self.stop = stop

    def __enter__(self):
        env = {**os.environ, "PYTHONPATH": os.path.dirname(__file__), "REDIS_URL": URL}
        self.child = subprocess.Popen(self.words, env=env, stdin=subprocess.DEVNULL)
        return self.child

    def __exit__(self, *_):
        getattr(self.child, self.stop)()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
