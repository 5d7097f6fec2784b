//! axum, without a dependency on it.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, Request};
use axum::response::Response;
use axum::routing::any;
use http_body_util::Full;
use sockeye::handshake::{Acceptance, ClientOffer, ClientRequest, OriginPolicy, Scheme};
use sockeye::{Deflate, HandshakeError, SocketError};
use tokio::net::TcpListener;

use super::{patient, soon, use_echo};

async fn echo(Path(_room): Path<String>, mut request: Request) -> Response {
    let protocol = request.extensions().get::<hyper::ext::Protocol>().cloned();
    let policy = OriginPolicy::same_origin(Scheme::Http);
    sockeye::hyper::upgrade_extended(
        &mut request,
        protocol.as_ref().map(|protocol| protocol.as_str()),
        &patient().with_deflate(Deflate::server()),
        |request| policy.check(request).map(|()| Acceptance::new()),
        async |mut ws| {
            ws.serve(async |message, replies| replies.send(message).await)
                .await
                .unwrap();
        },
    )
}

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/rooms/{room}", any(echo));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn a_route() {
    let address = serve().await;
    let request = ClientRequest::new(&format!("ws://{address}/rooms/lobby")).unwrap();
    let request = request.with_origin(&format!("http://{address}"));
    for config in [patient(), patient().with_deflate(Deflate::client())] {
        let (ws, _) = sockeye::tokio::connect_with(&request, &config)
            .await
            .unwrap();
        use_echo(ws).await;
    }
}

#[tokio::test]
async fn another_site() {
    let address = serve().await;
    let request = ClientRequest::new(&format!("ws://{address}/rooms/lobby")).unwrap();
    let request = request.with_origin("http://evil.example");
    let connected = soon(sockeye::tokio::connect_with(&request, &patient())).await;
    match connected.err() {
        Some(SocketError::Handshake(HandshakeError::Refused(response))) => {
            assert_eq!(response.status(), 403);
            assert_eq!(&response.body()[..], b"This origin may not connect\n");
        }
        other => panic!("{other:?}"),
    }
}

/// The same route over HTTP/2.
#[tokio::test]
async fn http_2() {
    let address = serve().await;
    let mut sender = super::http_2(address).await;
    let page = http::Request::get(format!("http://{address}/")).body(Full::default());
    let response = soon(sender.send_request(page.unwrap())).await.unwrap();
    assert_eq!(response.status(), 404);

    let config = patient().with_deflate(Deflate::client());
    let request = ClientRequest::new(&format!("ws://{address}/rooms/lobby")).unwrap();
    let offer = ClientOffer::extended(&config, &request, true).unwrap();
    let mut request = offer.http_request().unwrap().map(|()| Full::default());
    let protocol = hyper::ext::Protocol::from_static("websocket");
    request.extensions_mut().insert(protocol);
    let response = soon(sender.send_request(request)).await.unwrap();
    let (ws, _) = sockeye::hyper::client(&offer, response, &config)
        .await
        .unwrap();
    use_echo(ws).await;
}
