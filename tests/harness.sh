# shellcheck shell=bash disable=SC2034 # $endpoint, $root and $spawned are for whoever sources this
#
# Shared by the scripts that run programs against each other (autobahn/run.sh, tests/interop/run.sh,
# tests/browser/run.sh). Sourced, never run. Whoever sources it gets:
#
#   $root            the project's folder
#   $scratch         a temporary folder, removed at the end
#   die MESSAGE      to stderr, exit 2
#   free_port        prints a loopback TCP port that nothing listens on
#   example NAME     builds the example in release mode and prints the path of its binary
#   endpoint NAME [COMMAND]   sets the array $endpoint: COMMAND split at blanks, else the example NAME
#   spawn LOG CMD..  starts CMD in the background (its output in LOG); its id is in $spawned
#   attend SECONDS CMD..   runs CMD for that long at most and returns its status; unlike a plain
#                          foreground command it ends at once when the script is told to end
#   wait_port PORT PID LOG   until the port accepts connections; dies when the process does
#   stop PID [SIGNAL]        signals the process, waits for its end, kills it after five seconds
#   install_node_packages FOLDER   what its package-lock.json names

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d)
spawned=
running=()

# Every process started by `spawn` ends with the script, however the script ends.
cleanup() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in ${running[@]+"${running[@]}"}; do
        stop "$pid" TERM
    done
    rm -rf "$scratch"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 2
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

example() {
    local target=${CARGO_TARGET_DIR:-$root/target}
    (cd "$root" && cargo build --quiet --locked --release --all-features --example "$1") >&2 ||
        die "the example $1 does not build"
    printf '%s/release/examples/%s\n' "$target" "$1"
}

endpoint() {
    local binary
    endpoint=()
    if [ -n "${2:-}" ]; then
        read -ra endpoint <<<"$2"
    else
        binary=$(example "$1")
        endpoint=("$binary")
    fi
}

spawn() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null &
    spawned=$!
    running+=("$spawned")
}

attend() {
    local status=0
    timeout "$1" "${@:2}" </dev/null &
    spawned=$!
    running+=("$spawned")
    wait "$spawned" || status=$?
    forget "$spawned"
    return "$status"
}

forget() {
    local pid left=()
    for pid in ${running[@]+"${running[@]}"}; do
        [ "$pid" = "$1" ] || left+=("$pid")
    done
    running=(${left[@]+"${left[@]}"})
}

wait_port() {
    local port=$1 pid=$2 log=$3 tries
    for ((tries = 0; tries < 300; tries++)); do
        if ! kill -0 "$pid" 2>/dev/null; then
            cat "$log" >&2
            die "a process ended before it listened on port $port"
        fi
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return
        fi
        sleep 0.1
    done
    cat "$log" >&2
    die "nothing listens on port $port after 30 s"
}

stop() {
    local pid=$1 signal=${2:-TERM} tries
    kill -"$signal" "$pid" 2>/dev/null || true
    for ((tries = 0; tries < 50; tries++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    forget "$pid"
}

# What package-lock.json of the folder names, exactly; again only when it changed.
install_node_packages() {
    local folder=$1 installed=$1/node_modules/.installed.json
    if ! cmp -s "$folder/package-lock.json" "$installed"; then
        (cd "$folder" && npm ci --silent --no-audit --no-fund --ignore-scripts)
        cp "$folder/package-lock.json" "$installed"
    fi
}
