#!/usr/bin/env python3
"""permessage-deflate between the `websockets` package of Python and our endpoints.

    deflate_websockets.py client ws://127.0.0.1:9001/ KEEP [PART/PARTS]   checks `echo_server --deflate KEEP`
    deflate_websockets.py servers PATH_OF_ECHO_CLIENT [PART/PARTS]        is a server with many settings for `echo_client`

It goes through the combinations of all parameters, or through every PARTS-th of them. One line a
group, and one a combination that failed; exits with 1 then.
"""

import asyncio
import itertools
import json
import sys

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

COUNT = 400
PATIENCE = 30
OUR_BITS = 12  # what `echo_server` compresses with, and asks for
KEEPS = ["retained", "window", "nothing"]


def json_message(number):
    """As in `echo_client --json`: mostly 100 to 200 bytes, some of thousands, some below the threshold."""
    if number % 10 == 9:
        return json.dumps({"ping": number})
    words = ["Grüße", "salmon", "鮭", "river", "🐟", "upstream", "again"]
    length = 800 if number % 25 == 24 else 3 + number % 9
    text = " ".join(words[(number * 31 + at * at) % len(words)] for at in range(length))
    user, at = f"user-{number * 7 % 13}", 1700000000 + number * 977
    return json.dumps({"id": number, "user": user, "room": "lobby", "at": at, "text": text}, ensure_ascii=False)


MESSAGES = [json_message(number) for number in range(COUNT)]
PLAIN = sum(len(message.encode()) for message in MESSAGES)


class Counted:
    """A connection that knows how many bytes arrived."""

    arrived = 0

    def data_received(self, data):
        self.arrived += len(data)
        super().data_received(data)


class CountedClient(Counted, ClientConnection):
    pass


class CountedServer(Counted, ServerConnection):
    pass


def parameters(header):
    """The parameters of a header's value: {} without any, None without the extension."""
    if header is None:
        return None
    name, *listed = [part.strip() for part in header.split(";")]
    check(name == "permessage-deflate", f"agreed on {header}")
    pairs = [parameter.partition("=") for parameter in listed]
    return {key: int(value) if value else True for key, _, value in pairs}


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def smaller(what, wire, takeover):
    """Compressed with what went before them they take a tenth to a quarter, each by itself nearly half."""
    check(wire <= PLAIN * (0.3 if takeover else 0.6), f"{what} took {wire} bytes for {PLAIN}")


# ---- their client, our server --------------------------------------------------------------------


def offers():
    return itertools.product([None, *range(8, 16)], [None, True, *range(9, 16)], [False, True], [False, True])


def answer(offer, keep):
    """What `echo_server` has to answer."""
    server_bits, client_bits, server_alone, client_alone = offer
    if server_bits == 8:  # zlib would use 9
        return None
    agreed = {"server_max_window_bits": min(server_bits or 15, OUR_BITS)}
    if client_bits:
        agreed["client_max_window_bits"] = OUR_BITS if client_bits is True else min(client_bits, OUR_BITS)
    if server_alone or keep == "nothing":
        agreed["server_no_context_takeover"] = True
    if client_alone or keep == "nothing":
        agreed["client_no_context_takeover"] = True
    return agreed


async def offered(url, keep, offer):
    server_bits, client_bits, server_alone, client_alone = offer
    factory = ClientPerMessageDeflateFactory(server_alone, client_alone, server_bits, client_bits)
    options = {"extensions": [factory], "compression": None, "ping_interval": None}
    async with connect(url, create_connection=CountedClient, **options) as socket:
        before = socket.arrived

        async def write():
            for message in MESSAGES:
                await socket.send(message)

        writer = asyncio.create_task(write())
        for index, message in enumerate(MESSAGES):
            check(await socket.recv() == message, f"message {index} came back different")
        await writer
        arrived = socket.arrived - before
        await socket.close()
    check(socket.close_code == 1000, f"closed with {socket.close_code}")
    agreed, wanted = parameters(socket.response.headers.get("Sec-WebSocket-Extensions")), answer(offer, keep)
    check(agreed == wanted, f"agreed on {agreed}, not {wanted}")
    if agreed:
        smaller("echoes", arrived, "server_no_context_takeover" not in agreed)


# ---- our client, their server --------------------------------------------------------------------


def settings():
    theirs = itertools.product([None, *range(9, 16)], [None, *range(8, 16)], [False, True], [False, True])
    for number, combination in enumerate(theirs):
        # Ours go through all their combinations at another pace.
        yield *combination, KEEPS[number % 3], 9 + number // 3 % 7, 9 + number // 21 % 7


async def served(echo_client, setting):
    server_bits, client_bits, server_alone, client_alone, keep, send, receive = setting
    factory = ServerPerMessageDeflateFactory(server_alone, client_alone, server_bits, client_bits)
    sockets = []

    async def echo(socket):
        sockets.append((socket, socket.arrived))
        async for message in socket:
            await socket.send(message)

    options = {"extensions": [factory], "compression": None, "ping_interval": None}
    async with serve(echo, "127.0.0.1", 0, create_connection=CountedServer, **options) as listener:
        url = f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
        content = f"--url {url} --json --count {COUNT} --pipeline 64"
        deflate = f"--deflate {keep} --send-window-bits {send} --receive-window-bits {receive}"
        pipes = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.PIPE}
        child = await asyncio.create_subprocess_exec(echo_client, *f"{content} {deflate}".split(), **pipes)
        try:
            _, said = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
    check(child.returncode == 0, f"the client ended with {child.returncode}: {said.decode()}")
    (socket, before), = sockets
    agreed = parameters(socket.response.headers.get("Sec-WebSocket-Extensions"))
    check(agreed is not None, "nothing was agreed on")
    # The crate cannot keep to a window of 8 bits: it sends its messages as they are.
    if agreed.get("client_max_window_bits") != 8:
        takeover = keep != "nothing" and "client_no_context_takeover" not in agreed
        smaller("messages", socket.arrived - before, takeover)


# ---- running -------------------------------------------------------------------------------------


async def run(name, part, combinations, checked):
    first, step = map(int, part.split("/"))
    chosen = list(itertools.islice(combinations, first % step, None, step))
    failed = 0
    for combination in chosen:
        try:
            await asyncio.wait_for(checked(combination), PATIENCE)
        except (AssertionError, OSError, TimeoutError, websockets.WebSocketException) as error:
            failed += 1
            print(f"  FAILED  {combination}: {error!r}", flush=True)
    print(f"  {'FAILED' if failed else 'ok    '}  {name}: {len(chosen) - failed} of {len(chosen)}", flush=True)
    return int(failed > 0 or not chosen)


def main(arguments):
    match arguments:
        case ["client", url, keep, *part]:
            name = f"offers to a server that keeps {keep}"
            return run(name, *(part or ["0/1"]), offers(), lambda offer: offered(url, keep, offer))
        case ["servers", echo_client, *part]:
            checked = lambda setting: served(echo_client, setting)  # noqa: E731
            return run("settings of a server", *(part or ["0/1"]), settings(), checked)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
