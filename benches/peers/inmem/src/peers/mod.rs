//! The columns.

mod fastwebsockets;
mod floor;
mod sockeye;
mod sockeye_tokio;
mod sockudo_ws;
mod soketto;
mod tokio_websockets;
mod tungstenite;
mod web_socket;
mod wtx;
mod yawc;

use crate::column::Column;

/// All of them, in the order of the tables.
pub fn all() -> Vec<Column> {
    vec![
        Column::of::<floor::Floor>(),
        Column::of::<sockeye::Sockeye>(),
        Column::of::<sockeye::SockeyeOwned>(),
        Column::of::<sockeye_tokio::SockeyeTokio>(),
        Column::of::<tungstenite::Tungstenite>(),
        Column::of::<fastwebsockets::FastWebSockets>(),
        Column::of::<tokio_websockets::TokioWebSockets>(),
        Column::of::<web_socket::WebSocket>(),
        Column::of::<soketto::Soketto>(),
        Column::of::<yawc::Yawc>(),
        Column::of::<wtx::Wtx>(),
        Column::of::<sockudo_ws::SockudoWs>(),
    ]
}
