//! Any bytes into a server's connection.

use super::wire::Role;

/// See [`receive`](super::client_bytes::receive).
pub fn check(data: &[u8]) {
    super::client_bytes::receive(Role::Server, data);
}
