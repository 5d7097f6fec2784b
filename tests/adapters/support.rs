//! One face for the three adapters, and peers without any adapter.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sockeye::blocking::ClientStream;
use sockeye::handshake::{Acceptance, ClientRequest, Refusal, Request, Response};
use sockeye::{
    CloseCode, Closed, Config, Event, Kind, Limits, Message, Payload, ReadIo, Received, Rtt,
    SendOptions, Sender, SocketError, State, Timeouts, Unsent, WriteIo, blocking, futures, mask,
};

/// Long enough for anything but a hang.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) type Outcome<T> = Result<T, SocketError>;

/// Runs a scenario that must end.
pub(crate) fn bounded(scenario: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let runner = thread::spawn(move || {
        scenario();
        let _gone = done.send(());
    });
    match wait.recv_timeout(LIMIT) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the scenario hangs"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {}
    }
    if let Err(panic) = runner.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A connection of any adapter.
pub(crate) trait Ws: Sized + 'static {
    async fn recv(&mut self) -> Outcome<Option<Message<'static>>>;
    async fn recv_event(&mut self) -> Outcome<Option<Event<'static>>>;
    async fn recv_with<T>(
        &mut self,
        handle: impl FnOnce(Event<'_>, &mut Sender) -> T,
    ) -> Outcome<Option<T>>;
    async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Outcome<()>;
    async fn feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Outcome<()>;
    async fn flush(&mut self) -> Outcome<()>;
    async fn drained(&mut self) -> Outcome<()>;
    fn try_feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), Unsent<Message<'p>>>;
    fn queued_age(&mut self) -> Option<Duration>;
    async fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Outcome<()>;
    async fn ping(&mut self, payload: &[u8]) -> Outcome<()>;
    async fn probe(&mut self) -> Outcome<()>;
    fn rtt(&self) -> Option<Rtt>;
    async fn close(&mut self, code: CloseCode, reason: &str) -> Outcome<Closed>;
    fn closed(&self) -> Option<Closed>;
    fn state(&self) -> State;
    fn queued(&self) -> usize;
    fn set_limits(&mut self, limits: &Limits);
    fn received(&self) -> Received;
    fn subprotocol(&self) -> Option<&str>;
}

impl<I: ReadIo + WriteIo + 'static> Ws for sockeye::WebSocket<I> {
    async fn recv(&mut self) -> Outcome<Option<Message<'static>>> {
        self.recv().await
    }
    async fn recv_event(&mut self) -> Outcome<Option<Event<'static>>> {
        self.recv_event().await
    }
    async fn recv_with<T>(
        &mut self,
        handle: impl FnOnce(Event<'_>, &mut Sender) -> T,
    ) -> Outcome<Option<T>> {
        self.recv_with(handle).await
    }
    async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Outcome<()> {
        self.send(message).await
    }
    async fn feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Outcome<()> {
        self.feed(message).await
    }
    async fn flush(&mut self) -> Outcome<()> {
        self.flush().await
    }
    async fn drained(&mut self) -> Outcome<()> {
        self.drained().await
    }
    fn try_feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.try_feed_with(message, options)
    }
    fn queued_age(&mut self) -> Option<Duration> {
        self.queued_age()
    }
    async fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Outcome<()> {
        self.send_fragment(kind, payload, fin).await
    }
    async fn ping(&mut self, payload: &[u8]) -> Outcome<()> {
        self.ping(payload).await
    }
    async fn probe(&mut self) -> Outcome<()> {
        self.probe().await
    }
    fn rtt(&self) -> Option<Rtt> {
        self.rtt()
    }
    async fn close(&mut self, code: CloseCode, reason: &str) -> Outcome<Closed> {
        self.close(code, reason).await
    }
    fn closed(&self) -> Option<Closed> {
        self.closed()
    }
    fn state(&self) -> State {
        self.state()
    }
    fn queued(&self) -> usize {
        self.queued()
    }
    fn set_limits(&mut self, limits: &Limits) {
        self.set_limits(limits);
    }
    fn received(&self) -> Received {
        self.received()
    }
    fn subprotocol(&self) -> Option<&str> {
        self.negotiated().subprotocol()
    }
}

