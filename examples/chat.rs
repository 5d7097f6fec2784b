//! Chat rooms in the browser, in one file.
//!
//! ```text
//! cargo run --example chat -- --addr 127.0.0.1:9002
//! ```
//!
//! Then open <http://127.0.0.1:9002/> in two windows. It shows how a server
//!
//! * serves its page and its WebSockets on one port, and decides by path, query and Origin who gets
//!   in;
//! * does two things in one task: [`WebSocket::recv`] is cancel safe, so it can be one branch of a
//!   `select!`;
//! * bounds what each client can make it hold: the size of messages, their rate, and what waits for
//!   a slow reader;
//! * compresses, each event once for its whole room: [`Prepared`];
//! * tells clients why it ends: every way out has its close code.
//!
//! Clients send plain text. The server sends JSON:
//! `{"type":"message","name":"Ada","text":"hi","time":1700000000000}`, with the types `present`
//! (who was there before), `joined`, `left` and `message`.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use core::error::Error;
use core::fmt::Write;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use sockeye::handshake::{Acceptance, OriginError, OriginPolicy, Refusal, Request, Scheme};
use sockeye::tokio::TokioIo;
use sockeye::{
    CloseCode, Config, Deflate, Limits, Message, Prepared, SocketError, State, WebSocket,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The longest message in bytes.
const MAX_MESSAGE: u64 = 4 * 1024;
/// The longest name of a room or member, in characters.
const MAX_NAME: usize = 32;
/// How many messages a member may send in how much time.
const MAX_RATE: (u32, Duration) = (20, Duration::from_secs(5));
/// How many events a room keeps for members whose tasks are behind.
const ROOM_QUEUE: usize = 256;
/// How many bytes may wait for a member whose network is behind.
const MAX_BACKLOG: usize = 64 * 1024;
/// Of the codes for applications (RFC 6455 section 7.4.2).
const NAME_TAKEN: u16 = 4001;

/// Chat rooms in the browser.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9002")]
    addr: SocketAddr,
    /// A page that may connect, such as https://chat.example.com or https://*.example.com. May be
    /// given more than once. [default: the server's own page over plain HTTP]
    #[arg(long, value_parser = page_from)]
    origin: Vec<OriginPolicy>,
}

fn page_from(origin: &str) -> Result<OriginPolicy, OriginError> {
    OriginPolicy::patterns([origin])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let policies = options.origin.into_iter();
    let policy = policies
        .reduce(OriginPolicy::or)
        .unwrap_or_else(|| OriginPolicy::same_origin(Scheme::Http));
    let policy = Arc::new(policy);
    let listener = TcpListener::bind(options.addr).await?;
    println!("http://{}/", listener.local_addr()?);

    // There are no secrets in a chat that everybody can read, so it may be compressed (RFC 7692
    // section 8).
    let config = Config::new().with_deflate(Deflate::server()).with_limits(
        Limits::new()
            .with_max_frame_size(MAX_MESSAGE)
            .with_max_message_size(MAX_MESSAGE),
    );
    let rooms = Rooms::default();
    let (stop, stopping) = watch::channel(false);
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (config, policy) = (config.clone(), policy.clone());
                    let client = serve(stream, config, policy, rooms.clone(), stopping.clone());
                    clients.spawn(async move {
                        if let Err(error) = client.await {
                            eprintln!("{peer}: {error}");
                        }
                    });
                }
                // Out of file descriptors, perhaps: some will be free soon.
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_done) = clients.join_next() => {}
            interrupted = tokio::signal::ctrl_c() => break interrupted?,
        }
    }
    // Nobody new; the others are told, and have as long as a closing handshake takes.
    drop(listener);
    println!("closing {} connections", clients.len());
    stop.send_replace(true);
    while clients.join_next().await.is_some() {}
    Ok(())
}

