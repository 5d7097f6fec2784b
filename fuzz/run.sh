#!/usr/bin/env bash
# Runs the fuzz targets one after another.
#
#   fuzz/run.sh [SECONDS] [TARGET...]       default: a minute for each target
#   fuzz/run.sh keep [TARGET...]            puts what is new and interesting into the seeds
#   fuzz/run.sh build                       builds them all, and runs none
#   fuzz/run.sh wsproto [CASES [SEED]]      compares with wsproto, which needs python3: differential.py
#
# Corpora grow in fuzz/corpus, which starts from the seeds and is not for git. An input that breaks a
# law is written to fuzz/artifacts. `keep` looks for the fewest inputs that reach as much as all of
# them do. Needs rustup; installs a nightly toolchain and cargo-fuzz if they are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [ "${1:-}" = wsproto ]; then
    if ! cmp -s requirements.txt .venv/installed.txt; then
        rm -rf .venv
        python3 -m venv .venv
        .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
        cp requirements.txt .venv/installed.txt
    fi
    exec .venv/bin/python differential.py "${@:2}"
fi

rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz

seeds() { cargo run --quiet --example seeds -- "$@"; }
fuzz() { cargo +nightly fuzz "$1" --fuzz-dir . "${@:2}"; }

mode=run seconds=60
case ${1:-} in
keep | build) mode=$1 && shift ;;
[0-9]*) seconds=$1 && shift ;;
esac
if [ "$mode" = build ]; then
    fuzz build
    exit
fi

targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(fuzz list)
for target in "${targets[@]}"; do
    corpus=corpus/$target
    echo "== $target"
    seeds unpack "$target" "$corpus"
    if [ "$mode" = keep ]; then
        fewest=$(mktemp -d)
        fuzz run "$target" "$fewest" "$corpus" -- -set_cover_merge=1 -verbosity=0
        seeds pack "$target" "$fewest"
        rm -r "$fewest"
    else
        # What takes a second for 4 KiB is not linear.
        fuzz run "$target" "$corpus" -- -max_total_time="$seconds" -max_len=4096 -timeout=5 \
            -rss_limit_mb=1024 -print_final_stats=1
    fi
done
