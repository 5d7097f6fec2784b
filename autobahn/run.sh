#!/usr/bin/env bash
# Runs the Autobahn test suite against the examples `echo_server` and `autobahn_client`.
#
#   autobahn/run.sh check                # can it run here?
#   autobahn/run.sh server|client|all [--adapter tokio|blocking|futures] [--cases "1.*,2.*"]
#                   [--deflate retained|window|nothing]
#
# Exits with 0 only when every case that was asked for ran and is OK (or one of the suite's own
# informational cases). Reports: autobahn/reports/<role>-<adapter>/index.html, with --deflate
# autobahn/reports/<role>-<adapter>-<memory>/index.html.
#
# The suite needs Python 2.7: one is looked for on PATH and among pyenv's versions, and gets a virtual
# environment in autobahn/.venv. Where there is none, the suite's container image is used.
#
# Environment:
#   SERVER_CMD, CLIENT_CMD   run these instead of the examples (split at blanks; same arguments)
#   RECORD_DIR               record every conversation below this folder (see autobahn/record.py)
#   ROLE_TIMEOUT             seconds that one role may take (default 900)
set -euo pipefail

DEFAULT_CASES="1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*"
# Sections 12 and 13 test permessage-deflate, for a quarter of an hour: they are run with --deflate.
DEFLATE_CASES="12.*,13.*"

SUITE="autobahntestsuite==0.8.2"
VIRTUALENV="virtualenv==20.15.1" # the last one that makes environments for Python 2.7
IMAGE="docker.io/crossbario/autobahn-testsuite:0.8.2"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../tests/harness.sh
source "$here/../tests/harness.sh"

usage() {
    die "usage: autobahn/run.sh server|client|all [--adapter tokio|blocking|futures] [--cases \"1.*,2.*\"] [--deflate retained|window|nothing]"
}

# ---- the suite ------------------------------------------------------------------------------------

