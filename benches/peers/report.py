#!/usr/bin/env python3
"""Makes tables of what was measured, and compares it with the targets.

    benches/peers/report.py [FILE...]       default: results/inmem.jsonl and results/sockets.jsonl
"""

import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path

SMALL = ("16B", "128B", "1KiB")
LARGE = ("16KiB", "1MiB")

# In memory: a case, how many times as fast as the best peer it has to be at least, and how many times
# the time of the floor it may take.
TARGETS = [
    ("recv_bin/16B", 3.0, 2.0),
    ("recv_bin/128B", 3.0, 2.0),
    ("recv_bin/1KiB", 2.0, 1.3),
    ("recv_bin/16KiB", 1.0, 1.0),
    ("recv_bin/1MiB", 1.0, 1.1),
    ("recv_ascii/16B", 2.5, 1.5),
    ("recv_ascii/128B", 3.0, 1.5),
    ("recv_ascii/1KiB", 1.8, 1.5),
    *((f"recv_ascii/{size}", 1.0, 1.1) for size in LARGE),
    ("recv_utf8/16B", 1.8, 1.3),
    ("recv_utf8/128B", 2.5, 1.3),
    ("recv_utf8/1KiB", 1.3, 1.3),
    *((f"recv_utf8/{size}", 1.0, 1.1) for size in LARGE),
    ("send_*_flush1/*", 1.0, 1.2),
    *((f"send_*_flush64/{size}", 2.0, 1.3) for size in SMALL),
    *((f"send_*_flush64/{size}", 1.0, 1.3) for size in LARGE),
    ("echo_*/16B", 2.5, 1.8),
    ("echo_*/128B", 2.5, 1.8),
    ("echo_*/1KiB", 1.8, 1.5),
    *((f"echo_*/{size}", 1.0, 1.1) for size in LARGE),
    ("recv_fragmented/*", 1.6, 1.2),
    ("deflate_*", 1.0, 1.1),
    ("handshake_server", 1.4, 1.6),
    ("handshake_client", 1.3, 1.6),
]

# Messages that are kept: the same against the best peer.
OWNED_TARGETS = [(f"{name}/{size}", 1.5) for name in ("recv_bin", "recv_ascii", "recv_utf8") for size in SMALL]

# Allocations a message, at most.
ALLOCATION_TARGETS = [
    ("recv_*", "sockeye", 0),
    ("recv_*", "sockeye-owned", 0.01),
    ("recv_*", "sockeye-tokio", 0),
    ("send_*", "sockeye", 0),
    ("send_*", "sockeye-tokio", 0),
    ("echo_*", "sockeye", 0),
    ("echo_*", "sockeye-tokio", 0.01),
]
# So much is nothing: what grew once while it was counted.
FEW = 0.0005

# One flush for many messages is compared with those that do not write each of them, if there are any.
FLUSHED_TOGETHER = "*_flush64/*"
MAX_WRITES = 0.5

# Over sockets: how far a value may be off without being worse. Two runs differ by that.
SLACK = 0.03
# Not in Rust: they need not be beaten at everything.
REFERENCE = "uWebSockets"
FOREIGN = (REFERENCE, "node-ws")


def main():
    here = Path(__file__).parent
    names = sys.argv[1:] or ["results/inmem.jsonl", "results/sockets.jsonl"]
    rows = []
    for name in names:
        path = Path(name) if sys.argv[1:] else here / name
        if path.exists():
            rows += [json.loads(line) for line in path.read_text().splitlines()]
    if not rows:
        sys.exit(f"nothing in {' and '.join(names)}")
    verdicts = in_memory(rows) + memory(rows) + limits(rows) + sockets(rows) + resident(rows)
    print(f"\n{sum(verdicts)} of {len(verdicts)} targets are met.")


# ---- in memory ------------------------------------------------------------------------------------


def is_peer(name):
    return name != "floor" and not is_own(name)


def is_own(name):
    return name.startswith("sockeye")


class Case:
    """All columns of a case."""

    def __init__(self, name, rows):
        self.name = name
        self.rows = {row["peer"]: row for row in rows}

    def time(self, peer):
        row = self.rows.get(peer)
        return row and row["median_ns"]

    def best(self):
        """The fastest peer that does the same."""
        peers = [row for row in self.rows.values() if is_peer(row["peer"])]
        own = self.rows.get("sockeye")
        if fnmatchcase(self.name, FLUSHED_TOGETHER) and not (own and own["writes"] >= MAX_WRITES):
            peers = [row for row in peers if row["writes"] < MAX_WRITES] or peers
        return min(peers, key=lambda row: row["median_ns"], default=None)

    def lead(self, peer):
        """How many times as fast as the best peer."""
        best, time = self.best(), self.time(peer)
        return best and time and best["median_ns"] / time

    def above_floor(self, peer):
        floor, time = self.time("floor"), self.time(peer)
        return floor and time and time / floor