impl Ws for blocking::WebSocket<ClientStream> {
    async fn recv(&mut self) -> Outcome<Option<Message<'static>>> {
        self.recv()
    }
    async fn recv_event(&mut self) -> Outcome<Option<Event<'static>>> {
        self.recv_event()
    }
    async fn recv_with<T>(
        &mut self,
        handle: impl FnOnce(Event<'_>, &mut Sender) -> T,
    ) -> Outcome<Option<T>> {
        self.recv_with(handle)
    }
    async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Outcome<()> {
        self.send(message)
    }
    async fn feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Outcome<()> {
        self.feed(message)
    }
    async fn flush(&mut self) -> Outcome<()> {
        self.flush()
    }
    async fn drained(&mut self) -> Outcome<()> {
        self.drained()
    }
    fn try_feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.try_feed_with(message, options)
    }
    fn queued_age(&mut self) -> Option<Duration> {
        self.queued_age()
    }
    async fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Outcome<()> {
        self.send_fragment(kind, payload, fin)
    }
    async fn ping(&mut self, payload: &[u8]) -> Outcome<()> {
        self.ping(payload)
    }
    async fn probe(&mut self) -> Outcome<()> {
        self.probe()
    }
    fn rtt(&self) -> Option<Rtt> {
        self.rtt()
    }
    async fn close(&mut self, code: CloseCode, reason: &str) -> Outcome<Closed> {
        self.close(code, reason)
    }
    fn closed(&self) -> Option<Closed> {
        self.closed()
    }
    fn state(&self) -> State {
        self.state()
    }
    fn queued(&self) -> usize {
        self.queued()
    }
    fn set_limits(&mut self, limits: &Limits) {
        self.set_limits(limits);
    }
    fn received(&self) -> Received {
        self.received()
    }
    fn subprotocol(&self) -> Option<&str> {
        self.negotiated().subprotocol()
    }
}

/// A receiving half of any adapter.
pub(crate) trait Rx: 'static {
    async fn recv(&mut self) -> Outcome<Option<Message<'static>>>;
    async fn recv_event(&mut self) -> Outcome<Option<Event<'static>>>;
    fn closed(&mut self) -> Option<Closed>;
}

/// A sending half of any adapter.
pub(crate) trait Tx: 'static {
    async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Outcome<()>;
    fn try_feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), Unsent<Message<'p>>>;
    async fn flush(&mut self) -> Outcome<()>;
    fn set_limits(&mut self, limits: &Limits);
    async fn ping(&mut self, payload: &[u8]) -> Outcome<()>;
    async fn probe(&mut self) -> Outcome<()>;
    fn rtt(&self) -> Option<Rtt>;
    async fn close(&mut self, code: CloseCode, reason: &str) -> Outcome<()>;
    fn closed(&self) -> Option<Closed>;
}

impl<R: ReadIo + 'static, W: WriteIo + 'static> Rx for sockeye::ReceiveHalf<R, W> {
    async fn recv(&mut self) -> Outcome<Option<Message<'static>>> {
        self.recv().await
    }
    async fn recv_event(&mut self) -> Outcome<Option<Event<'static>>> {
        self.recv_event().await
    }
    fn closed(&mut self) -> Option<Closed> {
        self.closed()
    }
}

impl Rx for blocking::ReceiveHalf<ClientStream> {
    async fn recv(&mut self) -> Outcome<Option<Message<'static>>> {
        self.recv()
    }
    async fn recv_event(&mut self) -> Outcome<Option<Event<'static>>> {
        self.recv_event()
    }
    fn closed(&mut self) -> Option<Closed> {
        self.closed()
    }
}

impl<W: WriteIo + 'static> Tx for sockeye::SendHalf<W> {
    async fn flush(&mut self) -> Outcome<()> {
        self.flush().await
    }
    fn try_feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), Unsent<Message<'p>>> {
        self.try_feed(message)
    }
    fn set_limits(&mut self, limits: &Limits) {
        self.set_limits(limits);
    }
    fn closed(&self) -> Option<Closed> {
        self.closed()
    }
    async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Outcome<()> {
        self.send(message).await
    }
    async fn ping(&mut self, payload: &[u8]) -> Outcome<()> {
        self.ping(payload).await
    }
    async fn probe(&mut self) -> Outcome<()> {
        self.probe().await
    }
    fn rtt(&self) -> Option<Rtt> {
        self.rtt()
    }
    async fn close(&mut self, code: CloseCode, reason: &str) -> Outcome<()> {
        self.close(code, reason).await
    }
}

