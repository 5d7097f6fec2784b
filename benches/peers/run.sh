#!/usr/bin/env bash
# Measures this crate beside its peers, and compares the result with the targets.
#
#   benches/peers/run.sh quick [PREFIX] [peers=NAME,...]               in memory, in less than a minute
#   benches/peers/run.sh inmem [PREFIX] [peers=NAME,...]               in memory, 4 minutes
#   benches/peers/run.sh sockets [quick] [load|memory] [point=CxSxD]   over sockets, 25 minutes; quick: one
#   benches/peers/run.sh                                               in memory, then over sockets
#   benches/peers/run.sh report [quick]                                what the last run measured
#
# PREFIX selects cases and `peers=` columns: `quick recv_bin/16B peers=floor,sockeye,yawc`. `point=64x1024x16` is
# 64 connections with 16 messages of 1 KiB under way; SERVERS="NAME..." selects servers. Others join in if they
# are there: UWS=PROGRAM, an echo server of uWebSockets that takes its port as its argument; NODE_WS=FOLDER, with
# `ws` for Node in it.
#
# Needs cargo, a C compiler, python3 and taskset; over sockets Linux and two processors. The lines of JSON go to
# benches/peers/results.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

programs=${CARGO_TARGET_DIR:-target}/release
# Who can answer with one flush all that was read, and does not do so anyway.
batches="sockudo-ws-batch tokio-tungstenite-batch tokio-websockets-batch yawc-batch"

in_memory() {
    local file=$1
    shift
    cargo build --quiet --locked --release -p inmem
    mkdir -p results
    taskset -c 0 "$programs/inmem" "out=$file" "$@"
}

over_sockets() {
    local file=results/sockets.jsonl server servers=()
    [ "${1:-}" != quick ] || file=results/sockets-quick.jsonl
    cargo build --quiet --locked --release -p loadgen -p servers
    mkdir -p results
    for server in ${SERVERS:-$(cd servers/src/bin && printf '%s\n' *.rs | sed 's/\.rs$//' | sort) $batches}; do
        servers+=("$server=$programs/${server%-batch}")
    done
    [ -z "${UWS:-}" ] || servers+=("uWebSockets=$UWS")
    if [ -n "${NODE_WS:-}" ]; then
        export NODE_PATH=$NODE_WS
        servers+=("node-ws=servers/node/ws-echo.sh")
    fi
    # 5,000 connections, and some.
    ulimit -n 20000 2>/dev/null || ulimit -n "$(ulimit -H -n)"
    taskset -c 1 "$programs/loadgen" "out=$file" "$@" "${servers[@]}"
    ./report.py "$file"
}

mode=${1:-all}
shift || true
case $mode in
quick)
    in_memory results/inmem-quick.jsonl quick "$@"
    ./report.py results/inmem-quick.jsonl
    ;;
inmem)
    in_memory results/inmem.jsonl "$@"
    ./report.py results/inmem.jsonl
    ;;
sockets) over_sockets "$@" ;;
all)
    in_memory results/inmem.jsonl
    ./report.py results/inmem.jsonl
    over_sockets
    ;;
report)
    suffix=${1:+-$1}
    ./report.py "results/inmem$suffix.jsonl" "results/sockets$suffix.jsonl"
    ;;
*)
    sed -n '2,/^set /p' run.sh | grep '^#'
    exit 2
    ;;
esac
