//! Attempts to connect, beside each other, as futures.

use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::task::{Poll, ready};
use std::boxed::Box;
use std::io;
use std::vec::Vec;

use super::race::Race;
use crate::adapter::reconnect::Clock;

/// Connects to one of several addresses, of which there is one at least. Dropping it, or winning, drops the attempts that are under way.
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

#[cfg(feature = "tokio")]
#[cfg(test)]
mod tests {
    use core::future::pending;
    use core::time::Duration;
    use std::io::ErrorKind;

    use ::tokio::time::{Instant, sleep, sleep_until};

    use super::*;

    const CLOCK: Clock = Clock {
        now: || Instant::now().into_std().into(),
        sleep_until: |at| Box::pin(async move { sleep_until(at.to_std().into()).await }),
    };

    /// What comes of an attempt, and after how many milliseconds.
    #[derive(Clone, Copy)]
    enum Fate {
        Answers(u64),
        Refuses(u64),
        Hangs,
    }
    use Fate::*;

    /// Who won, and when.
    fn race(fates: &[Fate]) -> (io::Result<u16>, u128) {
        let addresses: Vec<SocketAddr> = (0..fates.len())
            .map(|index| SocketAddr::from(([127, 0, 0, 1], u16::try_from(index).unwrap())))
            .collect();
        let mut builder = ::tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let started = Instant::now();
            let winner = connect(&addresses, CLOCK, |address| {
                let fate = fates[usize::from(address.port())];
                async move {
                    match fate {
                        Answers(after) => sleep(Duration::from_millis(after)).await,
                        Refuses(after) => {
                            sleep(Duration::from_millis(after)).await;
                            return Err(ErrorKind::ConnectionRefused.into());
                        }
                        Hangs => pending().await,
                    }
                    Ok(address.port())
                }
            });
            (winner.await, started.elapsed().as_millis())
        })
    }

    #[test]
    fn the_first_that_answers_wins() {
        for (fates, winner, after) in [
            (&[Answers(10)][..], 0, 10),
            (&[Answers(240), Answers(0)], 0, 240),
            (&[Answers(900), Answers(10)], 1, 260),
            (&[Answers(300), Answers(900)], 0, 300),
            (&[Hangs, Hangs, Answers(10)], 2, 510),
            (&[Refuses(20), Answers(10)], 1, 30),
            (&[Hangs, Refuses(20), Answers(10)], 2, 280),
            (&[Refuses(400), Refuses(0), Answers(300)], 2, 550),
        ] {
            let (result, elapsed) = race(fates);
            assert_eq!(result.unwrap(), winner);
            assert!(elapsed.abs_diff(after) <= 2, "{elapsed} is not {after}");
        }
    }

    #[test]
    fn it_fails_when_all_have_failed() {
        let (result, elapsed) = race(&[Refuses(400), Refuses(20), Refuses(10)]);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(elapsed.abs_diff(400) <= 2, "{elapsed}");
    }
}