impl Tx for blocking::SendHalf<ClientStream> {
    async fn flush(&mut self) -> Outcome<()> {
        self.flush()
    }
    fn try_feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), Unsent<Message<'p>>> {
        self.try_feed(message)
    }
    fn set_limits(&mut self, limits: &Limits) {
        self.set_limits(limits);
    }
    fn closed(&self) -> Option<Closed> {
        self.closed()
    }
    async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Outcome<()> {
        self.send(message)
    }
    async fn ping(&mut self, payload: &[u8]) -> Outcome<()> {
        self.ping(payload)
    }
    async fn probe(&mut self) -> Outcome<()> {
        self.probe()
    }
    fn rtt(&self) -> Option<Rtt> {
        self.rtt()
    }
    async fn close(&mut self, code: CloseCode, reason: &str) -> Outcome<()> {
        self.close(code, reason)
    }
}

/// A request of a client's on any adapter.
pub(crate) trait Up: Sized {
    type Ws: Ws;
    fn request(&self) -> &Request;
    async fn accept(self, acceptance: Acceptance) -> Outcome<Self::Ws>;
    async fn reject(self, refusal: Refusal) -> Outcome<()>;
}

impl<I: ReadIo + WriteIo + 'static> Up for sockeye::Upgrade<I> {
    type Ws = sockeye::WebSocket<I>;
    fn request(&self) -> &Request {
        self.request()
    }
    async fn accept(self, acceptance: Acceptance) -> Outcome<Self::Ws> {
        self.accept(acceptance).await
    }
    async fn reject(self, refusal: Refusal) -> Outcome<()> {
        self.reject(refusal).await
    }
}

impl Up for blocking::Upgrade<ClientStream> {
    type Ws = blocking::WebSocket<ClientStream>;
    fn request(&self) -> &Request {
        self.request()
    }
    async fn accept(self, acceptance: Acceptance) -> Outcome<Self::Ws> {
        self.accept(acceptance)
    }
    async fn reject(self, refusal: Refusal) -> Outcome<()> {
        self.reject(refusal)
    }
}

/// One of the three.
pub(crate) trait Adapter: 'static {
    type Ws: Ws;
    type Up: Up<Ws = Self::Ws>;
    type Rx: Rx + Send;
    type Tx: Tx + Send;

    fn run<F: Future>(future: F) -> F::Output;
    async fn connect(url: &str) -> Outcome<Self::Ws>;
    async fn connect_with(
        request: &ClientRequest,
        config: &Config,
    ) -> Outcome<(Self::Ws, Response)>;
    async fn accept(stream: TcpStream, config: &Config) -> Outcome<Self::Ws>;
    async fn receive(stream: TcpStream, config: &Config) -> Outcome<Self::Up>;
    async fn receive_any(stream: TcpStream, config: &Config) -> Outcome<Self::Up>;
    fn split(ws: Self::Ws) -> (Self::Rx, Self::Tx);
    fn has_nodelay(ws: &Self::Ws) -> bool;

    /// Runs two tasks, or threads, to their ends.
    async fn both<A, B, FA, FB>(first: A, second: B) -> (FA::Output, FB::Output)
    where
        A: FnOnce() -> FA + Send + 'static,
        B: FnOnce() -> FB + Send + 'static,
        FA: Future<Output: Send> + 'static,
        FB: Future<Output: Send> + 'static;
}

pub(crate) struct Tokio;
pub(crate) struct Futures;
pub(crate) struct Blocking;

impl Tokio {
    pub(crate) fn stream(stream: TcpStream) -> tokio::net::TcpStream {
        stream.set_nonblocking(true).unwrap();
        tokio::net::TcpStream::from_std(stream).unwrap()
    }
}

impl Adapter for Tokio {
    type Ws = sockeye::WebSocket<sockeye::tokio::TokioIo<sockeye::tokio::ClientStream>>;
    type Up = sockeye::Upgrade<sockeye::tokio::TokioIo<sockeye::tokio::ClientStream>>;
    type Rx = sockeye::ReceiveHalf<
        sockeye::tokio::TokioIo<tokio::io::ReadHalf<sockeye::tokio::ClientStream>>,
        sockeye::tokio::TokioIo<tokio::io::WriteHalf<sockeye::tokio::ClientStream>>,
    >;
    type Tx = sockeye::SendHalf<
        sockeye::tokio::TokioIo<tokio::io::WriteHalf<sockeye::tokio::ClientStream>>,
    >;

