#!/usr/bin/env python3
"""The `websockets` package of Python against our endpoints.

    python_websockets.py client ws://127.0.0.1:9001/    checks an echo server; one line a check, 1 on a failure
    python_websockets.py server 127.0.0.1:9001          is an echo server, for our client
"""

import asyncio
import random
import sys

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

MIB = 1024 * 1024
SIZES = [0, 1, 125, 126, 127, 1000, 65535, 65536, 65537, MIB, 4 * MIB]
PATIENCE = 30


def text(size):
    pattern = "aé€😀"  # characters of one to four bytes
    whole, rest = divmod(size, len(pattern.encode()))
    return pattern * whole + "x" * rest


def binary(size):
    return random.Random(size).randbytes(size)


def mixed(count):
    return [(text if i % 2 else binary)((i * 37) ** 2 % 9001) for i in range(count)]


def pieces(message, count):
    step = max(1, -(-len(message) // count))
    return [message[at : at + step] for at in range(0, len(message), step)] or [message]


def opened(url, compression=None):
    return connect(url, max_size=None, compression=compression, ping_interval=None)


async def echoes(url, messages, fragments=1, pipelined=False, compression=None):
    async with opened(url, compression) as socket:
        async def write(message):
            await socket.send(message if fragments == 1 else pieces(message, fragments))

        async def write_all():
            for message in messages:
                await write(message)

        writer = asyncio.create_task(write_all()) if pipelined else None
        for index, message in enumerate(messages):
            if not pipelined:
                await write(message)
            if await socket.recv() != message:
                raise AssertionError(f"message {index} of {len(message)} came back different")
        if writer:
            await writer
        await closed(socket, (1000,), 1000)


async def floods(url, messages):
    """Far more than the server queues, while nothing is read for a while: it has to hold back."""
    async with connect(url, max_size=None, compression=None, ping_interval=None, max_queue=1) as socket:

        async def write_all():
            for message in messages:
                await socket.send(message)

        writer = asyncio.create_task(write_all())
        await asyncio.sleep(0.5)
        for index, message in enumerate(messages):
            if await socket.recv() != message:
                raise AssertionError(f"message {index} came back different")
        await writer
        await closed(socket, (1000,), 1000)


async def ping_pong(url):
    async with opened(url) as socket:
        for payload in (b"", b"ping", binary(125)):
            # The future completes only for a pong with the ping's payload.
            await (await socket.ping(payload))
        await closed(socket, (1000,), 1000)


async def closes(url, args, expected):
    async with opened(url) as socket:
        await closed(socket, args, expected)


async def refuses(url, payload, expected):
    async with opened(url) as socket:
        await socket.send(payload, text=True)
        await socket.wait_closed()
        got_code(socket, expected)


async def closed(socket, args, expected):
    await socket.close(*args)
    got_code(socket, expected)


def got_code(socket, expected):
    # 1006 would be a connection that ended without a Close frame.
    if socket.close_code != expected:
        raise AssertionError(f"closed with {socket.close_code} {socket.close_reason}")


CHECKS = {
    "text of 0 B to 4 MiB": (echoes, [text(size) for size in SIZES]),
    "binary of 0 B to 4 MiB": (echoes, [binary(size) for size in SIZES]),
    "fragmented text of 0 B to 4 MiB": (echoes, [text(size) for size in SIZES], 7),
    "fragmented binary of 0 B to 4 MiB": (echoes, [binary(size) for size in SIZES], 7),
    "1000 fragments of one byte": (echoes, ["x" * 1000, binary(1000)], 1000),
    "100 messages in flight": (echoes, mixed(100), 1, True),
    "100 fragmented messages in flight": (echoes, mixed(100), 3, True),
    "8 messages of 4 MiB in flight, read late": (floods, [binary(4 << 20)] * 8),
    "compression offered": (echoes, mixed(20), 1, False, "deflate"),
    "a ping's payload comes back": (ping_pong,),
    "close 1000 with a reason": (closes, (1000, "so long"), 1000),
    "close 1001": (closes, (1001,), 1001),
    "close 3000 with the longest reason": (closes, (3000, "é" * 61), 3000),
    "close 4999": (closes, (4999,), 4999),
    "invalid UTF-8 is closed with 1007": (refuses, b"\x61\xff", 1007),
}


async def client(url):
    failed = False
    for name, (check, *args) in CHECKS.items():
        try:
            await asyncio.wait_for(check(url, *args), PATIENCE)
            print(f"  ok      {name}", flush=True)
        except (AssertionError, OSError, TimeoutError, websockets.WebSocketException) as error:
            failed = True
            print(f"  FAILED  {name}: {error!r}", flush=True)
    return int(failed)


async def server(address):
    host, port = address.split(":")

    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    async with serve(echo, host, int(port), max_size=None) as listener:
        print(f"listening on ws://{host}:{listener.sockets[0].getsockname()[1]}", flush=True)
        await listener.serve_forever()


if __name__ == "__main__":
    modes = {"client": client, "server": server}
    if len(sys.argv) != 3 or sys.argv[1] not in modes:
        sys.exit(__doc__)
    try:
        sys.exit(asyncio.run(modes[sys.argv[1]](sys.argv[2])))
    except KeyboardInterrupt:
        pass
