#!/bin/sh
# Starts Redis with search, Redoubt in front of it and the service on this machine, and ends all three when
# it is interrupted or one of them ends. Needs Debian or Ubuntu, Rust and Python; it installs Redis and
# redis-py under target/. REDOUBT and PYTHON may name programs to use in place of those it would make.
set -eu
cd "$(dirname "$0")/../.."
here=examples/semantic-cache
target=${CARGO_TARGET_DIR:-target}

scripts/servers.sh stack-7.4
if [ -z "${REDOUBT:-}" ]; then
    cargo build --locked --release
    REDOUBT=$target/release/redoubt
fi
if [ -z "${PYTHON:-}" ]; then
    PYTHON=$target/semantic-cache/bin/python
    [ -x "$PYTHON" ] || python3 -m venv "$target/semantic-cache"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -r $here/requirements.txt
fi

REDIS_PASSWORD=$(openssl rand -hex 32)
REDOUBT_PASSWORD=$(openssl rand -hex 32)
REDOUBT_UPSTREAM=redis://127.0.0.1:6379
data=$(mktemp -d)
trap 'kill $redis $redoubt $service 2>/dev/null || :; wait; rm -rf "$data"' EXIT
trap 'exit 1' INT TERM
redis='' redoubt='' service=''

stack=$target/servers/stack-7.4
"$stack/bin/server" - <<END &
bind 127.0.0.1
requirepass $REDIS_PASSWORD
loadmodule $(cd "$stack" && pwd)/lib/redisearch.so
dir $data
save ""
END
redis=$!
REDIS_PASSWORD=$REDIS_PASSWORD REDOUBT_PASSWORD=$REDOUBT_PASSWORD REDOUBT_UPSTREAM=$REDOUBT_UPSTREAM "$REDOUBT" serve &
redoubt=$!
# The service waits for the others.
REDOUBT_PASSWORD=$REDOUBT_PASSWORD "$PYTHON" $here/service.py &
service=$!
while kill -0 $redis && kill -0 $redoubt && kill -0 $service; do
    sleep 1
done 2>/dev/null
