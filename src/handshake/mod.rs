//! The opening handshake of both roles (RFC 6455 section 4), and WebSocket URLs.
//!
//! [`ServerHandshake`] and [`ClientHandshake`] are state machines like the connection that follows:
//! bytes and time go in; a result, bytes and a deadline come out. They read no byte past the end of
//! the handshake, hold at most [`max_head_size`](crate::Limits::max_head_size) bytes and 20 for each
//! header, look at each once, and answer whatever is wrong.
//!
//! Where the RFC leaves a choice they are strict: lines end with CR LF, headers are not folded,
//! there is exactly one `Host`, and a request that asks for an upgrade has no body.
//!
//! Who may connect is the application's decision, and [`OriginPolicy`], [`Basic`] and [`Bearer`]
//! help with it before the answer.
//!
//! Where an HTTP library reads and writes, with or without HTTP/2 and HTTP/3 (RFC 8441, RFC 9220),
//! a server has [`Request::extended`], [`Acceptance::answer`] and [`Refusal::answer`], and a client
//! has [`ClientOffer`]. The feature `http` adds the types of that crate, `hyper` the upgrade itself.

mod accept;
mod answer;
mod auth;
mod body;
mod client;
mod compose;
#[cfg(feature = "http")]
mod convert;
mod extended;
mod handover;
mod head;
mod layout;
mod offer;
mod opening;
mod origin;
pub mod proxy;
mod redirect;
mod request;
mod server;
mod terms;
mod url;

pub use crate::error::{
    AnswerError, Field, HeaderError, OriginError, RedirectError, RequestError, UrlError,
};
pub use crate::http::Response;
pub use accept::accept_key;
pub use answer::{Acceptance, Refusal};
pub use auth::{Basic, Bearer, constant_time_eq};
pub use client::{Accepted, ClientHandshake};
pub use handover::{Answer, InvalidRequest};
pub use offer::ClientOffer;
pub use opening::ClientRequest;
pub use origin::{OriginPolicy, Scheme};
pub use redirect::Redirects;
pub use request::Request;
pub use server::ServerHandshake;
pub use url::Url;
