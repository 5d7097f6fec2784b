#!/usr/bin/env python3
"""The same bytes into this crate and into wsproto, which shares nothing with it.

    fuzz/run.sh wsproto [CASES [SEED]]      default: 20000 cases for each role

Cases are the seeds, mutations of them, and frames made at random, most of them nearly right. What is
accepted, what is rejected with which close code, and all payloads must be the same, but for the
differences in `known`. SEED makes the same cases again. Prints what differs, and exits with 1 then.
"""

import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile

from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

here = pathlib.Path(__file__).parent


def unpack(file):
    seeds = []
    while file:
        (length,) = struct.unpack("!I", file[:4])
        seeds.append(file[4 : 4 + length])
        file = file[4 + length :]
    return seeds


def pack(cases):
    return b"".join(struct.pack("!I", len(case)) + case for case in cases)


def ours(role, cases):
    with tempfile.NamedTemporaryFile() as file:
        file.write(pack(cases))
        file.flush()
        command = ["cargo", "run", "--quiet", "--example", "verdicts", "--", role, file.name]
        output = subprocess.run(command, cwd=here, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def theirs(role, case):
    protocol = FrameProtocol(client=role == "client", extensions=[])
    protocol.receive_bytes(case)
    events, message, verdict = [], b"", "open"
    try:
        for frame in protocol.received_frames():
            payload = frame.payload
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
                message += payload.encode() if isinstance(payload, str) else payload
                if frame.message_finished:
                    events.append([frame.opcode.name.lower(), message.hex()])
                    message = b""
            elif frame.opcode is Opcode.CLOSE:
                code, reason = payload
                events.append(["close", (struct.pack("!H", code) + reason.encode()).hex()])
                verdict = "closed"
            else:
                events.append([frame.opcode.name.lower(), payload.hex()])
    except ParseFailed as failure:
        verdict = str(int(failure.code))
    return {"events": events, "verdict": verdict}


def known(role, case, ours, theirs):
    """Why they may differ, or None."""
    same_events = ours["events"] == theirs["events"]
    # A fault in a header that is not complete. wsproto waits for the rest of it, whatever it is.
    if same_events and theirs["verdict"] == "open" and ours["verdict"] == "1002":
        if globals()["theirs"](role, case + bytes(14)) == ours:
            return "the header is not complete, and wsproto waits for its end"
    fragments, closes = text_and_close(case)
    # RFC 3629 section 3: no second byte makes a surrogate valid. Python's decoder wants a third.
    if ours["verdict"] == "1007" and theirs["events"][: len(ours["events"])] == ours["events"]:
        if any(re.search(rb"\xed[\xa0-\xbf]$", text) for text in fragments):
            return "a frame ends after two bytes of a surrogate, and Python's decoder waits for the third"
    # RFC 6455 section 11.7: 1014 was registered with IANA later, as 1012 and 1013 were.
    if theirs["verdict"] == "1002" and closes[:1] and closes[0][:2] == struct.pack("!H", 1014):
        if [event for event in ours["events"] if event[0] != "close"] == theirs["events"]:
            return "1014 is not in wsproto's list of close codes"
    return None


def text_and_close(case):
    """For each fragment of text all of the message so far, and the payloads of Close frames."""
    fragments, closes, text = [], [], None
    while len(case) >= 2:
        first, second = case[:2]
        size = {126: 2, 127: 8}.get(second & 0x7F, 0)
        length = int.from_bytes(case[2 : 2 + size]) if size else second & 0x7F
        key = case[2 + size : 6 + size] if second & 0x80 else bytes(4)
        start = 2 + size + (4 if second & 0x80 else 0)
        payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(case[start : start + length]))
        case = case[start + length :]
        opcode = first & 0x0F
        if opcode == 8:
            closes.append(payload)
        elif opcode == 1 or opcode == 0 and text is not None:
            text = payload if opcode == 1 else text + payload
            fragments.append(text)
            if first & 0x80:
                text = None
    return fragments, closes


# ---- cases ----------------------------------------------------------------------------------------

PAYLOADS = [b"", b"Hello", "κόσμε😀".encode(), b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xff", bytes(125), bytes(126), bytes(300)]
CODES = [0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 1016, 2999, 3000, 4999, 5000, 65535]


def frame(chance, masked):
    opcode = chance.choice([0, 0, 1, 1, 1, 2, 2, 8, 9, 10, 10, 3, 11] if chance.random() < 0.2 else [0, 1, 2, 9, 10])
    fin = 0x80 if opcode > 7 or chance.random() < 0.6 else 0
    if chance.random() < 0.03:
        fin ^= 0x80
    rsv = chance.choice([0x10, 0x20, 0x40]) if chance.random() < 0.03 else 0
    payload = chance.choice(PAYLOADS)
    if opcode == 8 and chance.random() < 0.9:
        payload = struct.pack("!H", chance.choice(CODES)) + payload[:123]
    cut = chance.randrange(len(payload) + 1)
    payload = payload if chance.random() < 0.7 else payload[:cut]
    length = len(payload)
    form = 0 if length < 126 else 1 if length < 65536 else 2
    if chance.random() < 0.03:
        form = chance.randrange(form, 3)
    if chance.random() < 0.03:
        masked = not masked
    bit = 0x80 if masked else 0
    header = bytes([fin | rsv | opcode]) + [
        lambda: bytes([bit | length]),
        lambda: struct.pack("!BH", bit | 126, length),
        lambda: struct.pack("!BQ", bit | 127, length | (1 << 63 if chance.random() < 0.2 else 0)),
    ][form]()
    if not masked:
        return header + payload
    key = chance.randbytes(4)
    return header + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def mutate(chance, case):
    case = bytearray(case)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(case) + 1)
        how = chance.randrange(5)
        if how == 0 and at < len(case):
            case[at] ^= 1 << chance.randrange(8)
        elif how == 1 and at < len(case):
            del case[at]
        elif how == 2:
            case.insert(at, chance.randrange(256))
        elif how == 3:
            case[at:at] = case[at : at + chance.randrange(40)]
        elif at < len(case):
            case[at] = chance.choice([0, 1, 0x7E, 0x7F, 0x80, 0xFE, 0xFF])
    return bytes(case)


def cases(role, count, chance):
    # The first two bytes of a seed are choices of the target.
    seeds = [seed[2:] for seed in unpack((here / f"seeds/{role}_bytes.bin").read_bytes())]
    made = list(seeds)
    while len(made) < count:
        if chance.random() < 0.5:
            made.append(mutate(chance, chance.choice(seeds)))
        else:
            made.append(b"".join(frame(chance, role == "server") for _ in range(chance.randrange(1, 6))))
    return made


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    failures = 0
    for role in ("server", "client"):
        made = cases(role, count, random.Random(f"{role} {seed}"))
        reasons, verdicts = {}, {}
        for case, our in zip(made, ours(role, made), strict=True):
            their = theirs(role, case)
            verdicts[our["verdict"]] = verdicts.get(our["verdict"], 0) + 1
            if our == their:
                continue
            reason = known(role, case, our, their)
            if reason:
                reasons[reason] = reasons.get(reason, 0) + 1
                continue
            failures += 1
            print(f"{role}: {case.hex()}\n  ours:   {our}\n  theirs: {their}")
        print(f"{role}: {len(made)} cases, {verdicts}")
        for reason, times in sorted(reasons.items()):
            print(f"  {times} differ: {reason}")
    print(f"seed {seed}: {failures} unknown differences")
    sys.exit(failures > 0)


main()
