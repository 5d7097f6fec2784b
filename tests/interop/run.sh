#!/usr/bin/env bash
# Runs clients that others wrote, `ws` of Node.js and `websockets` of Python, against `echo_server`.
#
#   tests/interop/run.sh [--adapter tokio|blocking|futures]...      default: all three
#
# Prints one line a check; exits with 0 only when every check passed. Needs node, npm and python3.
# SERVER_CMD replaces the example (split at blanks; same arguments).
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

endpoint echo_server "${SERVER_CMD:-}"
failed=0
for adapter in "${adapters[@]}"; do
    port=$(free_port)
    log=$scratch/$adapter.log
    spawn "$log" "${endpoint[@]}" --addr "127.0.0.1:$port" --adapter "$adapter"
    server=$spawned
    wait_port "$port" "$server" "$log"
    echo "$adapter, ws of Node.js:"
    attend 300 node "$here/node_ws.mjs" client "ws://127.0.0.1:$port/" || failed=1
    echo "$adapter, websockets of Python:"
    attend 300 "$here/.venv/bin/python" "$here/python_websockets.py" client "ws://127.0.0.1:$port/" || failed=1
    stop "$server" INT
done
exit "$failed"