def in_memory(rows):
    rows = [row for row in rows if "rounds" in row]
    names = unique(row["case"] for row in rows)
    cases = [Case(name, [row for row in rows if row["case"] == name]) for name in names]
    if not cases:
        return []
    verdicts = against_targets(cases) + owned(cases) + allocations(cases)
    peers = unique(row["peer"] for row in rows)
    table(
        "In memory: median ns a message, the best peer's in bold",
        ["", *peers],
        [[case.name, *(bold_if(peer == best_name(case), nanos(case.time(peer))) for peer in peers)] for case in cases],
    )
    table(
        "In memory: a message's allocations / bytes allocated / reads / writes",
        ["", *peers],
        [[case.name, *(costs(case.rows.get(peer)) for peer in peers)] for case in cases],
    )
    return verdicts


def against_targets(cases):
    verdicts, body = [], []
    for case in cases:
        lead, above = case.lead("sockeye"), case.above_floor("sockeye")
        targets = [target for target in TARGETS if fnmatchcase(case.name, target[0])]
        for _, min_lead, max_above in targets[:1]:
            met = [lead and lead >= min_lead, above and above <= max_above]
            known = [verdict for verdict, value in zip(met, (lead, above)) if value]
            verdicts += known
            best = case.best()
            body.append([
                case.name,
                nanos(case.time("floor")),
                f"{nanos(best['median_ns'])} {best['peer']}" if best else "-",
                nanos(case.time("sockeye")),
                *compared(lead, "≥", min_lead, met[0]),
                *compared(above, "≤", max_above, met[1]),
                nanos(case.time("sockeye-tokio")),
                ratio(case.lead("sockeye-tokio")),
                word(known),
            ])
    head = ["", "floor", "best peer", "sockeye", "best / sockeye", "target", "sockeye / floor", "target"]
    head += ["sockeye-tokio", "best / sockeye-tokio", "verdict"]
    table("In memory: median ns a message, and the targets", head, body)
    return verdicts


def owned(cases):
    verdicts, body = [], []
    for case in cases:
        lead = case.lead("sockeye-owned")
        targets = [target for target in OWNED_TARGETS if target[0] == case.name]
        for _, min_lead in targets:
            if not lead:
                continue
            met = lead >= min_lead
            verdicts.append(met)
            times = [nanos(case.best()["median_ns"]), nanos(case.time("sockeye-owned"))]
            body.append([case.name, *times, *compared(lead, "≥", min_lead, met), word([met])])
    head = ["", "best peer", "sockeye-owned", "best / sockeye-owned", "target", "verdict"]
    table("In memory: messages that are kept", head, body)
    return verdicts


def allocations(cases):
    verdicts, body = [], []
    for pattern, peer, most in ALLOCATION_TARGETS:
        for case in cases:
            if not fnmatchcase(case.name, pattern) or peer not in case.rows:
                continue
            count = case.rows[peer]["allocations"]
            met = count <= most + FEW
            verdicts.append(met)
            if not met:
                body.append([case.name, peer, f"{count:.3f}", f"{most:g}"])
    table("In memory: allocations a message above the targets", ["", "column", "allocations", "target"], body)
    return verdicts


def best_name(case):
    best = case.best()
    return best and best["peer"]


def costs(row):
    if row is None:
        return "-"
    return f"{row['allocations']:.2f} / {nanos(row['allocated_bytes'])} / {row['reads']:.2f} / {row['writes']:.2f}"


def memory(rows):
    rows = [row for row in rows if row["case"] == "memory" and "object" in row]
    keys = [key for key in rows[0] if key not in ("case", "peer")] if rows else []
    body = [[row["peer"], *("-" if row[key] is None else str(row[key]) for key in keys)] for row in rows]
    head = ["", *(key.replace("_", " ") for key in keys)]
    table("In memory: bytes of one connection, without its transport", head, body)
    return []


def limits(rows):
    rows = [row for row in rows if row["case"].startswith("limits_")]
    body = [[row["case"].removeprefix("limits_"), row["peer"], nanos(row["median_ns"]), f"{row['gib_s']:.2f}"] for row in rows]
    table("What the machine can do", ["", "", "median ns", "GiB/s"], body)
    return []


# ---- over sockets ---------------------------------------------------------------------------------


