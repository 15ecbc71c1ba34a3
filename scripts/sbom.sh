#!/usr/bin/env bash
# Lists what is in the image's binary, as CycloneDX 1.5 in JSON: target/sbom/redoubt-VERSION-TARGET.cdx.json.
# The tools are installed under target/sbom at pinned versions; to compile cargo-cyclonedx takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${CARGO_TARGET_DIR:-target}/sbom
tool=0.5.9
schemas=11.12.0
host=$(rustc --print host-tuple)

if ! "$out/tool/bin/cargo-cyclonedx" cyclonedx --version 2>/dev/null | grep -qF "$tool"; then
    echo "installing cargo-cyclonedx $tool"
    # It has a build directory of its own, so that nothing of it is left in Redoubt's.
    CARGO_TARGET_DIR=$out/build cargo install cargo-cyclonedx --version "=$tool" --locked --quiet \
        --root "$out/tool"
    rm -rf "$out/build"
fi
if [ "$(cat "$out/installed" 2>/dev/null)" != "$schemas" ]; then
    echo "installing cyclonedx-python-lib $schemas"
    rm -rf "$out/python"
    python3 -m venv "$out/python"
    "$out/python/bin/pip" install --quiet --disable-pip-version-check \
        "cyclonedx-python-lib[json-validation]==$schemas"
    echo "$schemas" >"$out/installed"
fi

# The tool writes beside Cargo.toml; its file there must not be taken for a source.
raw=.redoubt-sbom
# The tool also writes beside the manifests of the other members of the workspace.
trap 'rm -f "$raw.json" "$out/tree"; find core tests -name "$raw.json" -delete' EXIT
# The time is the commit's, so that the same commit gives the same list.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} \
    "$out/tool/bin/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 \
    --target "$host" --override-filename "$raw"
cargo tree --locked --edges normal,build --target "$host" --prefix none --format '{p}' >"$out/tree"
"$out/python/bin/python" scripts/sbom.py "$raw.json" "$out/tree" "$host" "$out"
