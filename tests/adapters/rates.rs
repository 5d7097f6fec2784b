//! Peers that do something too often.

use std::time::{Duration, Instant};

use sockeye::{CloseCode, Config, Limits, Rate, Timeouts};

use crate::support::*;

crate::on_every_adapter!(messages_above_the_rate_wait, limits_grow_after_a_token);

/// They are held back and nothing is lost, also with a keep-alive that cannot see its pongs.
fn messages_above_the_rate_wait<A: Adapter>() {
    const COUNT: usize = 30;
    let limits = Limits::new().with_message_rate(Some(Rate::new(100, 1)));
    let timeouts = Timeouts::new()
        .with_ping(Some(Duration::from_millis(20)))
        .with_pong(Some(Duration::from_millis(100)));
    let config = Config::new().with_limits(limits).with_timeouts(timeouts);
    let server = async |mut ws: A::Ws| {
        let started = Instant::now();
        let mut count = 0;
        while let Some(message) = ws.recv().await.unwrap() {
            assert_eq!(message.as_bytes(), [count]);
            count += 1;
        }
        assert_eq!(usize::from(count), COUNT);
        started.elapsed()
    };
    let client = async |mut ws: A::Ws| {
        for number in 0..COUNT {
            ws.feed([number as u8].as_slice()).await.unwrap();
        }
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    };
    let (elapsed, ()) = serve::<A, _, _, _, _>(config, server, client);
    assert!(elapsed >= Duration::from_millis(280), "{elapsed:?}");
}

fn limits_grow_after_a_token<A: Adapter>() {
    let config = Config::new().with_limits(Limits::new().with_max_message_size(16));
    let server = async |mut ws: A::Ws| {
        let token = ws.recv().await.unwrap().unwrap();
        assert_eq!(token.as_text(), Some("the secret"));
        ws.set_limits(&Limits::new());
        ws.send("welcome").await.unwrap();
        let large = ws.recv().await.unwrap().unwrap();
        assert_eq!(large.as_bytes().len(), 100_000);
        assert_eq!(ws.received().messages, 2);
        assert!(ws.recv().await.unwrap().is_none());
    };
    let client = async |mut ws: A::Ws| {
        ws.send("the secret").await.unwrap();
        ws.recv().await.unwrap().unwrap();
        ws.send(vec![0; 100_000]).await.unwrap();
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    };
    serve::<A, _, _, _, _>(config, server, client);
}
