#!/usr/bin/env python3
"""Rows for python-websockets: messages come as lines on the standard input.

Its sans-I/O protocol objects, so that there is neither a socket nor an event loop in the figures.
"""

import gc
import sys
import time
import tracemalloc

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import OPEN, Protocol, Side

CONNECTIONS = 9
ROUNDS = 5


def deflate(takeover, bits, settings):
    return PerMessageDeflate(not takeover, not takeover, bits, bits, settings)


def connection(side, *parameters):
    protocol = Protocol(side, state=OPEN)
    protocol.extensions = [deflate(*parameters)]
    return protocol


def send(protocol, messages):
    return [b"".join(protocol.send_text(m) or protocol.data_to_send()) for m in messages]


def receive(protocol, frames):
    count = 0
    for frame in frames:
        protocol.receive_data(frame)
        count += sum(len(event.data) for event in protocol.events_received())
    return count


def heap(parameters, messages, frames):
    gc.collect()
    tracemalloc.start()
    connections = [connection(Side.SERVER, *parameters) for _ in range(CONNECTIONS)]
    idle = tracemalloc.get_traced_memory()[0] // CONNECTIONS
    for server in connections:
        receive(server, frames)
        send(server, messages)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] // CONNECTIONS
    tracemalloc.stop()
    return idle, used


def measure(name, *parameters):
    plain = sum(map(len, messages))
    frames = send(connection(Side.CLIENT, *parameters), messages)
    idle, used = heap(parameters, messages, frames)
    sending, receiving, wire = [], [], 0
    for _ in range(ROUNDS):
        server = connection(Side.SERVER, *parameters)
        start = time.perf_counter()
        assert receive(server, frames) == plain
        receiving.append(time.perf_counter() - start)
        start = time.perf_counter()
        wire = sum(map(len, send(server, messages)))
        sending.append(time.perf_counter() - start)
    send_us, receive_us = (1e6 * min(times) / len(messages) for times in (sending, receiving))
    print(
        f"| python-websockets, {name} | | {idle} | {used} | | {send_us:.2f} µs | {receive_us:.2f} µs "
        f"| {100 * wire / plain:.1f} % |"
    )


messages = sys.stdin.buffer.read().splitlines()
measure("takeover, 12 bits, memory level 5 (its defaults)", True, 12, {"memLevel": 5})
measure("takeover, 15 bits", True, 15, {})
measure("no takeover, 12 bits", False, 12, {"memLevel": 5})