    fn run<F: Future>(future: F) -> F::Output {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(future)
    }
    async fn connect(url: &str) -> Outcome<Self::Ws> {
        sockeye::tokio::connect(url).await
    }
    async fn connect_with(
        request: &ClientRequest,
        config: &Config,
    ) -> Outcome<(Self::Ws, Response)> {
        sockeye::tokio::connect_with(request, config).await
    }
    async fn accept(stream: TcpStream, config: &Config) -> Outcome<Self::Ws> {
        sockeye::tokio::accept(
            sockeye::tokio::ClientStream::from(Self::stream(stream)),
            config,
        )
        .await
    }
    async fn receive(stream: TcpStream, config: &Config) -> Outcome<Self::Up> {
        sockeye::tokio::receive(Self::stream(stream).into(), config).await
    }
    async fn receive_any(stream: TcpStream, config: &Config) -> Outcome<Self::Up> {
        sockeye::tokio::receive_any(Self::stream(stream).into(), config).await
    }
    fn split(ws: Self::Ws) -> (Self::Rx, Self::Tx) {
        ws.split()
    }
    fn has_nodelay(ws: &Self::Ws) -> bool {
        ws.io().stream().tcp().unwrap().nodelay().unwrap()
    }
    async fn both<A, B, FA, FB>(first: A, second: B) -> (FA::Output, FB::Output)
    where
        A: FnOnce() -> FA + Send + 'static,
        B: FnOnce() -> FB + Send + 'static,
        FA: Future<Output: Send> + 'static,
        FB: Future<Output: Send> + 'static,
    {
        let tasks = tokio::task::LocalSet::new();
        let first = tasks.spawn_local(first());
        let second = tasks.spawn_local(second());
        let (first, second) = tasks.run_until(async { tokio::join!(first, second) }).await;
        (first.unwrap(), second.unwrap())
    }
}

type SmolIo = futures::FuturesIo<futures::ClientStream>;

impl Futures {
    fn stream(stream: TcpStream) -> futures::ClientStream {
        smol::net::TcpStream::try_from(stream).unwrap().into()
    }
}

impl Adapter for Futures {
    type Ws = sockeye::WebSocket<SmolIo>;
    type Up = sockeye::Upgrade<SmolIo>;
    type Rx = sockeye::ReceiveHalf<
        futures::FuturesIo<futures::SharedStream<futures::ClientStream>>,
        futures::FuturesIo<futures::SharedStream<futures::ClientStream>>,
    >;
    type Tx = sockeye::SendHalf<futures::FuturesIo<futures::SharedStream<futures::ClientStream>>>;

    fn run<F: Future>(future: F) -> F::Output {
        smol::block_on(future)
    }
    async fn connect(url: &str) -> Outcome<Self::Ws> {
        futures::connect(url).await
    }
    async fn connect_with(
        request: &ClientRequest,
        config: &Config,
    ) -> Outcome<(Self::Ws, Response)> {
        futures::connect_with(request, config).await
    }
    async fn accept(stream: TcpStream, config: &Config) -> Outcome<Self::Ws> {
        futures::accept(Self::stream(stream), config).await
    }
    async fn receive(stream: TcpStream, config: &Config) -> Outcome<Self::Up> {
        futures::receive(Self::stream(stream), config).await
    }
    async fn receive_any(stream: TcpStream, config: &Config) -> Outcome<Self::Up> {
        futures::receive_any(Self::stream(stream), config).await
    }
    fn split(ws: Self::Ws) -> (Self::Rx, Self::Tx) {
        ws.split()
    }
    fn has_nodelay(ws: &Self::Ws) -> bool {
        ws.io().stream().tcp().unwrap().nodelay().unwrap()
    }
    async fn both<A, B, FA, FB>(first: A, second: B) -> (FA::Output, FB::Output)
    where
        A: FnOnce() -> FA + Send + 'static,
        B: FnOnce() -> FB + Send + 'static,
        FA: Future<Output: Send> + 'static,
        FB: Future<Output: Send> + 'static,
    {
        let tasks = smol::LocalExecutor::new();
        let first = tasks.spawn(first());
        let second = tasks.spawn(second());
        tasks.run(async { (first.await, second.await) }).await
    }
}

impl Adapter for Blocking {
    type Ws = blocking::WebSocket<ClientStream>;
    type Up = blocking::Upgrade<ClientStream>;
    type Rx = blocking::ReceiveHalf<ClientStream>;
    type Tx = blocking::SendHalf<ClientStream>;

