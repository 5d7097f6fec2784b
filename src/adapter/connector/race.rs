//! In which order and when to try the addresses of a host: "happy eyeballs" (RFC 8305), without I/O.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::vec::Vec;

use crate::Instant;

/// How long an address has before the next one is tried beside it (RFC 8305 section 8, the recommended
/// value).
const DELAY: Duration = Duration::from_millis(250);

/// The attempts to connect to one of several addresses. The first that succeeds wins.
#[derive(Debug)]
pub(in crate::adapter) struct Race {
    waiting: VecDeque<SocketAddr>,
    /// When the next one may start.
    next: Instant,
    running: usize,
}

impl Race {
    pub(in crate::adapter) fn new(addresses: &[SocketAddr], now: Instant) -> Self {
        Self {
            waiting: interleave(addresses),
            next: now,
            running: 0,
        }
    }

    /// The address of an attempt to start now, if there is one.
    pub(in crate::adapter) fn start(&mut self, now: Instant) -> Option<SocketAddr> {
        if now < self.next {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.running += 1;
        self.next = now + DELAY;
        Some(address)
    }

    /// When to call [`start`](Self::start) again.
    pub(in crate::adapter) fn poll_timeout(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next)
    }

    /// One of the attempts failed, so the next one need not wait. Tells whether it was the last.
    pub(in crate::adapter) fn handle_failure(&mut self, now: Instant) -> bool {
        self.running = self.running.saturating_sub(1);
        self.next = now;
        self.running == 0 && self.waiting.is_empty()
    }
}

/// The addresses in the order of the system, but with the families in turn (RFC 8305 section 4): if one
/// family does not work here, it costs one delay and not one for each of its addresses.
fn interleave(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let is_first = |address: &SocketAddr| {
        addresses
            .first()
            .is_some_and(|first| first.is_ipv4() == address.is_ipv4())
    };
    let (first, second): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(is_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = VecDeque::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(first.next());
        order.extend(second.next());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &str) -> Vec<SocketAddr> {
        list.split_whitespace()
            .map(|address| address.parse().unwrap())
            .collect()
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn families_take_turns_and_the_systems_favourite_begins() {
        for (given, order) in [
            ("", ""),
            ("1.1.1.1:1", "1.1.1.1:1"),
            ("[::1]:1 [::2]:1 1.1.1.1:1", "[::1]:1 1.1.1.1:1 [::2]:1"),
            (
                "1.1.1.1:1 2.2.2.2:1 [::1]:1 [::2]:1 [::3]:1",
                "1.1.1.1:1 [::1]:1 2.2.2.2:1 [::2]:1 [::3]:1",
            ),
        ] {
            assert_eq!(interleave(&addresses(given)), addresses(order), "{given}");
        }
    }

    #[test]
    fn the_next_one_starts_after_the_delay() {
        let list = addresses("[::1]:1 1.1.1.1:1");
        let mut race = Race::new(&list, at(0));
        assert_eq!(race.start(at(0)), Some(list[0]));
        assert_eq!(race.start(at(249)), None);
        assert_eq!(race.poll_timeout(), Some(at(250)));
        assert_eq!(race.start(at(250)), Some(list[1]));
        assert_eq!(race.poll_timeout(), None);
        assert_eq!(race.start(at(999)), None);
    }

    #[test]
    fn the_next_one_starts_at_once_after_a_failure() {
        let list = addresses("[::1]:1 1.1.1.1:1");
        let mut race = Race::new(&list, at(0));
        race.start(at(0));
        assert!(!race.handle_failure(at(3)));
        assert_eq!(race.start(at(3)), Some(list[1]));
        assert!(race.handle_failure(at(4)));
    }

    #[test]
    fn a_failure_is_not_the_end_while_another_attempt_is_under_way() {
        let list = addresses("[::1]:1 1.1.1.1:1");
        let mut race = Race::new(&list, at(0));
        race.start(at(0));
        race.start(at(250));
        assert!(!race.handle_failure(at(300)));
        assert!(race.handle_failure(at(400)));
    }
}