/// One TCP connection: a page, or a member of a room.
async fn serve(
    stream: TcpStream,
    config: Config,
    policy: Arc<OriginPolicy>,
    rooms: Rooms,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), SocketError> {
    stream.set_nodelay(true)?;
    let upgrade = tokio::select! {
        upgrade = sockeye::tokio::receive_any(stream, &config) => upgrade?,
        _ = stopping.changed() => return Ok(()),
    };
    match route(upgrade.request(), &policy) {
        Err(refusal) => upgrade.reject(refusal).await,
        Ok((room, name)) => {
            let ws = upgrade.accept(Acceptance::new()).await?;
            chat(ws, rooms, room, name, stopping).await
        }
    }
}

/// Decides about a request: a room and a name, or the answer of a web server.
fn route(request: &Request, policy: &OriginPolicy) -> Result<(String, String), Refusal> {
    let path = request.path();
    let Some(room) = path
        .strip_prefix("/rooms/")
        .filter(|_| request.is_upgrade())
    else {
        return Err(match path {
            "/" if request.is_upgrade() => Refusal::new(404),
            "/" => page(),
            _ if path.starts_with("/rooms/") => Refusal::new(426),
            _ => Refusal::new(404).with_body("Not found\n"),
        });
    };
    // Browsers let any page connect to any server, and tell which page it is (RFC 6455 section
    // 10.2).
    policy.check(request)?;
    let room = decode(room).ok_or_else(|| Refusal::new(404))?;
    let name = request
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("name=")))
        .and_then(decode)
        .ok_or_else(|| Refusal::new(400).with_body("A name of 1 to 32 characters is needed\n"))?;
    Ok((room, name))
}

fn page() -> Refusal {
    Refusal::new(200)
        .with_header("Content-Type", "text/html; charset=utf-8")
        .with_header(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
             connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
        )
        .with_header("X-Content-Type-Options", "nosniff")
        .with_body(PAGE)
}

/// A name out of a URL: percent-decoded, trimmed, and neither empty, too long nor full of control
/// characters.
fn decode(encoded: &str) -> Option<String> {
    let mut bytes = encoded.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    let name = String::from_utf8(decoded).ok()?;
    let name = name.trim();
    let is_fine =
        !name.is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    is_fine.then(|| name.to_owned())
}

/// A member's stay in a room.
async fn chat(
    mut ws: WebSocket<TokioIo<TcpStream>>,
    rooms: Rooms,
    room: String,
    name: String,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), SocketError> {
    let Some((member, mut events, present)) = rooms.join(room, name) else {
        ws.close(NAME_TAKEN.into(), "somebody here has that name")
            .await?;
        return Ok(());
    };
    for name in &present {
        ws.feed(event("present", name, "")).await?;
    }
    let mut rate = Rate::default();
    let (code, reason) = loop {
        // Each branch may lose the race at any time and nothing is lost: all three futures are
        // cancel safe. Receiving comes first because it also writes what was fed, so what
        // is queued after it is what the network did not take.
        tokio::select! {
            biased;
            message = ws.recv() => match message? {
                None => return Ok(()),
                Some(Message::Binary(_)) => break (CloseCode::UNSUPPORTED_DATA, "text only"),
                Some(Message::Text(_)) if rate.is_exceeded() => {
                    break (CloseCode::POLICY_VIOLATION, "too many messages");
                }
                Some(Message::Text(text)) => member.say(&text),
            },
            // A member that has left is only waited for.
            event = events.recv(), if ws.state() == State::Open => match event {
                Ok(event) if ws.queued() <= MAX_BACKLOG => ws.feed_prepared(&event).await?,
                // What waits for this member is bounded twice, and beyond that it has to go.
                Ok(_) | Err(RecvError::Lagged(_)) => {
                    break (CloseCode::POLICY_VIOLATION, "reading too slowly");
                }
                Err(RecvError::Closed) => break (CloseCode::INTERNAL_ERROR, "the room is gone"),
            },
            _ = stopping.changed() => break (CloseCode::GOING_AWAY, "the server is going down"),
        }
    };
    // Leaves the room first, because the closing handshake waits for the client.
    drop((member, events));
    ws.close(code, reason).await?;
    Ok(())
}

/// Counts messages against [`MAX_RATE`].
#[derive(Default)]
struct Rate {
    since: Option<Instant>,
    count: u32,
}

