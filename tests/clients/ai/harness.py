"""What the programs share: the URL of Redis, and their output, which the test compares."""

import sys
import time

URL = sys.argv[1]


def step(what, result):
    """Prints what a step of the program has given. It must be the same in each run."""
    print(f"step {what}: {result}", flush=True)


def delete_index(whose, delete, instead):
    """Deletes an index and its documents with the library's own method; if Redoubt refuses that, by `instead`."""
    try:
        result = delete()
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
        instead()
    step(f"{whose}: index deleted with its documents", result)


def eventually(action, wanted):
    """Repeats a search until it gives what is wanted, because an index may be filled in the background."""
    end = time.monotonic() + 30
    while (found := action()) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return found
