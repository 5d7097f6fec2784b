// Sends 400 messages, compressed with what went before them, and compares their echoes.
//
//   node deflate.mjs DEVTOOLS_PORT KEEP PAGE_URL [KEEP PAGE_URL]...
//
// One line a server, each an `echo_server --deflate KEEP`; exits with 1 at the first failure.
// tests/browser/run.sh starts everything it needs.
import { Page } from "./page.mjs";

const [port, ...servers] = process.argv.slice(2);

// Runs in the page, which has no other way to tell than what it leaves behind.
function echoes(url) {
  const words = ["Grüße", "salmon", "鮭", "river", "🐟", "upstream", "again"];
  const message = (number) => {
    if (number % 10 === 9) return JSON.stringify({ ping: number });
    const length = number % 25 === 24 ? 800 : 3 + (number % 9);
    const text = Array.from({ length }, (_, at) => words[(number * 31 + at * at) % words.length]).join(" ");
    return JSON.stringify({ id: number, user: `user-${(number * 7) % 13}`, room: "lobby", text });
  };
  const messages = Array.from({ length: 400 }, (_, number) => message(number));
  const socket = new WebSocket(url);
  let back = 0;
  window.outcome = "";
  const end = (outcome) => (window.outcome ||= outcome);
  // The first half one at a time, the rest at once.
  const send = () => (back < 200 ? socket.send(messages[back]) : back === 200 && messages.slice(200).forEach((rest) => socket.send(rest)));
  socket.onopen = send;
  socket.onmessage = ({ data }) => {
    if (data !== messages[back]) return end(`message ${back} came back as ${data}`);
    back += 1;
    if (back === messages.length) socket.close(1000);
    else send();
  };
  socket.onclose = ({ code, wasClean }) => end(`${back} echoes, ${code}, ${wasClean}, ${socket.extensions}`);
}

let page;
try {
  for (let at = 0; at < servers.length; at += 2) {
    const [keep, url] = servers.slice(at, at + 2);
    page = await Page.open(port, url);
    await page.evaluate(`(${echoes})("${url.replace("http", "ws")}")`);
    const alone = keep === "nothing" ? "; server_no_context_takeover; client_no_context_takeover" : "";
    const agreed = `permessage-deflate${alone}; server_max_window_bits=12; client_max_window_bits=12`;
    await page.until("window.outcome", `400 echoes, 1000, true, ${agreed}`);
    if (page.errors.length) throw new Error(page.errors.join("; "));
    console.log(`  ok      400 compressed messages come back from a server that keeps ${keep}`);
  }
  process.exit(0);
} catch (error) {
  console.log(`  FAILED  ${error.message}`);
  process.exit(1);
}
