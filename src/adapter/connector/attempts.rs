//! Attempts to connect, beside each other, as futures.

use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::task::{Poll, ready};
use std::boxed::Box;
use std::io::{self, ErrorKind};
use std::vec::Vec;

use super::race::Race;
use crate::adapter::reconnect::Clock;

/// Connects to one of several addresses. Dropping it, or winning, drops the attempts that are under way.
pub(in crate::adapter) async fn connect<S, F>(
    addresses: &[SocketAddr],
    clock: Clock,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<S>
where
    F: Future<Output = io::Result<S>>,
{
    let mut race = Race::new(addresses, (clock.now)());
    let mut attempts = Vec::new();
    let mut timer = None;
    if addresses.is_empty() {
        return Err(no_address());
    }
    poll_fn(|cx| {
        loop {
            while let Some(address) = race.start((clock.now)()) {
                attempts.push(Box::pin(connect(address)));
                timer = None;
            }
            let before = attempts.len();
            let mut index = 0;
            while let Some(attempt) = attempts.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        drop(attempts.swap_remove(index));
                        if race.handle_failure((clock.now)()) {
                            return Poll::Ready(Err(error));
                        }
                    }
                }
            }
            if attempts.len() < before {
                continue;
            }
            let Some(next) = race.poll_timeout() else {
                return Poll::Pending;
            };
            let sleeping = timer.get_or_insert_with(|| (clock.sleep_until)(next));
            ready!(sleeping.as_mut().poll(cx));
            timer = None;
        }
    })
    .await
}

fn no_address() -> io::Error {
    io::Error::new(ErrorKind::NotFound, "the host has no address")
}
