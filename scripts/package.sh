#!/usr/bin/env bash
# Packs the crate into target/package, without compiling it, and looks whether it is as it is to be given
# on: no warning, under a megabyte, all that its README links to, and a changelog entry of its version.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "package.sh: $*" >&2
    exit 1
}

# Where there is no public address yet, cargo misses one and goes on.
unknown='manifest has no documentation, homepage or repository'
said=$(cargo package --locked --no-verify --allow-dirty --color never 2>&1) || fail "$said"
warnings=$(grep -E '^(warning|error)' <<<"$said" | grep -vF "$unknown" || true)
[ -z "$warnings" ] || fail "$said"

id=$(cargo pkgid --locked)
version=${id##*[#@]}
crate=${CARGO_TARGET_DIR:-target}/package/redoubt-$version.crate
size=$(wc -c <"$crate")
[ "$size" -lt 1000000 ] || fail "$crate has $size bytes: exclude something in Cargo.toml"

files=$(tar tzf "$crate" | sed 's,^[^/]*/,,')
links=$(grep -oE '\]\([^)#:]+' README.md | sed 's/^](//' | sort -u)
for path in Cargo.lock CHANGELOG.md README.md src/main.rs $links; do
    grep -qE "^${path//./\\.}(/|$)" <<<"$files" || fail "$path is not in the package"
done

grep -qE "^## \[${version//./\\.}\] - ([0-9]{4}-[0-9]{2}-[0-9]{2}|unreleased)$" CHANGELOG.md \
    || fail "CHANGELOG.md has no '## [$version] - DATE'"
