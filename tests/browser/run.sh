#!/usr/bin/env bash
# Opens the page of `echo_server` in headless Chromium and uses it: connects, sends, looks at the
# echoes, closes, and sees the server end. Then it talks to three servers that compress, and to the
# example `axum_server` over HTTP/1.1 and, with TLS, over HTTP/2.
#
#   tests/browser/run.sh [--adapter tokio|blocking|futures]
#
# Needs node, npm and chromium (CHROMIUM names another binary). Screenshots: tests/browser/screenshots/.
# SERVER_CMD replaces the example (split at blanks; same arguments).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../harness.sh
source "$here/../harness.sh"

adapter=tokio
case "$# ${1:-} ${2:-}" in
"0  ") ;;
"2 --adapter tokio" | "2 --adapter blocking" | "2 --adapter futures") adapter=$2 ;;
*) die "usage: tests/browser/run.sh [--adapter tokio|blocking|futures]" ;;
esac

chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$chromium" ] || die "there is no chromium (apt-get install chromium)"
install_node_packages "$here/../interop"

endpoint echo_server "${SERVER_CMD:-}"

# start_server [OPTION..]: sets `port` and `server`.
start_server() {
    port=$(free_port)
    spawn "$scratch/server-$port.log" "${endpoint[@]}" --addr "127.0.0.1:$port" --adapter "$adapter" "$@"
    server=$spawned
    wait_port "$port" "$server" "$scratch/server-$port.log"
}

compressing=()
for keep in retained window nothing; do
    start_server --deflate "$keep"
    compressing+=("$keep" "http://127.0.0.1:$port/")
done
start_server

in_axum=()
axum=$(example axum_server)
# start_axum SCHEME VERSION [OPTION]
start_axum() {
    local scheme=$1 version=$2
    port_of_axum=$(free_port)
    spawn "$scratch/axum-$port_of_axum.log" "$axum" "127.0.0.1:$port_of_axum" "${@:3}"
    wait_port "$port_of_axum" "$spawned" "$scratch/axum-$port_of_axum.log"
    in_axum+=("$scheme://127.0.0.1:$port_of_axum/" "$version")
}
start_axum http HTTP/1.1
start_axum https HTTP/2.0 --tls

# Chromium writes the port that it chose into its profile folder.
spawn "$scratch/chromium.log" "$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --ignore-certificate-errors --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
    --remote-debugging-port=0 --user-data-dir="$scratch/profile"
browser=$spawned
chosen=$scratch/profile/DevToolsActivePort
for ((tries = 0; tries < 300; tries++)); do
    [ -s "$chosen" ] && break
    kill -0 "$browser" 2>/dev/null || break
    sleep 0.1
done
if ! [ -s "$chosen" ]; then
    cat "$scratch/chromium.log" >&2
    die "chromium did not start"
fi

echo "$adapter, $("$chromium" --version 2>/dev/null | head -n 1):"
failed=0
devtools=$(head -n 1 "$chosen")
attend 120 node "$here/echo.mjs" "$devtools" "http://127.0.0.1:$port/" "$server" || failed=1
attend 120 node "$here/deflate.mjs" "$devtools" "${compressing[@]}" || failed=1
attend 120 node "$here/http2.mjs" "$devtools" "${in_axum[@]}" || failed=1
exit "$failed"
