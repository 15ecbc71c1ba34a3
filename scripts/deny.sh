#!/usr/bin/env bash
# Holds all crates against deny.toml: licences, bans and sources always; known vulnerabilities where
# their list can be fetched, and where it cannot this says so.
set -euo pipefail
cd "$(dirname "$0")/.."

deny=target/deny/bin/cargo-deny
[ -x "$deny" ] || scripts/prerequisites.sh lint

"$deny" --log-level error --locked check licenses bans sources

# Only what the list says may fail the build, not whether it is reachable.
if timeout 60 "$deny" --log-level off fetch db >/dev/null 2>&1; then
    "$deny" --log-level error --locked check --disable-fetch advisories
else
    echo "advisories NOT checked: https://github.com/RustSec/advisory-db cannot be reached from here"
fi
