#!/usr/bin/env bash
# Runs connections through proxies that others wrote: nginx and HAProxy in front of a server, with the
# configurations of docs/deploy; tinyproxy and microsocks on the way of a client.
#
#   tests/proxies/run.sh [FILTER]    default: all tests
#
# What is missing is installed from Debian's packages, which needs root or sudo. All run on loopback, as
# the user who calls this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# Debian's servers are where only root looks.
PATH=$PATH:/usr/sbin:/sbin

missing=()
for package in nginx haproxy tinyproxy microsocks; do
    command -v "$package" >/dev/null || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    # Run level 1, in which no package starts its service.
    install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get)
    "${install[@]}" update -qq
    "${install[@]}" install -y -qq --no-install-recommends "${missing[@]}"
fi

nginx -v
haproxy -v | head -n 1
tinyproxy -v
cargo build --quiet --locked --release --all-features --example echo_server --example chat
# They mostly wait.
cargo test --quiet --locked --release --all-features --test proxies -- --ignored --test-threads 6 "$@"