impl Rate {
    fn is_exceeded(&mut self) -> bool {
        let (max, window) = MAX_RATE;
        if self.since.is_none_or(|since| since.elapsed() >= window) {
            *self = Self {
                since: Some(Instant::now()),
                count: 0,
            };
        }
        self.count += 1;
        self.count > max
    }
}

#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<HashMap<String, Room>>>);

struct Room {
    names: BTreeSet<String>,
    events: broadcast::Sender<Prepared>,
}

impl Rooms {
    /// Enters a room, which exists as long as somebody is in it: what happens from now on, and who
    /// was there before. `None` if the name is taken.
    fn join(
        &self,
        room: String,
        name: String,
    ) -> Option<(Member, broadcast::Receiver<Prepared>, Vec<String>)> {
        let mut rooms = self.lock();
        let entered = rooms.entry(room.clone()).or_insert_with(|| Room {
            names: BTreeSet::new(),
            events: broadcast::Sender::new(ROOM_QUEUE),
        });
        if entered.names.contains(&name) {
            return None;
        }
        let present = entered.names.iter().cloned().collect();
        entered.names.insert(name.clone());
        let receiver = entered.events.subscribe();
        let member = Member {
            rooms: self.clone(),
            room,
            name,
            events: entered.events.clone(),
        };
        member.tell("joined", "");
        Some((member, receiver, present))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody in a room. Leaves it when dropped, however that comes about.
struct Member {
    rooms: Rooms,
    room: String,
    name: String,
    events: broadcast::Sender<Prepared>,
}

impl Member {
    fn say(&self, text: &str) {
        if !text.trim().is_empty() {
            self.tell("message", text);
        }
    }

    fn tell(&self, kind: &str, text: &str) {
        // It fails if nobody is there to hear it, which is fine.
        let _heard = self
            .events
            .send(Prepared::new(event(kind, &self.name, text)));
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut rooms = self.rooms.lock();
        if let Some(room) = rooms.get_mut(&self.room) {
            room.names.remove(&self.name);
            if room.names.is_empty() {
                rooms.remove(&self.room);
            }
        }
        self.tell("left", "");
    }
}

fn event(kind: &str, name: &str, text: &str) -> String {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let (name, text) = (json(name), json(text));
    format!(r#"{{"type":"{kind}","name":{name},"text":{text},"time":{time}}}"#)
}

/// A JSON string (RFC 8259 section 7).
fn json(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\0'..='\x1f' => {
                // Writing to a `String` does not fail.
                let _written = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// What the browser gets. Everything that somebody wrote goes into `textContent`, never into
/// markup.
const PAGE: &str = r##"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>sockeye chat</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 8c3-5 8-5 11-1l3-3v8l-3-3c-3 4-8 4-11-1z' fill='%23d1495b'/%3E%3C/svg%3E">
<style>
:root {
  color-scheme: light dark;
  --bg: light-dark(#f4f1ee, #15181c);
  --card: light-dark(#fff, #1d2126);
  --line: light-dark(#e2dcd6, #30363d);
  --text: light-dark(#23201e, #e8e4df);
  --dim: light-dark(#7b726b, #969089);
  --accent: light-dark(#b8384b, #ef7c83);
  --mine: light-dark(#fbe9e8, #3a2629);
  --ok: light-dark(#2b8a5b, #5fc490);
}
* { box-sizing: border-box; margin: 0; }
[hidden] { display: none !important; }
body { height: 100dvh; background: var(--bg); color: var(--text); font: 16px/1.45 system-ui, sans-serif; }
input, button { font: inherit; color: inherit; border: 1px solid var(--line); border-radius: 10px; padding: .6rem .8rem; }
input { background: var(--bg); min-width: 0; }
button { background: var(--accent); border-color: transparent; color: light-dark(#fff, #1b1113); font-weight: 600; cursor: pointer; }
button:disabled { opacity: .45; cursor: default; }
button.plain { background: none; color: var(--dim); border-color: var(--line); font-weight: 400; padding: .25rem .7rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
#join { height: 100%; display: grid; place-content: center; padding: 1rem; }
#join form { display: grid; gap: .9rem; width: min(22rem, 90vw); padding: 2rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 18px; }
#join svg { width: 3rem; fill: var(--accent); }
#join label { display: grid; gap: .25rem; color: var(--dim); font-size: .85rem; }
#join input { color: var(--text); font-size: 1rem; }
#problem { color: var(--accent); }
#chat { height: 100%; display: grid; grid-template: auto 1fr auto / minmax(0, 1fr) 13rem; max-width: 60rem; margin: auto;
  background: var(--card); border-inline: 1px solid var(--line); }
header { grid-column: 1 / -1; display: flex; align-items: center; gap: .8rem; padding: .8rem 1.2rem; border-bottom: 1px solid var(--line); }
header h1 { font-size: 1.1rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#status { margin-left: auto; color: var(--dim); font-size: .85rem; white-space: nowrap; }
#status::before { content: ""; display: inline-block; width: .55rem; height: .55rem; border-radius: 50%;
  margin-right: .45rem; background: var(--dim); }
#status.open::before { background: var(--ok); }
#log { overflow-y: auto; padding: 1rem 1.2rem; display: flex; flex-direction: column; gap: .55rem; list-style: none; }
#log li { max-width: 85%; align-self: flex-start; background: var(--bg); border-radius: 4px 14px 14px; padding: .45rem .8rem;
  overflow-wrap: anywhere; white-space: pre-wrap; }
#log li.mine { align-self: flex-end; background: var(--mine); border-radius: 14px 4px 14px 14px; }
#log li.note { align-self: center; background: none; color: var(--dim); font-size: .85rem; padding: 0; }
#log b { display: block; font-size: .85rem; color: light-dark(hsl(var(--hue) 45% 38%), hsl(var(--hue) 45% 72%)); }
#log time { float: right; margin: .3rem 0 0 .9rem; color: var(--dim); font-size: .72rem; }
aside { border-left: 1px solid var(--line); padding: 1rem; overflow-y: auto; }
aside h2 { font-size: .75rem; letter-spacing: .06em; text-transform: uppercase; color: var(--dim); margin-bottom: .5rem; }
#members { list-style: none; padding: 0; display: grid; gap: .35rem; }
#members li { display: flex; align-items: center; gap: .55rem; overflow-wrap: anywhere; }
#members li::before { content: attr(data-initial); flex: none; display: grid; place-content: center; width: 1.7rem; height: 1.7rem;
  border-radius: 50%; font-size: .8rem; font-weight: 600; background: hsl(var(--hue) 45% 52% / .25); }
#say { grid-column: 1 / -1; display: flex; gap: .6rem; padding: .8rem 1.2rem; border-top: 1px solid var(--line); }
#say input { flex: 1; }
@media (max-width: 36rem) { #chat { grid-template-columns: minmax(0, 1fr); grid-template-rows: auto auto 1fr auto; }
  aside { border: 0; border-bottom: 1px solid var(--line); padding: .5rem 1.2rem; } aside h2 { display: none; }
  #members { display: flex; overflow-x: auto; } }
</style>
<main id="join">
  <form>
    <svg viewBox="0 0 16 8" aria-hidden="true"><path d="M1 4c3-5 8-5 11-1l3-3v8l-3-3c-3 4-8 4-11-1z"/></svg>
    <h1>Join a room</h1>
    <label>Room <input name="room" required maxlength="32" value="lobby" autocomplete="off"></label>
    <label>Your name <input name="name" required maxlength="32" autocomplete="nickname" autofocus></label>
    <p id="problem" role="alert" hidden></p>
    <button>Join</button>
  </form>
</main>
<main id="chat" hidden>
  <header><h1 id="title"></h1><span id="status" role="status"></span><button class="plain" id="leave">Leave</button></header>
  <ol id="log" aria-live="polite"></ol>
  <aside><h2>Here now</h2><ul id="members"></ul></aside>
  <form id="say"><input name="text" aria-label="Message" placeholder="Write a message" maxlength="1000" autocomplete="off"><button>Send</button></form>
</main>
<script>
"use strict";
const $ = id => document.getElementById(id);
const form = document.querySelector("#join form"), say = $("say");
let ws, room, name, retries, timer, members = new Set();

const hue = text => [...text].reduce((sum, char) => (sum * 31 + char.codePointAt(0)) % 360, 7);
const element = (tag, text, properties) => Object.assign(document.createElement(tag), { textContent: text }, properties);

function show(item) {
  const log = $("log"), atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  log.append(item);
  while (log.childElementCount > 500) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}
const note = text => show(element("li", text, { className: "note" }));

function showMembers() {
  $("members").replaceChildren(...[...members].sort((a, b) => a.localeCompare(b)).map(member => {
    const item = element("li", member === name ? member + " (you)" : member);
    item.dataset.initial = [...member][0].toUpperCase();
    item.style.setProperty("--hue", hue(member));
    return item;
  }));
}

function status(text, open) {
  $("status").textContent = text;
  $("status").className = open ? "open" : "";
  say.querySelector("button").disabled = !open;
}

const handlers = {
  present(event) { members.add(event.name); showMembers(); },
  joined(event) { members.add(event.name); showMembers(); note(event.name === name ? "You joined" : event.name + " joined"); },
  left(event) { members.delete(event.name); showMembers(); note(event.name + " left"); },
  message(event) {
    const item = element("li", "", { className: event.name === name ? "mine" : "" });
    const time = new Date(event.time), author = element("b", event.name);
    author.style.setProperty("--hue", hue(event.name));
    item.append(author, element("time", time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })), event.text);
    show(item);
  },
};

function connect() {
  status("connecting", false);
  const url = new URL("rooms/" + encodeURIComponent(room) + "?name=" + encodeURIComponent(name), location.origin);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = ws = new WebSocket(url);
  socket.onopen = () => { members.clear(); status("connected", true); };
  socket.onmessage = ({ data }) => { retries = 0; const event = JSON.parse(data); handlers[event.type]?.(event); };
  socket.onclose = ({ code, reason }) => {
    if (socket !== ws) return; // This one was left.
    if (code === 4001) return leave("Somebody in this room has that name.");
    if (code === 1008 || code === 1009) return leave("You were disconnected: " + (reason || "the message was too long") + ".");
    // Twice as long each time, and not at the same moment as everybody else.
    const delay = Math.min(30, 2 ** retries++) * (0.5 + Math.random() / 2);
    let left = Math.ceil(delay);
    members.clear(); showMembers();
    if (retries === 1) note("The connection was lost");
    clearInterval(timer);
    const tick = () => { status("reconnecting in " + left + " s", false); if (left-- <= 0) { clearInterval(timer); connect(); } };
    timer = setInterval(tick, 1000); tick();
  };
}

function join() {
  retries = 0; members.clear();
  $("log").replaceChildren(); showMembers();
  $("title").textContent = "# " + room;
  document.title = room + " – sockeye chat";
  $("join").hidden = true; $("chat").hidden = false;
  say.elements.text.focus();
  connect();
}

function leave(problem) {
  const socket = ws; ws = null;
  clearInterval(timer);
  socket?.close(1000);
  $("problem").textContent = problem ?? ""; $("problem").hidden = !problem;
  $("join").hidden = false; $("chat").hidden = true;
  form.elements.name.focus();
}

form.onsubmit = event => {
  event.preventDefault();
  room = form.elements.room.value.trim(); name = form.elements.name.value.trim();
  if (!room || !name) return;
  history.replaceState(null, "", "/?" + new URLSearchParams({ room, name }));
  join();
};
say.onsubmit = event => {
  event.preventDefault();
  const text = say.elements.text.value;
  if (!text.trim() || ws?.readyState !== WebSocket.OPEN) return;
  ws.send(text);
  say.elements.text.value = "";
};
$("leave").onclick = () => leave();
addEventListener("online", () => { if (ws?.readyState === WebSocket.CLOSED) { clearInterval(timer); connect(); } });

// A link may say where to go: /?room=lobby&name=Ada
const link = new URLSearchParams(location.search);
if (link.get("room")) form.elements.room.value = link.get("room");
if (link.get("name")) { form.elements.name.value = link.get("name"); form.requestSubmit(); }
</script>
</html>
"##;
