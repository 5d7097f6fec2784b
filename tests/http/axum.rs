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
    let policy = OriginPolicy::same_origin(Scheme::Http);
    sockeye::hyper::upgrade(
        &mut request,
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

/// axum takes extended CONNECTs as soon as anything in the build enables its feature `http2`, and then
/// browsers that got the page over HTTP/2 send nothing else. `upgrade` answered them with 501.
#[tokio::test]
async fn regression_the_same_route_over_http_2() {
    let address = serve().await;
    let mut sender = super::http_2(address).await;
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

/// 9220-3-02: what else comes over HTTP/2.
#[tokio::test]
async fn other_requests_over_http_2() {
    let address = serve().await;
    let mut sender = super::http_2(address).await;
    let uri = |path| format!("http://{address}/{path}");
    let connect = |protocol| {
        let protocol = hyper::ext::Protocol::from_static(protocol);
        http::Request::connect(uri("rooms/lobby")).extension(protocol)
    };
    let version = "sec-websocket-version";
    for (request, status) in [
        (http::Request::get(uri("")), 404),
        (http::Request::get(uri("rooms/lobby")), 405),
        (
            http::Request::get(uri("rooms/lobby")).header(version, "13"),
            405,
        ),
        // Only a WebSocket has a version of it.
        (connect("connect-udp"), 501),
        (connect("websocket"), 501),
        (connect("websocket").header(version, "12"), 400),
        (
            connect("websocket")
                .header(version, "13")
                .header("origin", "http://evil.example"),
            403,
        ),
    ] {
        let request = request.body(Full::default()).unwrap();
        let response = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), status);
    }
}
