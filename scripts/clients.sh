#!/bin/sh
# Installs the client libraries that tests/clients/main.rs runs, at pinned versions: those of Python
# into a virtual environment and those of Node beside it, both under target/clients. Does nothing if
# they are installed already.
set -eu
cd "$(dirname "$0")/.."

clients=${CARGO_TARGET_DIR:-target}/clients
wanted_python=tests/clients/python/requirements.txt
wanted_node=tests/clients/node/package-lock.json

# install PACKAGE... installs with apt-get, as root or through sudo.
install() {
    echo "installing $*"
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -qq
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

command -v redis-cli >/dev/null || install redis-tools
command -v script >/dev/null || install bsdutils

if ! cmp -s "$wanted_python" "$clients/python/installed"; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || install python3 python3-venv
    rm -rf "$clients/python"
    mkdir -p "$clients"
    python3 -m venv "$clients/python"
    "$clients/python/bin/pip" install --quiet --disable-pip-version-check -r "$wanted_python"
    cp "$wanted_python" "$clients/python/installed"
fi

if ! cmp -s "$wanted_node" "$clients/node/installed"; then
    command -v npm >/dev/null || install nodejs npm
    rm -rf "$clients/node"
    mkdir -p "$clients/node"
    cp tests/clients/node/package.json "$wanted_node" "$clients/node/"
    npm ci --prefix "$clients/node" --silent --no-audit --no-fund --ignore-scripts
    cp "$wanted_node" "$clients/node/installed"
fi