python27() {
    local candidate
    for candidate in python2.7 python2 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

container_engine() {
    local engine
    for engine in docker podman; do
        if "$engine" info >/dev/null 2>&1; then
            printf '%s\n' "$engine"
            return
        fi
    done
    return 1
}

# `ready` marks a complete environment: an interrupted installation starts over.
install_suite() {
    local python=$1 venv=$2
    rm -rf "$venv"
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_PYTHON_VERSION_WARNING=1
    "$python" -m pip install --quiet --target "$scratch/virtualenv" "$VIRTUALENV" &&
        PYTHONPATH="$scratch/virtualenv" "$python" -m virtualenv --quiet "$venv" &&
        "$venv/bin/pip" install --quiet "$SUITE" &&
        touch "$venv/ready"
}

# Sets `wstest`, the command that starts the suite in the current folder, $scratch.
set_suite_up() {
    local venv=$here/.venv python engine
    if [ -e "$venv/ready" ]; then
        wstest=("$venv/bin/wstest")
    elif python=$(python27); then
        echo "setting the suite up in autobahn/.venv" >&2
        if ! install_suite "$python" "$venv" >"$scratch/setup.log" 2>&1; then
            cat "$scratch/setup.log" >&2
            die "cannot install $SUITE with $python (it needs pip and a C compiler)"
        fi
        wstest=("$venv/bin/wstest")
    elif engine=$(container_engine); then
        "$engine" image inspect "$IMAGE" >/dev/null 2>&1 || "$engine" pull "$IMAGE" >&2
        # `--init` passes signals on, the user keeps the reports ours.
        wstest=("$engine" run --rm --init --network host --user "$(id -u):$(id -g)"
            --volume "$scratch:$scratch" --workdir "$scratch" "$IMAGE" wstest)
    else
        die "the suite needs Python 2.7 (python2.7 on PATH, or pyenv install 2.7.18) or a running docker or podman"
    fi
    # The suite's cryptography package says at every start that Python 2 has ended.
    export PYTHONWARNINGS=ignore
}

# ---- one role: tests $endpoint, sets $failed ------------------------------------------------------------

# write_spec KEY VALUE: the suite's specification file, with what the role adds.
write_spec() {
    python3 - "$scratch/spec.json" "$cases" "$scratch/reports" "$1" "$2" <<'PYTHON'
import json, sys
path, cases, outdir, key, value = sys.argv[1:]
spec = {"outdir": outdir, "cases": cases.replace(" ", "").split(","),
        "exclude-cases": [], "exclude-agent-cases": {}, key: json.loads(value)}
json.dump(spec, open(path, "w"))
PYTHON
}

# With RECORD_DIR a recorder stands before `port`; sets `front`, the port to connect to.
set_recorder_up() {
    local port=$1 ours=$2
    front=$port
    if [ -n "${RECORD_DIR:-}" ]; then
        front=$(free_port)
        spawn "$scratch/record.log" python3 "$here/record.py" proxy --listen "127.0.0.1:$front" \
            --upstream "127.0.0.1:$port" --role "$ours" --out "$RECORD_DIR/$ours-$adapter"
        recorder=$spawned
        wait_port "$front" "$recorder" "$scratch/record.log"
    fi
}

report() {
    local role=$1 log=$2 to=$here/reports/$1-$label
    rm -rf "$to"
    mkdir -p "$to"
    cp "$log" "$to/suite.log"
    if [ -d "$scratch/reports" ]; then
        cp -r "$scratch/reports/." "$to"
        rm -rf "$scratch/reports"
    fi
    echo "$role, $label:"
    python3 "$here/summary.py" "$to" || failed=1
}

# The suite is the client, `echo_server` is tested.
run_server() {
    local port server suite=0 log=$scratch/wstest.log
    port=$(free_port)
    spawn "$scratch/server.log" "${endpoint[@]}" --addr "127.0.0.1:$port" --adapter "$adapter" "${extra[@]}"
    server=$spawned
    wait_port "$port" "$server" "$scratch/server.log"
    set_recorder_up "$port" server
    write_spec servers "[{\"agent\": \"sockeye-$adapter\", \"url\": \"ws://127.0.0.1:$front\"}]"
    cd "$scratch"
    attend "${ROLE_TIMEOUT:-900}" "${wstest[@]}" -m fuzzingclient -s spec.json >"$log" 2>&1 || suite=$?
    cd - >/dev/null
    if ! kill -0 "$server" 2>/dev/null; then
        tail -n 20 "$scratch/server.log" >&2
        echo "the server did not survive the suite" >&2
        suite=1
    fi
    stop "$server" INT
    if [ "$suite" -ne 0 ]; then
        tail -n 20 "$log" >&2
        failed=1
    fi
    report server "$log"
}

# The suite is the server, `autobahn_client` is tested.
run_client() {
    local port suite client=0 log=$scratch/wstest.log
    port=$(free_port)
    write_spec url "\"ws://127.0.0.1:$port\""
    cd "$scratch"
    spawn "$log" "${wstest[@]}" -m fuzzingserver -s spec.json --webport 0
    suite=$spawned
    cd - >/dev/null
    wait_port "$port" "$suite" "$log"
    set_recorder_up "$port" client
    attend "${ROLE_TIMEOUT:-900}" "${endpoint[@]}" --url "ws://127.0.0.1:$front" --adapter "$adapter" \
        --agent "sockeye-$adapter" "${extra[@]}" >"$scratch/client.log" 2>&1 || client=$?
    stop "$suite"
    if [ "$client" -ne 0 ]; then
        tail -n 20 "$scratch/client.log" >&2
        echo "the client ended with status $client" >&2
        failed=1
    fi
    report client "$log"
}

# ---- the command line -----------------------------------------------------------------------------

adapter=tokio
cases=
memory=
extra=()
roles=()
while [ $# -gt 0 ]; do
    case $1 in
    check) python27 || container_engine || die "the suite needs Python 2.7 or a container engine"; exit ;;
    server | client) roles=("$1") ;;
    all) roles=(server client) ;;
    --adapter | --cases | --deflate)
        [ $# -ge 2 ] || usage
        case $1 in
        --adapter) adapter=$2 ;;
        --cases) cases=$2 ;;
        --deflate) memory=$2 extra=(--deflate "$2") ;;
        esac
        shift
        ;;
    *) usage ;;
    esac
    shift
done
[ ${#roles[@]} -gt 0 ] || usage
case $adapter in tokio | blocking | futures) ;; *) usage ;; esac
label=$adapter${memory:+-$memory}
if [ -z "$cases" ]; then
    cases=$DEFAULT_CASES
    [ ${#extra[@]} -eq 0 ] || cases=$cases,$DEFLATE_CASES
fi

set_suite_up
failed=0
for role in "${roles[@]}"; do
    recorder=
    case $role in
    server) endpoint echo_server "${SERVER_CMD:-}" ;;
    client) endpoint autobahn_client "${CLIENT_CMD:-}" ;;
    esac
    "run_$role"
    [ -z "$recorder" ] || stop "$recorder"
done
exit "$failed"
