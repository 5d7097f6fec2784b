//! The opening handshake, from the request to the answer.

use core::hint::black_box;

use criterion::Criterion;
use sockeye::handshake::{Acceptance, ClientHandshake, ClientRequest, ServerHandshake};
use sockeye::{Config, Input, Negotiated};

use crate::NOW;

/// In production it comes from a secure generator, a new one each time.
const NONCE: [u8; 16] = *b"the sample nonce";

pub(crate) fn handshakes(criterion: &mut Criterion) {
    let config = Config::new();
    let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
    let request = request.with_origin("http://example.com");
    let mut handshake = ClientHandshake::new(&config, &request, NONCE, NOW).unwrap();
    let mut question = handshake.poll_transmit().unwrap().to_vec();
    let mut answer = Vec::new();
    answer.extend_from_slice(&serve(&config, &mut question).1);
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(connect(&config, &request, &mut answer), Negotiated::new());

    let mut group = criterion.benchmark_group("handshake");
    group.bench_function("server", |bencher| {
        bencher.iter(|| serve(&config, black_box(&mut question)));
    });
    group.bench_function("client", |bencher| {
        bencher.iter(|| connect(&config, &request, black_box(&mut answer)));
    });
    group.finish();
}

fn serve(config: &Config, question: &mut [u8]) -> (Negotiated, bytes::Bytes) {
    let mut handshake = ServerHandshake::new(config, NOW);
    let request = handshake.receive(NOW, &mut Input::new(question)).unwrap();
    assert_eq!(request.unwrap().path(), "/chat");
    let negotiated = handshake.accept(Acceptance::new()).unwrap();
    (negotiated, handshake.poll_transmit().unwrap().split_off(0))
}

fn connect(config: &Config, request: &ClientRequest, answer: &mut [u8]) -> Negotiated {
    let mut handshake = ClientHandshake::new(config, request, NONCE, NOW).unwrap();
    black_box(handshake.poll_transmit().unwrap()).clear();
    let accepted = handshake.receive(NOW, &mut Input::new(answer)).unwrap();
    accepted.unwrap().negotiated
}
