#!/usr/bin/env bash
# Builds the container image's root file system without a container engine, by the steps of the
# Dockerfile: a static binary, and round it what scripts/rootfs.sh puts there. It is then in
# target/image/rootfs, for a look at it, for tests/deploy/image.rs and for any OCI runtime.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
host=$(rustc --print host-tuple)

# As in the Dockerfile: the C library goes into the binary, and no directory's name. With --target the
# flags leave build scripts and procedural macros alone.
remap="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/redoubt"
RUSTFLAGS="-C target-feature=+crt-static $remap --remap-path-prefix=$(realpath -m "$target")=/redoubt/target" \
    cargo build --locked --release --target "$host" --bin redoubt

# Made aside and then moved, so that nobody finds half of one.
mkdir -p "$target/image"
fresh=$(mktemp -d "$target/image/fresh.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
scripts/rootfs.sh "$target/$host/release/redoubt" "$fresh/rootfs"
rm -rf "$target/image/rootfs"
mv "$fresh/rootfs" "$target/image/rootfs"
du -sh "$target/image/rootfs"
sha256sum "$target/image/rootfs/usr/bin/redoubt"
