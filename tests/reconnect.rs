//! Clients that connect again, against a server over loopback that does something else with each
//! connection. Each scenario runs on tokio, on smol and on blocking sockets.
#![allow(
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use sockeye::backoff::{Backoff, Class};
use sockeye::connector::ConnectError;
use sockeye::handshake::{ClientRequest, Refusal};
use sockeye::reconnect::{Cause, Disconnected, Reconnecting, Update};
use sockeye::{CloseCode, Closed, Config, SocketError, Timeouts, blocking, futures, tokio};

// ---- the server

/// What a server does with a connection.
enum Act {
    /// Ends the transport before it has answered.
    Hang,
    Refuse(u16),
    RefuseFor(u16, &'static str),
    /// Accepts, sends this, and ends the transport.
    Drop(&'static str),
    /// Accepts, sends this, and closes.
    Close(&'static str, u16),
    /// Accepts, and echoes until the client closes.
    Echo,
    /// Answers after so long, then as `Echo`.
    Slow(Duration),
}
use Act::*;

/// Runs a server that does one thing after the other, and gives the `Attempt` headers that it gets.
fn serve(acts: impl IntoIterator<Item = Act> + Send + 'static) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, requests) = mpsc::channel();
    thread::spawn(move || {
        for act in acts {
            let (stream, _) = listener.accept().unwrap();
            let upgrade = blocking::Upgrade::receive(stream, &Config::new()).unwrap();
            let attempt = upgrade.request().header("Attempt").unwrap_or_default();
            let _gone = seen.send(String::from_utf8_lossy(attempt).into_owned());
            let accept = |upgrade: blocking::Upgrade<TcpStream>, text: &str| {
                let mut ws = upgrade.accept(Default::default()).unwrap();
                if !text.is_empty() {
                    ws.send(text).unwrap();
                }
                ws
            };
            match act {
                Hang => drop(upgrade),
                Refuse(status) => upgrade.reject(Refusal::new(status)).unwrap(),
                RefuseFor(status, retry_after) => {
                    let refusal = Refusal::new(status).with_header("Retry-After", retry_after);
                    upgrade.reject(refusal).unwrap();
                }
                Drop(text) => drop(accept(upgrade, text)),
                Close(text, code) => {
                    let mut ws = accept(upgrade, text);
                    assert!(ws.close(code.into(), "").unwrap().clean);
                }
                Echo => echo(accept(upgrade, "")),
                Slow(delay) => {
                    thread::sleep(delay);
                    echo(accept(upgrade, ""));
                }
            }
        }
    });
    (address, requests)
}

fn echo(mut ws: blocking::WebSocket<TcpStream>) {
    while let Ok(Some(message)) = ws.recv() {
        ws.send(message).unwrap();
    }
}

// ---- the client

/// Makes the request of an attempt, from its number.
type Hook = Box<dyn FnMut(u32) -> Result<ClientRequest, SocketError> + Send>;

/// What tests set, on whatever adapter.
struct Setup {
    backoff: Backoff,
    rule: Box<dyn FnMut(&Cause, Class) -> Class + Send>,
    hook: Hook,
}

impl Setup {
    /// Every random delay is half of its ceiling: 2 ms, 4 ms, 8 ms, 8 ms ...
    fn new(address: SocketAddr) -> Self {
        Self {
            backoff: Backoff::new()
                .with_first(Duration::from_millis(4))
                .with_cap(Duration::from_millis(16))
                .with_max_retry_after(Duration::from_millis(20)),
            rule: Box::new(|_, class| class),
            hook: Box::new(move |attempt| {
                let request = ClientRequest::new(&format!("ws://{address}/"))?;
                Ok(request.with_header("Attempt", attempt.to_string()))
            }),
        }
    }

    fn with_backoff(mut self, change: impl FnOnce(Backoff) -> Backoff) -> Self {
        self.backoff = change(self.backoff);
        self
    }

    fn with_rule(mut self, rule: impl FnMut(&Cause, Class) -> Class + Send + 'static) -> Self {
        self.rule = Box::new(rule);
        self
    }

    fn with_hook(
        mut self,
        hook: impl FnMut(u32) -> Result<ClientRequest, SocketError> + Send + 'static,
    ) -> Self {
        self.hook = Box::new(hook);
        self
    }
}

fn half() -> u64 {
    1 << 63
}

fn config() -> Config {
    let limit = Some(Duration::from_secs(5));
    Config::new().with_timeouts(Timeouts::new().with_handshake(limit).with_close(limit))
}

/// One face for the three adapters.
trait Client {
    fn new(setup: Setup) -> Self;
    fn recv(&mut self) -> Option<Update>;
    fn send(&mut self, text: &str) -> Result<(), SocketError>;
    fn close(&mut self, code: u16) -> Result<Option<Closed>, SocketError>;
    /// Takes the connection out, closes it, and puts back how it ended.
    fn close_elsewhere(&mut self) -> Option<Disconnected>;
    /// Takes the connection out, and forgets it.
    fn steal(&mut self) -> bool;

    /// What happens up to `count` updates, or to the end.
    fn trace(&mut self, count: usize) -> Vec<String> {
        let mut trace = Vec::new();
        while trace.len() < count {
            let Some(update) = self.recv() else { break };
            trace.push(show(&update));
        }
        trace
    }
}

fn show(update: &Update) -> String {
    match update {
        Update::Connecting { attempt } => format!("connecting {attempt}"),
        Update::Connected(response) => format!("connected {}", response.status()),
        Update::Message(message) => format!("message {}", message.as_text().unwrap()),
        Update::Disconnected(lost) => {
            let cause = match (&lost.cause, lost.cause.response()) {
                (_, Some(response)) => response.status().to_string(),
                (Cause::Closed(closed), _) => closed.code().to_string(),
                (
                    Cause::Failed(
                        SocketError::Io(error) | SocketError::Connect(ConnectError::Tcp(error)),
                    ),
                    _,
                ) => format!("{:?}", error.kind()),
                (Cause::Failed(error), _) => format!("{error:?}"),
                other => format!("{other:?}"),
            };
            let next = lost
                .retry_in
                .map_or_else(|| "over".into(), |delay| format!("in {delay:?}"));
            format!("{cause}: {:?}, {next}", lost.class)
        }
        Update::GaveUp(reason) => format!("gave up: {reason:?}"),
        other => format!("{other:?}"),
    }
}

struct OnTokio {
    runtime: ::tokio::runtime::Runtime,
    client: Reconnecting<tokio::TokioIo<tokio::ClientStream>>,
}

impl Client for OnTokio {
    fn new(setup: Setup) -> Self {
        let mut builder = ::tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        Self {
            runtime,
            client: on_tokio(setup),
        }
    }
    fn recv(&mut self) -> Option<Update> {
        self.runtime.block_on(self.client.recv())
    }
    fn send(&mut self, text: &str) -> Result<(), SocketError> {
        self.runtime.block_on(self.client.send(text))
    }
    fn close(&mut self, code: u16) -> Result<Option<Closed>, SocketError> {
        self.runtime.block_on(self.client.close(code.into(), ""))
    }
    fn close_elsewhere(&mut self) -> Option<Disconnected> {
        let mut ws = self.client.detach().unwrap();
        let closed = self.runtime.block_on(ws.close(CloseCode::NORMAL, ""));
        self.client.lost(closed.unwrap())
    }
    fn steal(&mut self) -> bool {
        self.client.detach().is_some()
    }
}

fn on_tokio(setup: Setup) -> Reconnecting<tokio::TokioIo<tokio::ClientStream>> {
    let (mut hook, mut attempt) = (setup.hook, 0);
    tokio::reconnect(&config(), move || {
        attempt += 1;
        std::future::ready(hook(attempt))
    })
    .with_backoff(setup.backoff)
    .with_rule(setup.rule)
    .with_random(half)
}

struct OnFutures(Reconnecting<futures::FuturesIo<futures::ClientStream>>);

impl Client for OnFutures {
    fn new(setup: Setup) -> Self {
        let (mut hook, mut attempt) = (setup.hook, 0);
        let client = futures::reconnect(&config(), move || {
            attempt += 1;
            std::future::ready(hook(attempt))
        });
        let client = client.with_backoff(setup.backoff).with_rule(setup.rule);
        Self(client.with_random(half))
    }
    fn recv(&mut self) -> Option<Update> {
        smol::block_on(self.0.recv())
    }
    fn send(&mut self, text: &str) -> Result<(), SocketError> {
        smol::block_on(self.0.send(text))
    }
    fn close(&mut self, code: u16) -> Result<Option<Closed>, SocketError> {
        smol::block_on(self.0.close(code.into(), ""))
    }
    fn close_elsewhere(&mut self) -> Option<Disconnected> {
        let mut ws = self.0.detach().unwrap();
        let closed = smol::block_on(ws.close(CloseCode::NORMAL, ""));
        self.0.lost(closed.unwrap())
    }
    fn steal(&mut self) -> bool {
        self.0.detach().is_some()
    }
}

struct OnBlocking(blocking::Reconnecting<blocking::ClientStream>);

impl Client for OnBlocking {
    fn new(setup: Setup) -> Self {
        let (mut hook, mut attempt) = (setup.hook, 0);
        let client = blocking::reconnect(&config(), move || {
            attempt += 1;
            hook(attempt)
        });
        let client = client.with_backoff(setup.backoff).with_rule(setup.rule);
        Self(client.with_random(half))
    }
    fn recv(&mut self) -> Option<Update> {
        self.0.recv()
    }
    fn send(&mut self, text: &str) -> Result<(), SocketError> {
        self.0.send(text)
    }
    fn close(&mut self, code: u16) -> Result<Option<Closed>, SocketError> {
        self.0.close(code.into(), "")
    }
    fn close_elsewhere(&mut self) -> Option<Disconnected> {
        let mut ws = self.0.detach().unwrap();
        let closed = ws.close(CloseCode::NORMAL, "");
        self.0.lost(closed.unwrap())
    }
    fn steal(&mut self) -> bool {
        self.0.detach().is_some()
    }
}

/// Runs scenarios, which are generic over the adapter, on all of them. None may take longer than
/// ten seconds.
macro_rules! on_every_adapter {
    ($($scenario:ident),* $(,)?) => {
        mod on_tokio {
            $(#[test] fn $scenario() { crate::bounded(crate::$scenario::<crate::OnTokio>); })*
        }
        mod on_futures {
            $(#[test] fn $scenario() { crate::bounded(crate::$scenario::<crate::OnFutures>); })*
        }
        mod on_blocking {
            $(#[test] fn $scenario() { crate::bounded(crate::$scenario::<crate::OnBlocking>); })*
        }
    };
}

fn bounded(scenario: fn()) {
    let runner = thread::spawn(scenario);
    let start = Instant::now();
    while !runner.is_finished() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "the scenario hangs"
        );
        thread::sleep(Duration::from_millis(2));
    }
    if let Err(panic) = runner.join() {
        std::panic::resume_unwind(panic);
    }
}

on_every_adapter! {
    through_thick_and_thin,
    transient_close_codes_reconnect,
    fatal_close_codes_end_it,
    fatal_statuses_end_it,
    a_normal_close_of_the_server_ends_it_unless_the_rule_says_otherwise,
    closing_ends_it_whatever_the_rule_says,
    closing_without_a_connection_ends_it_too,
    a_misused_close_changes_nothing,
    nobody_listens_and_the_retries_are_used_up,
    the_time_is_used_up,
    the_hook_makes_a_fresh_request_each_time,
    a_hook_that_fails_is_a_failed_attempt,
    a_rule_may_retry_what_is_fatal,
    a_stable_connection_starts_anew,
    a_detached_connection_comes_back_as_its_end,
}

// ---- the scenarios

fn through_thick_and_thin<C: Client>() {
    let (address, _requests) = serve([
        RefuseFor(503, "1"),
        Hang,
        Drop("one"),
        Close("two", 1012),
        RefuseFor(429, "0"),
        Refuse(502),
        Close("", 1013),
        Echo,
    ]);
    let mut client = C::new(Setup::new(address));
    assert!(client.send("too early").unwrap_err().is_misuse());
    let expected = [
        "connecting 1",
        // One second is bounded to 20 ms, and the random delay comes on top.
        "503: Overloaded { retry_after: Some(1s) }, in 22ms",
        "connecting 2",
        "Handshake(Eof): Transient, in 4ms",
        "connecting 3",
        "connected 101",
        "message one",
        "1006: Transient, in 8ms",
        "connecting 4",
        "connected 101",
        "message two",
        "1012: Transient, in 8ms",
        "connecting 5",
        "429: Overloaded { retry_after: Some(0ns) }, in 8ms",
        "connecting 6",
        "502: Transient, in 8ms",
        "connecting 7",
        "connected 101",
        "1013: Overloaded { retry_after: None }, in 12ms",
        "connecting 8",
        "connected 101",
    ];
    let start = Instant::now();
    assert_eq!(client.trace(expected.len()), expected);
    // 22 + 4 + 8 + 8 + 8 + 8 + 12: it has waited.
    assert!(start.elapsed() >= Duration::from_millis(70));
    client.send("three").unwrap();
    assert_eq!(client.trace(1), ["message three"]);
    assert!(client.close(1001).unwrap().unwrap().clean);
    assert_eq!(client.trace(9), ["1001: Done, over", "gave up: Done"]);
    assert_eq!(client.trace(9), [""; 0]);
    assert!(client.send("too late").unwrap_err().is_misuse());
    assert_eq!(client.close(1000).unwrap(), None);
}

fn transient_close_codes_reconnect<C: Client>() {
    let codes = [1001, 1011, 1012, 1014, 3008, 4000];
    let (address, _requests) = serve(codes.map(|code| Close("", code)));
    let mut client = C::new(Setup::new(address));
    for code in codes {
        let trace = client.trace(3);
        assert!(trace[0].starts_with("connecting "), "{trace:?}");
        assert_eq!(trace[1], "connected 101");
        let ending = format!("{code}: Transient, in ");
        assert!(trace[2].starts_with(&ending), "{trace:?}");
    }
}

fn fatal_close_codes_end_it<C: Client>() {
    for code in [1002, 1003, 1007, 1008, 1009, 1010, 3000] {
        let (address, _requests) = serve([Close("last words", code)]);
        assert_eq!(
            C::new(Setup::new(address)).trace(9),
            [
                "connecting 1",
                "connected 101",
                "message last words",
                &format!("{code}: Fatal, over"),
                "gave up: Fatal"
            ]
        );
    }
}

fn fatal_statuses_end_it<C: Client>() {
    for status in [301, 400, 401, 403, 404, 407, 426] {
        let (address, _requests) = serve([Refuse(status)]);
        let refused = format!("{status}: Fatal, over");
        let trace = C::new(Setup::new(address)).trace(9);
        assert_eq!(trace, ["connecting 1", &refused, "gave up: Fatal"]);
    }
}

fn a_normal_close_of_the_server_ends_it_unless_the_rule_says_otherwise<C: Client>() {
    let (address, _requests) = serve([Close("", 1000)]);
    assert_eq!(
        C::new(Setup::new(address)).trace(9),
        [
            "connecting 1",
            "connected 101",
            "1000: Done, over",
            "gave up: Done"
        ]
    );
    let (address, _requests) = serve([Close("", 1000), Close("", 1000), Close("", 4001)]);
    let setup = Setup::new(address).with_rule(|cause, class| match cause.close_code() {
        Some(CloseCode::NORMAL) => Class::Transient,
        Some(code) if u16::from(code) == 4001 => Class::Fatal,
        _ => class,
    });
    assert_eq!(
        C::new(setup).trace(20),
        [
            "connecting 1",
            "connected 101",
            "1000: Transient, in 2ms",
            "connecting 2",
            "connected 101",
            "1000: Transient, in 4ms",
            "connecting 3",
            "connected 101",
            "4001: Fatal, over",
            "gave up: Fatal",
        ]
    );
}

fn closing_ends_it_whatever_the_rule_says<C: Client>() {
    let (address, _requests) = serve([Echo]);
    let mut client = C::new(Setup::new(address).with_rule(|_, _| Class::Transient));
    client.trace(2);
    assert_eq!(
        client.close(1000).unwrap().unwrap().code(),
        CloseCode::NORMAL
    );
    assert_eq!(client.trace(9), ["1000: Done, over", "gave up: Done"]);
}

fn closing_without_a_connection_ends_it_too<C: Client>() {
    let (address, requests) = serve([Refuse(503), Echo]);
    // Before anything, while it connects, and while it waits.
    for updates in 0..=2 {
        let mut client = C::new(Setup::new(address));
        client.trace(updates);
        assert_eq!(client.close(1000).unwrap(), None);
        assert_eq!(client.trace(9), ["gave up: Done"]);
    }
    assert_eq!(requests.try_iter().collect::<Vec<_>>(), ["1"]);
}

fn a_misused_close_changes_nothing<C: Client>() {
    let (address, _requests) = serve([Drop(""), Echo]);
    let mut client = C::new(Setup::new(address));
    client.trace(2);
    assert!(client.close(1006).unwrap_err().is_misuse());
    assert_eq!(
        client.trace(3),
        ["1006: Transient, in 2ms", "connecting 2", "connected 101"]
    );
}

/// A port where nobody listens.
fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn nobody_listens_and_the_retries_are_used_up<C: Client>() {
    let setup = Setup::new(nowhere()).with_backoff(|backoff| backoff.with_max_retries(Some(2)));
    assert_eq!(
        C::new(setup).trace(20),
        [
            "connecting 1",
            "ConnectionRefused: Transient, in 2ms",
            "connecting 2",
            "ConnectionRefused: Transient, in 4ms",
            "connecting 3",
            "ConnectionRefused: Transient, over",
            "gave up: Retries",
        ]
    );
}

fn the_time_is_used_up<C: Client>() {
    let limit = Some(Duration::from_millis(50));
    let setup = Setup::new(nowhere()).with_backoff(|backoff| backoff.with_max_time(limit));
    let trace = C::new(setup).trace(100);
    assert_eq!(trace.last().unwrap(), "gave up: Time");
    assert!((5..20).contains(&trace.len()), "{trace:?}");
}

fn the_hook_makes_a_fresh_request_each_time<C: Client>() {
    let (address, requests) = serve([Refuse(503), Hang, Drop(""), Echo]);
    let mut client = C::new(Setup::new(address));
    while client.trace(1) != ["message done"] {
        let _early = client.send("done");
    }
    assert_eq!(
        requests.try_iter().collect::<Vec<_>>(),
        ["1", "2", "3", "4"]
    );
}

fn a_hook_that_fails_is_a_failed_attempt<C: Client>() {
    let setup = Setup::new(nowhere()).with_hook(|attempt| match attempt {
        1 => Err(io::Error::other("the tokens' server has a bad day").into()),
        2 => Err(io::Error::from(ErrorKind::PermissionDenied).into()),
        _ => Ok(ClientRequest::new("https://example.com/")?),
    });
    let setup = setup.with_rule(|cause, class| match cause {
        Cause::Failed(SocketError::Io(error)) if error.kind() == ErrorKind::PermissionDenied => {
            Class::Transient
        }
        _ => class,
    });
    assert_eq!(
        C::new(setup).trace(20),
        [
            "connecting 1",
            "Other: Transient, in 2ms",
            "connecting 2",
            "PermissionDenied: Transient, in 4ms",
            "connecting 3",
            "Url(Scheme): Misuse, over",
            "gave up: Misuse",
        ]
    );
}

fn a_rule_may_retry_what_is_fatal<C: Client>() {
    let (address, _requests) = serve([Refuse(401), Refuse(401)]);
    // A token may be refused once.
    let mut refusals = 0;
    let setup = Setup::new(address).with_rule(move |cause, class| {
        let is_refused = cause
            .response()
            .is_some_and(|response| response.status() == 401);
        refusals += u32::from(is_refused);
        match refusals {
            1 => Class::Transient,
            _ => class,
        }
    });
    assert_eq!(
        C::new(setup).trace(20),
        [
            "connecting 1",
            "401: Transient, in 2ms",
            "connecting 2",
            "401: Fatal, over",
            "gave up: Fatal"
        ]
    );
}

fn a_stable_connection_starts_anew<C: Client>() {
    let (address, _requests) = serve([Refuse(503), Drop(""), Drop(""), Echo]);
    let setup = Setup::new(address).with_backoff(|backoff| backoff.with_stable(Duration::ZERO));
    assert_eq!(
        C::new(setup).trace(10),
        [
            "connecting 1",
            "503: Overloaded { retry_after: None }, in 3ms",
            "connecting 2",
            "connected 101",
            "1006: Transient, in 2ms",
            "connecting 2",
            "connected 101",
            "1006: Transient, in 2ms",
            "connecting 2",
            "connected 101",
        ]
    );
}

fn a_detached_connection_comes_back_as_its_end<C: Client>() {
    let (address, _requests) = serve([Echo, Echo]);
    let mut client = C::new(Setup::new(address).with_rule(|_, _| Class::Transient));
    client.trace(2);
    let lost = client.close_elsewhere().unwrap();
    assert!(matches!(lost.cause, Cause::Closed(closed) if closed.clean));
    assert_eq!(lost.retry_in, Some(Duration::from_millis(2)));
    assert_eq!(client.trace(2), ["connecting 2", "connected 101"]);
    assert!(client.steal());
    assert!(!client.steal());
    assert!(client.send("where to?").unwrap_err().is_misuse());
    assert_eq!(client.trace(1), ["Connection(Eof): Transient, in 4ms"]);
}

// ---- what futures have

/// A future that is dropped again and again goes on with the one attempt, and with the one wait.
#[test]
fn cancelling_loses_nothing() {
    let (address, requests) = serve([Refuse(503), Slow(Duration::from_millis(100))]);
    let setup = Setup::new(address).with_backoff(|backoff| {
        let delay = Duration::from_millis(100);
        backoff.with_first(delay).with_cap(delay)
    });
    let mut client = on_tokio(setup);
    let mut builder = ::tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(async {
        let mut trace = Vec::new();
        let mut cancelled = 0;
        while trace.len() < 5 {
            let patience = Duration::from_millis(5);
            match ::tokio::time::timeout(patience, client.recv()).await {
                Ok(update) => trace.push(show(&update.unwrap())),
                Err(_) => cancelled += 1,
            }
            if client.is_connected() {
                client.send("again").await.unwrap();
            }
            assert!(cancelled < 1000, "no progress");
        }
        assert!(cancelled >= 10, "{cancelled}");
        assert_eq!(
            trace,
            [
                "connecting 1",
                "503: Overloaded { retry_after: None }, in 75ms",
                "connecting 2",
                "connected 101",
                "message again",
            ]
        );
    });
    assert_eq!(requests.try_iter().collect::<Vec<_>>(), ["1", "2"]);
}

/// The end of a connection is an update, also for who has seen it on the connection itself.
#[test]
fn the_end_is_told_again() {
    let (address, _requests) = serve([Close("one", 1012), Drop("two"), Echo]);
    let mut client = on_tokio(Setup::new(address));
    let mut builder = ::tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(async {
        let mut trace = Vec::new();
        while trace.len() < 8 {
            trace.push(show(&client.recv().await.unwrap()));
            if let Some(ws) = client.websocket() {
                if trace.len() < 8 {
                    while let Ok(Some(_event)) = ws.recv_event().await {}
                }
            }
        }
        assert_eq!(
            trace,
            [
                "connecting 1",
                "connected 101",
                "1012: Transient, in 2ms",
                "connecting 2",
                "connected 101",
                "1006: Transient, in 4ms",
                "connecting 3",
                "connected 101",
            ]
        );
    });
}

/// Closing while an attempt is under way drops the attempt, and does not wait for it.
#[test]
fn closing_drops_an_attempt() {
    let (alive, dropped) = mpsc::channel::<()>();
    let mut client = tokio::reconnect_with(move || {
        let alive = alive.clone();
        async move {
            std::future::pending::<()>().await;
            drop(alive);
            let stream = ::tokio::net::TcpStream::connect(nowhere()).await?;
            tokio::client(stream, &ClientRequest::new("ws://example.com/")?, &config()).await
        }
    });
    let mut builder = ::tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(async {
        client.recv().await.unwrap();
        let short = Duration::from_millis(1);
        ::tokio::time::timeout(short, client.recv())
            .await
            .unwrap_err();
        assert_eq!(dropped.try_recv(), Err(mpsc::TryRecvError::Empty));
        assert_eq!(client.close(CloseCode::NORMAL, "").await.unwrap(), None);
        assert_eq!(dropped.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        assert!(matches!(client.recv().await, Some(Update::GaveUp(_))));
    });
}

/// A `close` that is dropped ends it all the same.
#[test]
fn cancelling_a_close_ends_it() {
    let (address, _requests) = serve([Echo]);
    let mut client = on_tokio(Setup::new(address).with_rule(|_, _| Class::Transient));
    let mut builder = ::tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(async {
        while !client.is_connected() {
            client.recv().await.unwrap();
        }
        {
            let mut close = std::pin::pin!(client.close(CloseCode::NORMAL, ""));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(close.as_mut().poll(&mut context).is_pending());
        }
        let mut trace = Vec::new();
        while let Some(update) = client.recv().await {
            trace.push(show(&update));
        }
        assert_eq!(trace, ["1000: Done, over", "gave up: Done"]);
    });
}

/// The waits are on tokio's clock, so that the tests of applications can wind it on.
#[test]
fn waits_on_the_clock_of_the_runtime() {
    type Dialed = (
        sockeye::WebSocket<tokio::TokioIo<::tokio::net::TcpStream>>,
        sockeye::handshake::Response,
    );
    let refused = || Err(io::Error::from(ErrorKind::ConnectionRefused).into());
    let client = tokio::reconnect_with(move || std::future::ready::<Result<Dialed, _>>(refused()));
    let day = Duration::from_secs(24 * 60 * 60);
    let mut client = client
        .with_backoff(Backoff::new().with_max_time(Some(day)))
        .with_random(|| u64::MAX);
    let mut builder = ::tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let start = ::tokio::time::Instant::now();
        let mut waited = Duration::ZERO;
        let mut reason = None;
        while let Some(update) = client.recv().await {
            match update {
                Update::Disconnected(lost) => waited += lost.retry_in.unwrap_or_default(),
                Update::GaveUp(why) => reason = Some(why),
                _ => {}
            }
        }
        assert_eq!(reason, Some(sockeye::backoff::GiveUp::Time));
        let elapsed = start.elapsed();
        assert!(elapsed >= waited, "{elapsed:?}");
        // Of a day, less than the longest delay is left.
        assert!(
            elapsed > day - Duration::from_secs(60) && elapsed <= day,
            "{elapsed:?}"
        );
    });
}

/// Over a transport that is made by hand, as a stream, and in a task.
#[test]
fn a_spawned_stream_over_any_transport() {
    use futures_util::StreamExt;

    let (address, _requests) = serve([Drop("one"), Close("two", 1000)]);
    let client = tokio::reconnect_with(move || async move {
        let stream = ::tokio::net::TcpStream::connect(address).await?;
        let request = ClientRequest::new("wss://example.com/")?;
        tokio::client(stream, &request, &Config::new()).await
    });
    let quick = Backoff::new().with_first(Duration::from_millis(1));
    let client = client.with_backoff(quick);
    let runtime = ::tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let task = runtime.spawn(client.map(|update| show(&update)).collect::<Vec<_>>());
    let trace = runtime.block_on(task).unwrap();
    assert_eq!(trace.len(), 9, "{trace:?}");
    assert_eq!(trace[2], "message one");
    assert_eq!(trace[8], "gave up: Done");
}
