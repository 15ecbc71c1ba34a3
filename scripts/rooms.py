#!/usr/bin/env python3
"""Checks the structure of src/ and core/src/: folders and top-level files that import each other in a
circle, folders of more than 15 files, and a TLS library named outside src/tls.

  scripts/rooms.py           fail on any of these
  scripts/rooms.py --files   also list the circles between files (these do not fail)

An import is `crate::name` or `super::name`, in `use` or in an expression; not in a comment or a unit test.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_FILES = 15
TLS = re.compile(r"\b(rustls|tokio_rustls|rustls_native_certs|x509_cert)::")
GROUP = re.compile(r"\b(crate|super(?:::super)*)((?:::\w+)*)::\{")


def code(path):
    """Returns the text without comment lines, and without the unit tests at its end."""
    text = path.read_text().split("\n#[cfg(test)]\nmod tests")[0]
    return re.sub(r"(?m)^\s*//.*$", "", text)


def module(path, src):
    """Returns the module of a file as a tuple of names."""
    names = list(path.relative_to(src).with_suffix("").parts)
    return tuple(names[:-1] if names[-1] in ("mod", "lib", "main") else names)


def paths(text):
    """Returns every path that begins with crate or super, with groups in braces expanded."""
    for match in re.finditer(r"\b(crate|super(?:::super)*)((?:::\w+)+)", text):
        yield match[1], match[2].split("::")[1:]
    for match in GROUP.finditer(text):
        depth, at = 1, match.end()
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        inner = text[match.end() : at - 1]
        depth, item = 0, ""
        for char in inner + ",":
            depth += {"{": 1, "}": -1}.get(char, 0)
            if char == "," and depth == 0:
                names = re.findall(r"\w+", item.split("{")[0].split(" as ")[0])
                yield match[1], match[2].split("::")[1:] + names
                item = ""
            else:
                item += char


def imports(src):
    """Maps each file to the set of files of the same crate that it imports."""
    files = {module(path, src): path for path in sorted(src.rglob("*.rs"))}
    found = {}
    for at, path in files.items():
        targets = set()
        for start, names in paths(code(path)):
            base = () if start == "crate" else at[: max(0, len(at) - start.count("super"))]
            names = base + tuple(names)
            while names and names not in files:
                names = names[:-1]
            if names and names != at:
                targets.add(files[names])
        found[path] = targets
    return found


def circles(graph):
    """Returns the sets of nodes that reach each other (Tarjan)."""
    index, low, stack, out = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            part = []
            while not part or part[-1] != node:
                part.append(stack.pop())
            if len(part) > 1:
                out.append(sorted(part))

    sys.setrecursionlimit(10_000)
    for node in graph:
        if node not in index:
            visit(node)
    return out


def main():
    wrong, of_files = [], []
    for src in (ROOT / "src", ROOT / "core" / "src"):
        by_file = imports(src)
        folders = {}
        for path, targets in by_file.items():
            here = path.relative_to(src).parts[0]
            for target in targets:
                there = target.relative_to(src).parts[0]
                if here != there:
                    folders.setdefault(here, {}).setdefault(there, []).append(path)
        for part in circles(folders):
            name = " ↔ ".join(part)
            wrong.append(f"{src.relative_to(ROOT)}: a circle of imports: {name}")
            for here in part:
                for there in sorted(set(folders[here]) & set(part)):
                    who = sorted({str(path.relative_to(src)) for path in folders[here][there]})
                    wrong.append(f"    {here} -> {there}: {', '.join(who)}")
        of_files += circles({path: targets for path, targets in by_file.items()})
        for folder in [src, *(path for path in src.rglob("*") if path.is_dir())]:
            many = len(list(folder.glob("*.rs")))
            if many > MOST_FILES:
                wrong.append(f"{folder.relative_to(ROOT)}: {many} files, more than {MOST_FILES}")
        for path in src.rglob("*.rs"):
            if src / "tls" not in path.parents and TLS.search(code(path)):
                wrong.append(f"{path.relative_to(ROOT)}: names a TLS library; only src/tls does")
    if "--files" in sys.argv[1:]:
        for part in of_files:
            print("circle:", *(str(path.relative_to(ROOT)) for path in part), sep="\n    ")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
