#!/bin/sh
# Installs the client libraries that tests/clients/main.rs runs, at pinned versions: those of Python
# into a virtual environment and those of Node beside it, both under target/clients. Does nothing if
# they are installed already. With the argument `ai` it also installs the libraries of AI services that
# tests/clients/ai.rs runs, which are large, into an environment of their own. With `programs` it installs only
# the programs that tests/clients/programs.rs runs, of PyPI and npm under target/clients, of Debian with apt-get.
set -eu
cd "$(dirname "$0")/.."

clients=${CARGO_TARGET_DIR:-target}/clients

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

# install_python NAME [FOLDER] installs the packages of tests/clients/FOLDER/requirements.txt.
install_python() {
    wanted=tests/clients/${2:-$1}/requirements.txt
    ! cmp -s "$wanted" "$clients/$1/installed" || return 0
    python3 -c 'import ensurepip, venv' 2>/dev/null || install python3 python3-venv
    rm -rf "$clients/$1"
    mkdir -p "$clients"
    python3 -m venv "$clients/$1"
    "$clients/$1/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$clients/$1/installed"
}

# install_node NAME FOLDER installs the packages of tests/clients/FOLDER/package-lock.json.
install_node() {
    ! cmp -s "tests/clients/$2/package-lock.json" "$clients/$1/installed" || return 0
    command -v npm >/dev/null || install nodejs npm
    rm -rf "${clients:?}/$1"
    mkdir -p "$clients/$1"
    cp "tests/clients/$2/package.json" "tests/clients/$2/package-lock.json" "$clients/$1/"
    npm ci --prefix "$clients/$1" --silent --no-audit --no-fund --ignore-scripts
    cp "tests/clients/$2/package-lock.json" "$clients/$1/installed"
}

# install_debian NAME PACKAGE... installs packages of Debian, whose release fixes their versions.
install_debian() {
    name=$1
    shift
    dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed | grep -qx $# || install "$@"
    mkdir -p "$clients/$name"
    touch "$clients/$name/installed"
}

# Go's own packages come from its module proxy, which a build machine may not reach. Debian has some.
install_go() {
    install_debian programs-go golang-go golang-github-gomodule-redigo-dev golang-gopkg-redis.v5-dev
    sources=tests/clients/programs/go
    ! cat "$sources"/*.go | cmp -s - "$clients/programs-go/installed" || return 0
    for program in queue values; do
        GO111MODULE=off GOPATH=/usr/share/gocode \
            go build -o "$clients/programs-go/$program" "$sources/$program.go" "$sources/harness.go"
    done
    cat "$sources"/*.go > "$clients/programs-go/installed"
}

if [ "${1:-}" = programs ]; then
    install_python programs-python programs/python
    install_node programs-node programs/node
    install_python programs-arq programs/arq
    install_debian programs-php php-cli php-redis php-predis
    install_debian programs-ruby ruby ruby-sidekiq ruby-redis
    install_debian programs-perl libredis-perl
    install_debian programs-exporter prometheus-redis-exporter
    install_go
    exit
fi

install_python python
[ "${1:-}" != ai ] || install_python ai
install_node node node
