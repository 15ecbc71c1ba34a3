#!/usr/bin/env bash
# Builds the container image's root file system without a container engine, by the steps of the
# Dockerfile: a static binary, and the files that scripts/rootfs.sh puts around it. The result is in
# target/image/rootfs, for inspection, for tests/deploy/image.rs and for any OCI runtime.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
host=$(rustc --print host-tuple)

# As in the Dockerfile, the C library is linked into the binary, and no directory's name is in it. With
# --target the flags do not apply to build scripts and procedural macros.
remap="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/redoubt"
RUSTFLAGS="-C target-feature=+crt-static $remap --remap-path-prefix=$(realpath -m "$target")=/redoubt/target" \
    cargo build --locked --release --target "$host" --bin redoubt

# It is created elsewhere and then moved, so that no other process finds a half of it.
mkdir -p "$target/image"
fresh=$(mktemp -d "$target/image/fresh.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
scripts/rootfs.sh "$target/$host/release/redoubt" "$fresh/rootfs"
rm -rf "$target/image/rootfs"
mv "$fresh/rootfs" "$target/image/rootfs"
du -sh "$target/image/rootfs"
sha256sum "$target/image/rootfs/usr/bin/redoubt"
