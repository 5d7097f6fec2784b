// permessage-deflate between the `ws` package of Node.js and our endpoints.
//
//   node deflate_ws.mjs client ws://127.0.0.1:9001/ KEEP [PART/PARTS]   checks `echo_server --deflate KEEP`
//   node deflate_ws.mjs servers PATH_OF_ECHO_CLIENT [PART/PARTS]        is a server with many settings for `echo_client`
//
// It goes through the combinations of all parameters, or through every PARTS-th of them. One line a
// group, and one a combination that failed; exits with 1 then.
import { spawn } from "node:child_process";
import { once } from "node:events";
import WebSocket, { WebSocketServer } from "ws";

const COUNT = 400;
const PATIENCE = 30_000;
const BITS = [8, 9, 10, 11, 12, 13, 14, 15];
const OUR_BITS = 12; // what `echo_server` compresses with, and asks for
const KEEPS = ["retained", "window", "nothing"];

// As in `echo_client --json`: mostly 100 to 200 bytes, some of thousands, some below the threshold.
function object(number) {
  if (number % 10 === 9) return JSON.stringify({ ping: number });
  const words = ["Grüße", "salmon", "鮭", "river", "🐟", "upstream", "again"];
  const length = number % 25 === 24 ? 800 : 3 + (number % 9);
  const text = Array.from({ length }, (_, at) => words[(number * 31 + at * at) % words.length]).join(" ");
  return JSON.stringify({ id: number, user: `user-${(number * 7) % 13}`, room: "lobby", at: 1700000000 + number * 977, text });
}

const MESSAGES = Array.from({ length: COUNT }, (_, number) => object(number));
const PLAIN = MESSAGES.reduce((sum, message) => sum + Buffer.byteLength(message), 0);

// ---- what was agreed on -----------------------------------------------------------------------------

// The parameters of a header's value: {} without any, undefined without the extension.
function parameters(header) {
  if (!header) return undefined;
  const [name, ...listed] = header.split(";").map((part) => part.trim());
  if (name !== "permessage-deflate") throw new Error(`agreed on ${header}`);
  return Object.fromEntries(listed.map((parameter) => {
    const [key, value] = parameter.split("=");
    return [key, value === undefined ? true : Number(value)];
  }));
}

