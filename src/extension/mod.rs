//! Extensions: how they are negotiated (RFC 6455 section 9).

pub(crate) mod grammar;
