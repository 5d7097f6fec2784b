//! A client and a server in one process: a message there and back again.

use criterion::{Criterion, Throughput};
use sockeye::{Connection, Negotiated, RandomKeys};

use crate::payloads::{binary, size_name, take_output};
use crate::receive::receive;
use crate::{NOW, config};

pub(crate) fn pairs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo");
    for size in [16, 128, 1 << 10, 16 << 10] {
        let payload = binary(size);
        let mut pair = Pair::new();
        pair.echo(&payload, |echo| assert_eq!(echo, payload));
        group.throughput(Throughput::Bytes(2 * size as u64));
        group.bench_function(size_name(size), |bencher| {
            bencher.iter(|| pair.echo(&payload, |echo| assert_eq!(echo.len(), size)));
        });
    }
    group.finish();
}

struct Pair {
    client: Connection,
    server: Connection,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let keys = RandomKeys::new();
        Self {
            client: Connection::client(&config(), Negotiated::new(), keys, NOW),
            server: Connection::server(&config(), Negotiated::new(), NOW),
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }

    fn echo(&mut self, payload: &[u8], mut take: impl FnMut(&[u8])) {
        self.to_server.clear();
        self.to_client.clear();
        self.client.send(payload).unwrap();
        take_output(&mut self.client, &mut self.to_server);
        let server = &mut self.server;
        let mut echoes = 0;
        let mut input = sockeye::Input::new(&mut self.to_server);
        while let Some(event) = server.receive(NOW, &mut input).unwrap() {
            server.send(event.into_message().unwrap()).unwrap();
        }
        take_output(server, &mut self.to_client);
        receive(&mut self.client, &mut self.to_client, |message| {
            take(message.as_bytes());
            echoes += 1;
        });
        assert_eq!(echoes, 1);
    }
}
