//! The server that most of the tests have behind or beyond a proxy.

use std::net::SocketAddr;

use sockeye::handshake::{Acceptance, ClientRequest, Request, Response};
use sockeye::tokio::{ClientStream, TokioIo};
use sockeye::{CloseCode, Closed, Config, Message, SocketError, WebSocket};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

pub(crate) type Socket = WebSocket<TokioIo<ClientStream>>;

/// What became of a connection.
pub(crate) enum Report {
    Asked(Box<Request>),
    Ended(Result<Closed, SocketError>),
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    reports: mpsc::UnboundedReceiver<Report>,
    drains: watch::Sender<CloseCode>,
}

impl Server {
    /// Echoes what is binary. Text is a command: `close CODE REASON`, or anything else, which is
    /// not answered.
    pub(crate) async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (report, reports) = mpsc::unbounded_channel();
        let drains = watch::Sender::new(CloseCode::NORMAL);
        let draining = drains.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, report) = (config.clone(), report.clone());
                let drain = draining.subscribe();
                tokio::spawn(async move {
                    let served = serve(stream, &config, &report, drain).await;
                    if let Some(ended) = served.transpose() {
                        let _heard = report.send(Report::Ended(ended));
                    }
                });
            }
        });
        Self {
            address,
            reports,
            drains,
        }
    }

    /// The next request.
    pub(crate) async fn asked(&mut self) -> Request {
        match self.reports.recv().await {
            Some(Report::Asked(request)) => *request,
            _ => panic!("no request"),
        }
    }

    /// Closes all connections that there are. It takes others.
    pub(crate) fn drain(&self, code: CloseCode) {
        self.drains.send_replace(code);
    }

    /// How the next connection ended.
    pub(crate) async fn ended(&mut self) -> Result<Closed, SocketError> {
        loop {
            match self.reports.recv().await {
                Some(Report::Ended(ended)) => return ended,
                Some(Report::Asked(_)) => {}
                None => panic!("no end"),
            }
        }
    }
}

/// `None` if nobody asked for anything, as when somebody looks whether the port is open.
async fn serve(
    stream: TcpStream,
    config: &Config,
    report: &mpsc::UnboundedSender<Report>,
    mut drain: watch::Receiver<CloseCode>,
) -> Result<Option<Closed>, SocketError> {
    let Ok(upgrade) = sockeye::tokio::receive(stream, config).await else {
        return Ok(None);
    };
    let request = upgrade.request().clone();
    let acceptance = request
        .subprotocols()
        .next()
        .map_or_else(Acceptance::new, |name| {
            Acceptance::new().with_subprotocol(name)
        });
    let acceptance = acceptance.with_header("X-Server", "here");
    let _heard = report.send(Report::Asked(Box::new(request)));
    let mut ws = upgrade.accept(acceptance).await?;
    loop {
        let message = tokio::select! {
            message = ws.recv() => message?,
            Ok(()) = drain.changed() => {
                let code = *drain.borrow();
                return Ok(Some(ws.close(code, "restart").await?));
            }
        };
        let Some(message) = message else { break };
        match message {
            Message::Binary(_) => ws.send(message).await?,
            Message::Text(text) => {
                if let Some((code, reason)) = text
                    .strip_prefix("close ")
                    .and_then(|command| command.split_once(' '))
                {
                    let code: u16 = code.parse().unwrap();
                    ws.close(CloseCode::from(code), reason).await?;
                    break;
                }
            }
        }
    }
    Ok(ws.closed())
}

/// Connects to `address`.
pub(crate) async fn connect(
    address: SocketAddr,
    config: &Config,
) -> Result<(Socket, Response), SocketError> {
    let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    sockeye::tokio::connect_with(&request, config).await
}

/// Sends it and waits for the same.
pub(crate) async fn echo(ws: &mut Socket, payload: &[u8]) {
    let sent = || Message::from(payload);
    // Feeding and receiving in turn: neither side waits for the other to read.
    ws.feed(sent()).await.unwrap();
    let received = ws.recv().await.unwrap().expect("an echo");
    assert!(
        received == sent(),
        "an echo of {} bytes differs",
        payload.len()
    );
}
