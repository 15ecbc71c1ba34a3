#!/usr/bin/env bash
# Packs the sources of all crates of the workspace into target/package, without compiling them, and checks
# the archive: under 1.5 megabytes, all that its README links to, a workspace that cargo accepts, and a
# changelog entry of its version.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "package.sh: $*" >&2
    exit 1
}

# Lists what cargo would pack of one crate, without the files that it would generate.
list() {
    # It is quiet, because cargo warns about a missing public address, which is not known yet.
    cargo package --quiet --list --locked --allow-dirty --package "$1" 2>/dev/null \
        | grep -vxE '\.cargo_vcs_info\.json|Cargo\.toml\.orig' | sed "s,^,$2,"
}

id=$(cargo pkgid --locked)
version=${id##*[#@]}
files=$(list redoubt '' && list redoubt-core core/ \
    && list redoubt-fuzz-checks tests/fuzz_checks/ && list redoubt-test-support tests/support/)
files=$(grep -vxE '(core|tests/fuzz_checks|tests/support)/Cargo.lock' <<<"$files")
dir=${CARGO_TARGET_DIR:-target}/package
archive=$dir/redoubt-$version.tar.gz
mkdir -p "$dir"
tar -I 'gzip -9' -cf "$archive" --transform "s,^,redoubt-$version/," --files-from - <<<"$files"
size=$(wc -c <"$archive")
[ "$size" -lt 1500000 ] || fail "$archive has $size bytes: exclude something in Cargo.toml"

links=$(grep -oE '\]\([^)#:]+' README.md | sed 's/^](//' | sort -u)
for path in Cargo.lock CHANGELOG.md README.md src/main.rs core/src/lib.rs $links; do
    grep -qE "^${path//./\\.}(/|$)" <<<"$files" || fail "$path is not in the archive"
done

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
tar xzf "$archive" -C "$unpacked"
said=$(cargo metadata --locked --format-version 1 --no-deps \
    --manifest-path "$unpacked/redoubt-$version/Cargo.toml" 2>&1 >/dev/null) || fail "$said"

grep -qE "^## \[${version//./\\.}\] - ([0-9]{4}-[0-9]{2}-[0-9]{2}|unreleased)$" CHANGELOG.md \
    || fail "CHANGELOG.md has no '## [$version] - DATE'"
