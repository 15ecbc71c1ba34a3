#!/usr/bin/env bash
# Builds the container image's root file system without a container engine, by the steps of the
# Dockerfile: a static binary, and round it what scripts/rootfs.sh puts there. It is then in
# target/image/rootfs, for a look at it, for tests/deploy_image.rs and for any OCI runtime.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
host=$(rustc --print host-tuple)

# With --target the flags leave build scripts and procedural macros alone.
RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --locked --release --target "$host" --bin redoubt

# Made aside and then moved, so that nobody finds half of one.
mkdir -p "$target/image"
fresh=$(mktemp -d "$target/image/fresh.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
scripts/rootfs.sh "$target/$host/release/redoubt" "$fresh/rootfs"
rm -rf "$target/image/rootfs"
mv "$fresh/rootfs" "$target/image/rootfs"
du -sh "$target/image/rootfs"
