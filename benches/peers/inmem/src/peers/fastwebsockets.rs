use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use fastwebsockets::upgrade::upgrade;
use fastwebsockets::{FragmentCollector, Frame, Payload, Role as Side, WebSocket};
use http::Request;
use http_body_util::Empty;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use crate::io::{MemIo, run, waits};
use crate::peer::{Abilities, Peer, Role, Setup};
use crate::upgrade;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

pub struct FastWebSockets(FragmentCollector<MemIo>);

impl Peer for FastWebSockets {
    const NAME: &'static str = "fastwebsockets";
    const ABILITIES: Abilities = Abilities::NO_DEFLATE;
    type Server = WebSocket<TokioIo<Upgraded>>;
    type Client = WebSocket<TokioIo<Upgraded>>;

    fn open(io: MemIo, setup: Setup) -> Self {
        let side = match setup.role {
            Role::Server => Side::Server,
            Role::Client => Side::Client,
        };
        Self(FragmentCollector::new(WebSocket::after_handshake(io, side)))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        run(async {
            for _ in 0..count {
                let frame = self.0.read_frame().await.expect("valid frames");
                visit(&frame.payload);
            }
        });
    }

    /// It writes every message at once.
    fn send(&mut self, payloads: &[Bytes], count: usize, _flush_every: usize) {
        run(async {
            for payload in payloads.iter().cycle().take(count) {
                let frame = Frame::binary(Payload::Borrowed(payload));
                self.0.write_frame(frame).await.expect("open");
            }
        });
    }

    fn echo(&mut self, count: usize, _flush_every: usize) {
        run(async {
            for _ in 0..count {
                let frame = self.0.read_frame().await.expect("valid frames");
                self.0.write_frame(frame).await.expect("open");
            }
        });
    }

    fn wait(&mut self) {
        assert!(waits(self.0.read_frame()));
    }

    fn accept(io: MemIo) -> Self::Server {
        let upgrading = Rc::new(RefCell::new(None));
        let service = service_fn(|mut request| {
            let (response, upgrade) = upgrade(&mut request).expect("a valid request");
            *upgrading.borrow_mut() = Some(upgrade);
            async move { Ok::<_, Infallible>(response) }
        });
        run(async {
            let served = http1::Builder::new()
                .serve_connection(TokioIo::new(io), service)
                .with_upgrades();
            served.await.expect("a valid request");
            let upgrade = upgrading.take().expect("a request");
            upgrade.await.expect("an upgrade")
        })
    }

    fn connect(io: MemIo) -> Self::Client {
        let request = Request::get(upgrade::URL)
            .header("Host", upgrade::HOST)
            .header("Upgrade", "websocket")
            .header("Connection", "upgrade")
            .header(
                "Sec-WebSocket-Key",
                fastwebsockets::handshake::generate_key(),
            )
            .header("Sec-WebSocket-Version", "13")
            .body(Empty::<Bytes>::new())
            .expect("a valid request");
        let beside = Beside::default();
        let mut handshake = pin!(fastwebsockets::handshake::client(&beside, request, io));
        run(poll_fn(|cx| {
            if let Poll::Ready(connected) = handshake.as_mut().poll(cx) {
                return Poll::Ready(connected.expect("a valid answer").0);
            }
            let mut tasks = beside.0.borrow_mut();
            tasks.retain_mut(|task| task.as_mut().poll(cx).is_pending());
            Poll::Pending
        }))
    }
}

/// Runs the task of its client's handshake beside it, without a runtime.
#[derive(Clone, Default)]
struct Beside(Rc<RefCell<Vec<Task>>>);

impl hyper::rt::Executor<Task> for Beside {
    fn execute(&self, task: Task) {
        self.0.borrow_mut().push(task);
    }
}
