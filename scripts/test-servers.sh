#!/usr/bin/env bash
# Runs the suites that compare Redoubt with a server on several servers, and names each suite that
# fails with its server: test-servers.sh [--fast] [NAME...], where NAME is a server of scripts/servers.sh
# or redis-7.0. Without a name it takes all five that docs/servers.md lists. With --fast it leaves
# out the suites that take minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

# A test program and a filter for its tests.
fast=(
    "protocol differential" "protocol session" "protocol blocking" "protocol command_table" "policy replies" "policy escapes" "upstream servers"
)
slow=("upstream guard" "operations verify" "protocol plain_commands" "security hostile" "sharing cross_session" "sharing shared" "policy scripts")

suites=("${fast[@]}")
if [ "${1:-}" = --fast ]; then
    shift
else
    suites+=("${slow[@]}")
    # Inputs that `differential::generated` sends to each server in each protocol.
    export REDOUBT_GENERATED_COUNT=${REDOUBT_GENERATED_COUNT:-3000}
fi
servers=("$@")
[ $# -gt 0 ] || servers=(redis-7.0 redis-8.0 valkey-8.1 valkey-9.1 stack-7.4)

for server in "${servers[@]}"; do
    [ "$server" = redis-7.0 ] || scripts/servers.sh "$server"
done
failed=()
for server in "${servers[@]}"; do
    for suite in "${suites[@]}"; do
        read -r program filter <<<"$suite"
        echo "== $server: cargo test --test $program $filter"
        REDOUBT_TEST_SERVER=$server cargo test --quiet --locked --test "$program" "$filter" ||
            failed+=("REDOUBT_TEST_SERVER=$server cargo test --test $program $filter")
    done
done
[ ${#failed[@]} -eq 0 ] || {
    echo "test-servers.sh: these fail:" >&2
    printf '  %s\n' "${failed[@]}" >&2
    exit 1
}