def sockets(rows):
    rows = [row for row in rows if row["case"] == "load"]
    points = unique((row["connections"], row["size"], row["depth"]) for row in rows)
    peers = unique(row["peer"] for row in rows)
    at = {(row["connections"], row["size"], row["depth"], row["peer"]): row for row in rows}
    verdicts, body = [], []
    for point in points:
        own = at.get((*point, "sockeye"))
        others = {peer: at[*point, peer] for peer in peers if not is_own(peer) and (*point, peer) in at}
        if own and others:
            met, cells = point_verdict(own, others)
            verdicts += met
            body.append([point_name(point), *cells, word(met)])
    head = ["", "CPU s/M", REFERENCE, "best in Rust", "1000/s", "best", "p99 µs", "best", "verdict"]
    table("Over sockets: sockeye, and the targets", head, body)
    for title, show in (
        ("thousand messages a second (*: the client was the limit)", show_rate),
        ("seconds of the server's processor a million messages", lambda row: f"{row['cpu_s_per_million']:.2f}"),
        ("latency p50 / p99 / p99.9, µs", lambda row: f"{row['p50_us']:.0f} / {row['p99_us']:.0f} / {row['p999_us']:.0f}"),
    ):
        body = [
            [point_name(point), *(show(at[*point, peer]) if (*point, peer) in at else "-" for peer in peers)]
            for point in points
        ]
        table(f"Over sockets: {title}", ["connections x size x depth", *peers], body)
    return verdicts


def point_verdict(own, others):
    """CPU: no more than uWebSockets, and less than every peer in Rust. The rest: no worse than anybody."""
    reference = others.get(REFERENCE)
    in_rust = [row for peer, row in others.items() if peer not in FOREIGN]
    lowest = min((row["cpu_s_per_million"] for row in in_rust), default=None)
    rate = max(row["messages_s"] for row in others.values())
    p99 = min(row["p99_us"] for row in others.values())
    met = [
        own["messages_s"] >= rate * (1 - SLACK),
        own["p99_us"] <= p99 * (1 + SLACK),
    ]
    if reference:
        met.append(own["cpu_s_per_million"] <= reference["cpu_s_per_million"] * (1 + SLACK))
    if lowest:
        met.append(own["cpu_s_per_million"] < lowest)
    cells = [
        f"{own['cpu_s_per_million']:.3f}",
        f"{reference['cpu_s_per_million']:.3f}" if reference else "-",
        f"{lowest:.3f}" if lowest else "-",
        show_rate(own),
        f"{rate / 1000:.1f}",
        f"{own['p99_us']:.0f}",
        f"{p99:.0f}",
    ]
    return met, cells


def point_name(point):
    connections, size, depth = point
    return f"{connections} x {size_name(size)} x {depth}"


def show_rate(row):
    limited = "*" if row["client_cpu"] > 0.97 else ""
    return f"{row['messages_s'] / 1000:.1f}{limited}"


def resident(rows):
    rows = [row for row in rows if row["case"] == "memory" and "idle_kib" in row]
    verdicts = []
    for deflate in (False, True):
        measured = [row for row in rows if row["deflate"] == deflate]
        own = next((row for row in measured if row["peer"] == "sockeye"), None)
        others = [row["idle_kib"] for row in measured if not is_own(row["peer"])]
        met = own and others and own["idle_kib"] < min(others)
        if own and others:
            verdicts.append(met)
        title = "Over sockets: KiB of the server's process a connection" + (", compressed" if deflate else "")
        body = [[row["peer"], f"{row['idle_kib']:.2f}", f"{row['used_kib']:.2f}"] for row in measured]
        if own and others:
            body.append(["sockeye below everybody", word([met]), ""])
        table(title, ["", "idle", "after 1 KiB each way"], body)
    return verdicts


# ---- text -----------------------------------------------------------------------------------------


def table(title, head, body):
    if not body:
        return
    print(f"\n## {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|---" + "|--:" * (len(head) - 1) + "|")
    for cells in body:
        print("| " + " | ".join(cells) + " |")


def unique(values):
    return list(dict.fromkeys(values))


def nanos(value):
    if value is None:
        return "-"
    if value < 100:
        return f"{value:.1f}"
    return f"{value:.0f}" if value < 100_000 else f"{value / 1000:.0f}k"


def ratio(value):
    return f"{value:.2f}" if value else "-"


def compared(value, sign, target, met):
    """The value, in bold if it misses the target, and the target."""
    return bold_if(value and not met, ratio(value)), f"{sign} {target:.1f}"


def bold_if(condition, text):
    return f"**{text}**" if condition else text


def word(verdicts):
    if not verdicts:
        return "-"
    return "pass" if all(verdicts) else "FAIL"


def size_name(size):
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


main()
