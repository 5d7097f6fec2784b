#!/usr/bin/env bash
# Runs clients that others wrote, `ws` of Node.js and `websockets` of Python, against `echo_server`;
# with compression also their servers, against `echo_client`.
#
#   tests/interop/run.sh [--adapter tokio|blocking|futures]...      default: all three
#
# Prints one line a check; exits with 0 only when every check passed. Needs node, npm and python3.
# SERVER_CMD replaces `echo_server` (split at blanks; same arguments), CLIENT_CMD `echo_client` (a path).
# PARTS=1 tries every combination of the parameters of compression instead of every seventh, for some
# minutes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../harness.sh
source "$here/../harness.sh"

adapters=()
while [ $# -gt 0 ]; do
    case "$1 ${2:-}" in
    "--adapter tokio" | "--adapter blocking" | "--adapter futures") adapters+=("$2") ;;
    *) die "usage: tests/interop/run.sh [--adapter tokio|blocking|futures]..." ;;
    esac
    shift 2
done
[ ${#adapters[@]} -gt 0 ] || adapters=(tokio blocking futures)

install_node_packages "$here"
if ! cmp -s "$here/requirements.txt" "$here/.venv/installed.txt"; then
    rm -rf "$here/.venv"
    python3 -m venv "$here/.venv"
    "$here/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$here/.venv/installed.txt"
fi

python=$here/.venv/bin/python
endpoint echo_client "${CLIENT_CMD:-}"
client=${endpoint[0]}
# No divisor of how many values there are for a parameter, so that all of them occur.
parts=${PARTS:-7}
endpoint echo_server "${SERVER_CMD:-}"
failed=0

# start_server ADAPTER [OPTION..]: sets `server` and `url`.
start_server() {
    local port log=$scratch/server.log
    port=$(free_port)
    spawn "$log" "${endpoint[@]}" --addr "127.0.0.1:$port" --adapter "$@"
    server=$spawned
    url=ws://127.0.0.1:$port/
    wait_port "$port" "$server" "$log"
}

check() {
    attend 300 "$@" || failed=1
}

for adapter in "${adapters[@]}"; do
    start_server "$adapter"
    echo "$adapter, ws of Node.js:"
    check node "$here/node_ws.mjs" client "$url"
    echo "$adapter, websockets of Python:"
    check "$python" "$here/python_websockets.py" client "$url"
    stop "$server" INT
done

# Compression does not know of adapters. Each combination of its parameters takes a connection, so
# that of those that the peers can offer some are chosen, for each policy others.
turn=0
for keep in retained window nothing; do
    start_server "${adapters[0]}" --deflate "$keep"
    part=$turn/$parts
    echo "compression, ws of Node.js:"
    check node "$here/deflate_ws.mjs" client "$url" "$keep" "$part"
    echo "compression, websockets of Python:"
    check "$python" "$here/deflate_websockets.py" client "$url" "$keep" "$part"
    stop "$server" INT
    turn=$((turn + 1))
done
echo "compression, our client, ws of Node.js:"
check node "$here/deflate_ws.mjs" servers "$client" "0/$parts"
echo "compression, our client, websockets of Python:"
check "$python" "$here/deflate_websockets.py" servers "$client" "0/$parts"
exit "$failed"
