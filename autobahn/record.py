#!/usr/bin/env python3
"""Records what the Autobahn test suite sends to an endpoint, for replays without the suite.

    autobahn/record.py proxy --listen ADDR --upstream ADDR --role server|client --out FOLDER
    autobahn/record.py pack FOLDER REPORTS FIXTURE
    autobahn/record.py list FIXTURE

`proxy` stands between the suite and our endpoint. For every connection it writes one file,
FOLDER/<number>.bin: the bytes that flowed towards OUR endpoint. `--role` is the role ours has: as a
server ours is upstream of the proxy, as a client it is the one that connects.

`pack` puts the conversations of sections 1 to 7, 9 and 10 into one fixture; REPORTS is the folder of the
run's reports (suite.log names the cases in order, index.json holds the outcome). HTTP heads are left
out: a response fits only the key it answers. The whole of it by hand:

    RECORD_DIR=/tmp/rec autobahn/run.sh all
    autobahn/record.py pack /tmp/rec/server-tokio autobahn/reports/server-tokio tests/data/autobahn-server.bin
    autobahn/record.py pack /tmp/rec/client-tokio autobahn/reports/client-tokio tests/data/autobahn-client.bin

The fixture, all integers big-endian:

    8 bytes   magic "AUTOBAHN"
    1 byte    version, 1
    1 byte    role of our endpoint: 0 server (the frames are masked), 1 client (they are not)
    2 bytes   number of records
    then for each record, in the suite's order:
    1 byte    length of the case id
    n bytes   case id, ASCII ("6.4.2")
    2 bytes   close code that the suite saw our endpoint send; 0: none
    4 bytes   length of the frames
    n bytes   the frames as they came, from the first byte after the HTTP head

Conversations above MAX_CONVERSATION bytes are left out (a few of them would be most of the file).
"""

import argparse
import ast
import json
import pathlib
import re
import selectors
import socket
import struct
import sys
import threading

MAGIC = b"AUTOBAHN\x01"
ROLES = ("server", "client")
SECTIONS = {"1", "2", "3", "4", "5", "6", "7", "9", "10"}
MAX_CONVERSATION = 80 * 1024
# Recorded beyond the limit so that `pack` can tell what it leaves out.
MAX_RECORDED = 1024 * 1024


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


# ---- the proxy ------------------------------------------------------------------------------------


def proxy(args):
    args.out.mkdir(parents=True, exist_ok=True)
    for old in args.out.glob("*.bin"):
        old.unlink()
    listener = socket.create_server(args.listen, backlog=128)
    number = 0
    while True:
        connecting, _ = listener.accept()
        number += 1
        path = args.out / f"{number:05}.bin"
        threading.Thread(target=relay, args=(connecting, args, path), daemon=True).start()


def relay(connecting, args, path):
    """Moves bytes both ways until both sides have ended, then writes the recording."""
    # A server may refuse a request whose Host header names another port than its own; the suite's does.
    hosts = [b"\r\nHost: %s:%d\r\n" % (host.encode(), port) for host, port in (args.listen, args.upstream)]
    with connecting, socket.create_connection(args.upstream) as upstream:
        ours = upstream if args.role == "server" else connecting
        recorded = bytearray()
        peer = {connecting: upstream, upstream: connecting}
        with selectors.DefaultSelector() as ready:
            for side in peer:
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(side, selectors.EVENT_READ)
            while ready.get_map():
                for key, _ in ready.select():
                    source, target = key.fileobj, peer[key.fileobj]
                    try:
                        data = source.recv(65536)
                        if source is connecting:
                            data = data.replace(*hosts, 1)
                        target.sendall(data)
                    except OSError:
                        data = b""
                    if target is ours and len(recorded) < MAX_RECORDED:
                        recorded += data
                    if not data:
                        ready.unregister(source)
                        try:
                            target.shutdown(socket.SHUT_WR)
                        except OSError:
                            pass
    if recorded:
        path.write_bytes(recorded)


# ---- the fixture ----------------------------------------------------------------------------------


def pack(args):
    log = (args.reports / "suite.log").read_text(errors="replace")
    cases = ast.literal_eval(re.search(r"^Cases = (\[.*\])$", log, re.MULTILINE)[1])
    (results,) = json.loads((args.reports / "index.json").read_text()).values()
    files = [path.read_bytes() for path in sorted(args.recorded.glob("*.bin"))]
    role = args.recorded.name.split("-")[0]
    conversations = [split_head(data) for data in files]
    if role == "client":
        # The first connection asks for the number of cases, the last one for the reports.
        conversations = conversations[1:-1]
    if len(conversations) != len(cases):
        sys.exit(f"{len(conversations)} conversations for {len(cases)} cases: was the run cut short?")

    records, skipped = [], []
    for case, frames in zip(cases, conversations):
        if case.split(".")[0] not in SECTIONS:
            continue
        if len(frames) > MAX_CONVERSATION:
            skipped.append(case)
            continue
        code = results[case]["remoteCloseCode"] or 0
        records.append(struct.pack("!B", len(case)) + case.encode() + struct.pack("!HI", code, len(frames)) + frames)
    args.fixture.parent.mkdir(parents=True, exist_ok=True)
    args.fixture.write_bytes(MAGIC + struct.pack("!BH", ROLES.index(role), len(records)) + b"".join(records))
    size = args.fixture.stat().st_size
    print(f"{args.fixture}: {len(records)} conversations, {size} bytes; too big: {', '.join(skipped) or 'none'}")


def split_head(data):
    head, end, frames = data.partition(b"\r\n\r\n")
    if not end:
        sys.exit(f"no HTTP head in a conversation of {len(data)} bytes")
    return frames


def show(args):
    data = args.fixture.read_bytes()
    assert data.startswith(MAGIC), "not a fixture"
    role, count = struct.unpack_from("!BH", data, len(MAGIC))
    print(f"role {ROLES[role]}, {count} conversations")
    at = len(MAGIC) + 3
    for _ in range(count):
        case = data[at + 1 : at + 1 + data[at]].decode()
        at += 1 + data[at]
        code, length = struct.unpack_from("!HI", data, at)
        at += 6 + length
        print(f"{case:<10} close {code or 'none':<5} {length} bytes")
    assert at == len(data), "bytes after the last record"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("proxy")
    command.add_argument("--listen", type=address, required=True)
    command.add_argument("--upstream", type=address, required=True)
    command.add_argument("--role", choices=ROLES, required=True)
    command.add_argument("--out", type=pathlib.Path, required=True)
    command.set_defaults(run=proxy)
    command = commands.add_parser("pack")
    command.add_argument("recorded", type=pathlib.Path)
    command.add_argument("reports", type=pathlib.Path)
    command.add_argument("fixture", type=pathlib.Path)
    command.set_defaults(run=pack)
    command = commands.add_parser("list")
    command.add_argument("fixture", type=pathlib.Path)
    command.set_defaults(run=show)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