    fn run<F: Future>(future: F) -> F::Output {
        smol::block_on(future)
    }
    async fn connect(url: &str) -> Outcome<Self::Ws> {
        blocking::connect(url)
    }
    async fn connect_with(
        request: &ClientRequest,
        config: &Config,
    ) -> Outcome<(Self::Ws, Response)> {
        blocking::connect_with(request, config)
    }
    async fn accept(stream: TcpStream, config: &Config) -> Outcome<Self::Ws> {
        blocking::accept(stream.into(), config)
    }
    async fn receive(stream: TcpStream, config: &Config) -> Outcome<Self::Up> {
        blocking::Upgrade::receive(stream.into(), config)
    }
    async fn receive_any(stream: TcpStream, config: &Config) -> Outcome<Self::Up> {
        blocking::Upgrade::receive_any(stream.into(), config)
    }
    fn split(ws: Self::Ws) -> (Self::Rx, Self::Tx) {
        ws.split().unwrap()
    }
    fn has_nodelay(ws: &Self::Ws) -> bool {
        ws.stream().tcp().unwrap().nodelay().unwrap()
    }
    async fn both<A, B, FA, FB>(first: A, second: B) -> (FA::Output, FB::Output)
    where
        A: FnOnce() -> FA + Send + 'static,
        B: FnOnce() -> FB + Send + 'static,
        FA: Future<Output: Send> + 'static,
        FB: Future<Output: Send> + 'static,
    {
        let first = thread::spawn(move || Self::run(first()));
        let second = Self::run(second());
        (first.join().unwrap(), second)
    }
}

pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Settings whose deadlines a test can wait for.
pub(crate) fn hasty() -> Config {
    let short = Some(Duration::from_millis(200));
    Config::new().with_timeouts(Timeouts::new().with_handshake(short).with_close(short))
}

/// Runs a server and a client at the same time, each on a thread and a runtime of its own.
pub(crate) fn serve<A: Adapter, S, C, FS, FC>(
    config: Config,
    server: S,
    client: C,
) -> (FS::Output, FC::Output)
where
    S: FnOnce(A::Ws) -> FS + Send + 'static,
    C: FnOnce(A::Ws) -> FC,
    FS: Future<Output: Send + 'static>,
    FC: Future,
{
    let (listener, address) = listen();
    let server_config = config.clone();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        A::run(async {
            let ws = A::accept(stream, &server_config).await.unwrap();
            server(ws).await
        })
    });
    let output = A::run(async {
        let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
        let (ws, _) = A::connect_with(&request, &config).await.unwrap();
        client(ws).await
    });
    (serving.join().unwrap(), output)
}

/// A connection to a raw peer, which speaks frames by hand. The adapter is the server.
pub(crate) fn serve_raw<A: Adapter, S, FS, T>(
    config: Config,
    server: S,
    client: impl FnOnce(TcpStream) -> T,
) -> (FS::Output, T)
where
    S: FnOnce(A::Ws) -> FS + Send + 'static,
    FS: Future<Output: Send + 'static>,
{
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        A::run(async {
            let ws = A::accept(stream, &config).await.unwrap();
            server(ws).await
        })
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(REQUEST).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 101 "));
    let output = client(stream);
    (serving.join().unwrap(), output)
}

pub(crate) const REQUEST: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Reads up to the empty line.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A frame of a client's, with a mask.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [7, 77, 177, 17];
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xFFFF => {
            frame.push(0xFE);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(0xFF);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    let start = frame.len();
    frame.extend(payload);
    mask::Mask::new(KEY).apply(&mut frame[start..]);
    frame
}

/// Reads a frame without a mask: its first byte and its payload. `None` at the end of the stream.
pub(crate) fn read_frame(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    if stream.read(&mut head[..1]).expect("no reset") == 0 {
        return None;
    }
    stream.read_exact(&mut head[1..]).unwrap();
    let len = match head[1] {
        126 => {
            let mut len = [0; 2];
            stream.read_exact(&mut len).unwrap();
            u64::from(u16::from_be_bytes(len))
        }
        127 => {
            let mut len = [0; 8];
            stream.read_exact(&mut len).unwrap();
            u64::from_be_bytes(len)
        }
        len => u64::from(len),
    };
    let mut payload = vec![0; usize::try_from(len).unwrap()];
    stream.read_exact(&mut payload).unwrap();
    Some((head[0], payload))
}

/// Bytes that differ along the way.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Sends back what comes, until the connection ends.
pub(crate) async fn echo<W: Ws>(mut ws: W) -> Option<Closed> {
    loop {
        let event = ws.recv_with(|event, sender| {
            if let Ok(message) = event.into_message() {
                sender.send(message).unwrap();
            }
        });
        if event.await.unwrap().is_none() {
            return ws.closed();
        }
    }
}