function same(got, wanted) {
  const sorted = (object) => JSON.stringify(object && Object.entries(object).sort());
  if (sorted(got) !== sorted(wanted)) throw new Error(`agreed on ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
}

// Compressed with what went before them they take a tenth to a quarter, each by itself nearly half.
function smaller(what, wire, takeover) {
  const most = PLAIN * (takeover ? 0.3 : 0.6);
  if (wire > most) throw new Error(`${what} took ${wire} bytes for ${PLAIN}`);
}

// ---- their client, our server -----------------------------------------------------------------------

function* offers() {
  for (const serverMaxWindowBits of [undefined, ...BITS])
    for (const clientMaxWindowBits of [false, true, ...BITS])
      for (const serverNoContextTakeover of [false, true])
        for (const clientNoContextTakeover of [undefined, true])
          yield { serverMaxWindowBits, clientMaxWindowBits, serverNoContextTakeover, clientNoContextTakeover };
}

// What `echo_server` has to answer.
function answer(offer, keep) {
  const { serverMaxWindowBits: server, clientMaxWindowBits: client } = offer;
  if (server === 8) return undefined; // zlib would use 9
  const agreed = { server_max_window_bits: Math.min(server ?? 15, OUR_BITS) };
  if (client) agreed.client_max_window_bits = client === true ? OUR_BITS : Math.min(client, OUR_BITS);
  if (offer.serverNoContextTakeover || keep === "nothing") agreed.server_no_context_takeover = true;
  if (offer.clientNoContextTakeover || keep === "nothing") agreed.client_no_context_takeover = true;
  return agreed;
}

async function offered(url, offer, keep) {
  const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0, ...offer } });
  let header, failure;
  const back = [];
  socket.on("upgrade", (response) => (header = response.headers["sec-websocket-extensions"]));
  socket.on("error", (error) => (failure = error));
  socket.on("message", (data) => back.push(data.toString()) === COUNT && socket.close(1000));
  await once(socket, "open");
  const { _socket: tcp } = socket;
  const before = [tcp.bytesRead, tcp.bytesWritten];
  for (const message of MESSAGES) socket.send(message);
  const [code] = await once(socket, "close");
  if (failure) throw failure;
  for (const [index, message] of MESSAGES.entries()) {
    if (back[index] !== message) throw new Error(`message ${index} came back as ${back[index]}`);
  }
  if (code !== 1000) throw new Error(`closed with ${code}`);
  const agreed = parameters(header);
  same(agreed, answer(offer, keep));
  if (!agreed) return;
  smaller("echoes", tcp.bytesRead - before[0], !agreed.server_no_context_takeover);
  smaller("messages", tcp.bytesWritten - before[1], !agreed.client_no_context_takeover);
}

function client([url, keep, part]) {
  return all(`offers to a server that keeps ${keep}`, part, offers(), (offer) => offered(url, offer, keep));
}

// ---- our client, their server -----------------------------------------------------------------------

function* settings() {
  let ours = 0;
  for (const serverMaxWindowBits of [undefined, false, ...BITS.slice(1)])
    for (const clientMaxWindowBits of [undefined, false, ...BITS])
      for (const serverNoContextTakeover of [undefined, false, true])
        for (const clientNoContextTakeover of [false, true]) {
          // Ours go through all their combinations at another pace.
          const keep = KEEPS[ours % 3];
          const send = 9 + (Math.floor(ours / 3) % 7);
          const receive = 9 + (Math.floor(ours / 21) % 7);
          ours += 1;
          yield {
            theirs: { serverMaxWindowBits, clientMaxWindowBits, serverNoContextTakeover, clientNoContextTakeover },
            ours: { keep, send, receive },
          };
        }
}

// Whether `ws` declines what we offer, which our client is told to insist on.
function declines(theirs, { keep, send, receive }) {
  return (
    (theirs.serverNoContextTakeover === false && keep === "nothing") ||
    (receive < 15 && (theirs.serverMaxWindowBits === false || theirs.serverMaxWindowBits > receive)) ||
    (send < 15 && theirs.clientMaxWindowBits > send)
  );
}

async function served(echoClient, { theirs, ours }) {
  const listener = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: { threshold: 0, ...theirs } });
  await once(listener, "listening");
  let header, sent, tcp;
  listener.on("headers", (lines) => (header = lines.find((line) => line.startsWith("Sec-WebSocket-Extensions: "))));
  listener.on("connection", (socket, request) => {
    tcp = request.socket;
    sent = [tcp.bytesRead, tcp.bytesWritten];
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    socket.on("error", () => {}); // the client fails then
  });
  const keep = ["--deflate", ours.keep, "--send-window-bits", ours.send, "--receive-window-bits", ours.receive];
  const url = ["--url", `ws://127.0.0.1:${listener.address().port}/`];
  const child = spawn(echoClient, [...url, "--json", "--count", COUNT, "--pipeline", 64, ...keep].map(String), {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: PATIENCE,
  });
  let said = "";
  child.stderr.on("data", (data) => (said += data));
  const [status] = await once(child, "close");
  listener.close();
  if (declines(theirs, ours)) {
    if (status !== 1 || header) throw new Error(`declined, but the client ended with ${status}: ${header ?? said}`);
    return;
  }
  if (status !== 0) throw new Error(`the client ended with ${status}: ${said} (${header})`);
  const agreed = parameters(header?.slice("Sec-WebSocket-Extensions: ".length));
  if (!agreed) throw new Error("nothing was agreed on");
  smaller("echoes", tcp.bytesWritten - sent[1], !agreed.server_no_context_takeover);
  // The crate cannot keep to a window of 8 bits: it sends its messages as they are.
  if (agreed.client_max_window_bits === 8) return;
  smaller("messages", tcp.bytesRead - sent[0], !agreed.client_no_context_takeover && ours.keep !== "nothing");
}

function servers([echoClient, part]) {
  return all("settings of a server", part, settings(), (setting) => served(echoClient, setting));
}

// ---- running ----------------------------------------------------------------------------------------

async function all(name, part, combinations, check) {
  const [first, step] = (part ?? "0/1").split("/").map(Number);
  const chosen = [...combinations].filter((_, index) => index % step === first % step);
  let failed = 0;
  for (const combination of chosen) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`nothing within ${PATIENCE / 1000} s`)), PATIENCE);
    });
    try {
      await Promise.race([check(combination), late]);
    } catch (error) {
      failed += 1;
      console.log(`  FAILED  ${JSON.stringify(combination)}: ${error.message}`);
    }
    clearTimeout(timer);
  }
  console.log(`  ${failed ? "FAILED" : "ok    "}  ${name}: ${chosen.length - failed} of ${chosen.length}`);
  process.exit(failed || !chosen.length ? 1 : 0);
}

const [mode, ...rest] = process.argv.slice(2);
const modes = { client, servers };
if (!modes[mode] || !rest.length) {
  console.error("usage: node deflate_ws.mjs client URL KEEP [PART/PARTS] | servers ECHO_CLIENT [PART/PARTS]");
  process.exit(2);
}
await modes[mode](rest);
