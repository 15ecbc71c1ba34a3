#!/bin/sh
# Installs the client libraries that tests/clients/main.rs runs, at pinned versions: those of Python
# into a virtual environment and those of Node beside it, both under target/clients. Does nothing if
# they are installed already. With the argument `ai` it also installs the libraries of AI services that
# tests/clients/ai.rs runs, which are large, into an environment of their own.
set -eu
cd "$(dirname "$0")/.."

clients=${CARGO_TARGET_DIR:-target}/clients
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

# install_python NAME installs the packages of tests/clients/NAME/requirements.txt.
install_python() {
    wanted=tests/clients/$1/requirements.txt
    ! cmp -s "$wanted" "$clients/$1/installed" || return 0
    python3 -c 'import ensurepip, venv' 2>/dev/null || install python3 python3-venv
    rm -rf "$clients/$1"
    mkdir -p "$clients"
    python3 -m venv "$clients/$1"
    "$clients/$1/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$clients/$1/installed"
}

install_python python
[ "${1:-}" != ai ] || install_python ai

if ! cmp -s "$wanted_node" "$clients/node/installed"; then
    command -v npm >/dev/null || install nodejs npm
    rm -rf "$clients/node"
    mkdir -p "$clients/node"
    cp tests/clients/node/package.json "$wanted_node" "$clients/node/"
    npm ci --prefix "$clients/node" --silent --no-audit --no-fund --ignore-scripts
    cp "$wanted_node" "$clients/node/installed"
fi
