// The `ws` package of Node.js against our endpoints.
//
//   node node_ws.mjs client ws://127.0.0.1:9001/     checks an echo server; one line a check, 1 on a failure
//   node node_ws.mjs server 127.0.0.1:9001           is an echo server, for our client
import { once } from "node:events";
import { parseArgs } from "node:util";
import WebSocket, { WebSocketServer } from "ws";

const MIB = 1024 * 1024;
const SIZES = [0, 1, 125, 126, 127, 1000, 65535, 65536, 65537, MIB, 4 * MIB];
const PATIENCE = 30_000;

const checks = {
  "text of 0 B to 4 MiB": (url) => echoes(url, SIZES.map(text)),
  "binary of 0 B to 4 MiB": (url) => echoes(url, SIZES.map(binary)),
  "fragmented text of 0 B to 4 MiB": (url) => echoes(url, SIZES.map(text), { pieces: 7 }),
  "fragmented binary of 0 B to 4 MiB": (url) => echoes(url, SIZES.map(binary), { pieces: 7 }),
  "1000 fragments of one byte": (url) => echoes(url, [text(1000), binary(1000)], { pieces: 1000 }),
  "fragments with pings between them": (url) => echoes(url, [text(1000)], { pieces: 9, pings: true }),
  "100 messages in flight": (url) => echoes(url, mixed(100), { pipelined: true }),
  "100 fragmented messages in flight": (url) => echoes(url, mixed(100), { pipelined: true, pieces: 3 }),
  "compression offered": (url) => echoes(url, mixed(20), {}, { perMessageDeflate: true }),
  "a ping's payload comes back": pingPong,
  "close 1000 with a reason": (url) => closes(url, [1000, "so long"], 1000),
  "close 1001": (url) => closes(url, [1001], 1001),
  "close 3000 with the longest reason": (url) => closes(url, [3000, "é".repeat(61)], 3000),
  "close 4999": (url) => closes(url, [4999], 4999),
  "close without a code": (url) => closes(url, [], 1005),
  "invalid UTF-8 is closed with 1007": (url) => refuses(url, Buffer.of(0x61, 0xff), { binary: false }, 1007),
  "an unmasked frame is closed with 1002": (url) => refuses(url, "bare", { mask: false }, 1002),
};

// ---- what the checks are made of --------------------------------------------------------------------

function text(size) {
  const pattern = Buffer.from("aé€😀"); // characters of one to four bytes
  const whole = size - (size % pattern.length);
  return Buffer.concat([Buffer.alloc(whole, pattern), Buffer.alloc(size - whole, "x")]).toString();
}

function binary(size) {
  const bytes = Buffer.alloc(size);
  let state = size + 1;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

function mixed(count) {
  return Array.from({ length: count }, (_, i) => (i % 2 ? text : binary)((i * 37) ** 2 % 9001));
}

async function open(url, options = { perMessageDeflate: false }) {
  const socket = new WebSocket(url, { maxPayload: 0, ...options });
  socket.arrived = [];
  socket.on("message", (data, isBinary) => {
    socket.arrived.push(isBinary ? data : data.toString());
    socket.emit("progress");
  });
  socket.on("close", () => socket.emit("progress"));
  await once(socket, "open");
  socket.on("error", (error) => (socket.error = error)); // a `close` event follows
  return socket;
}

function send(socket, message, { pieces = 1, pings = false }) {
  const bytes = Buffer.from(message);
  const binary = Buffer.isBuffer(message);
  const step = Math.max(1, Math.ceil(bytes.length / pieces));
  for (let at = 0; ; at += step) {
    const fin = at + step >= bytes.length;
    socket.send(bytes.subarray(at, at + step), { binary, fin });
    if (fin) break;
    if (pings) socket.ping(`at ${at}`);
  }
}

async function received(socket, count) {
  while (socket.arrived.length < count) {
    if (socket.readyState > WebSocket.OPEN) throw new Error(`${socket.arrived.length} of ${count} came back`);
    await once(socket, "progress");
  }
}

async function echoes(url, messages, how = {}, options = undefined) {
  const socket = await open(url, options);
  for (const [index, message] of messages.entries()) {
    send(socket, message, how);
    if (!how.pipelined) await received(socket, index + 1);
  }
  await received(socket, messages.length);
  for (const [index, message] of messages.entries()) {
    const back = socket.arrived[index];
    const same = Buffer.isBuffer(message) ? Buffer.isBuffer(back) && message.equals(back) : message === back;
    if (!same) throw new Error(`message ${index} of ${Buffer.byteLength(message)} bytes came back different`);
  }
  await closed(socket, [1000], 1000);
}

async function pingPong(url) {
  const socket = await open(url);
  for (const payload of [Buffer.alloc(0), Buffer.from("ping"), binary(125)]) {
    socket.ping(payload);
    const [back] = await once(socket, "pong");
    if (!payload.equals(back)) throw new Error(`a ping of ${payload.length} bytes came back different`);
  }
  await closed(socket, [1000], 1000);
}

async function closes(url, args, expected) {
  await closed(await open(url), args, expected);
}

async function refuses(url, message, options, expected) {
  const socket = await open(url);
  socket.send(message, options);
  await closeEvent(socket, expected);
}

async function closed(socket, args, expected) {
  socket.close(...args);
  await closeEvent(socket, expected);
}

// 1006 would be a connection that ended without a Close frame.
async function closeEvent(socket, expected) {
  const [code, reason] = await once(socket, "close");
  if (code !== expected) throw new Error(`closed with ${code} ${reason} ${socket.error?.message ?? ""}`);
}

// ---- the two modes ----------------------------------------------------------------------------------

async function client(url) {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`nothing within ${PATIENCE / 1000} s`)), PATIENCE);
    });
    try {
      await Promise.race([check(url), late]);
      console.log(`  ok      ${name}`);
    } catch (error) {
      failed++;
      console.log(`  FAILED  ${name}: ${error.message}`);
    }
    clearTimeout(timer);
  }
  process.exit(failed ? 1 : 0);
}

function server(address) {
  const [host, port] = address.split(":");
  const listener = new WebSocketServer({ host, port: Number(port), maxPayload: 0 });
  listener.on("connection", (socket) => {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    socket.on("error", () => {}); // `ws` has sent the Close frame already
  });
  listener.on("listening", () => console.log(`listening on ws://${host}:${listener.address().port}`));
}

const { positionals: [mode, where] } = parseArgs({ allowPositionals: true });
const modes = { client, server };
if (!modes[mode] || !where) {
  console.error("usage: node node_ws.mjs client URL | server HOST:PORT");
  process.exit(2);
}
await modes[mode](where);
