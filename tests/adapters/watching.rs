//! Classes of messages, counts and observers, through the adapters' own methods.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sockeye::{CloseCode, Closed, Config, Event, Kind, Observer, Priority, blocking};

use crate::support::*;

#[derive(Default)]
struct Counts {
    received: AtomicUsize,
    sent: AtomicUsize,
    closed: AtomicUsize,
}

impl Observer for Counts {
    fn received(&self, _: &Event<'_>) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }
    fn sent(&self, _: Kind, _: usize, _: usize) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }
    fn closed(&self, _: &Closed) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counts {
    fn all(&self) -> [usize; 3] {
        [&self.received, &self.sent, &self.closed].map(|count| count.load(Ordering::Relaxed))
    }
}

#[test]
fn on_tokio() {
    bounded(|| {
        let counts = Arc::new(Counts::default());
        let observer = Arc::clone(&counts);
        let server = async |mut ws: <Tokio as Adapter>::Ws| {
            let mut texts = Vec::new();
            while let Some(message) = ws.recv().await.unwrap() {
                texts.push(message.as_text().unwrap().to_owned());
            }
            texts
        };
        let client = async move |mut ws: <Tokio as Adapter>::Ws| {
            ws.set_observer(observer);
            ws.feed_with("bulk", Priority::Bulk).await.unwrap();
            ws.feed("normal").await.unwrap();
            ws.send_with("urgent", Priority::Urgent).await.unwrap();
            assert_eq!(ws.sent().messages, 3);
            ws.close(CloseCode::NORMAL, "").await.unwrap();
        };
        let (texts, ()) = serve::<Tokio, _, _, _, _>(Config::new(), server, client);
        assert_eq!(texts, ["urgent", "normal", "bulk"]);
        assert_eq!(
            counts.all(),
            [1, 3, 1],
            "the Close frame, three messages, the end"
        );
    });
}

#[test]
fn on_blocking_halves() {
    bounded(|| {
        let counts = Arc::new(Counts::default());
        let observer = Arc::clone(&counts);
        let server = async |mut ws: blocking::WebSocket<blocking::ClientStream>| {
            let message = ws.recv().unwrap().unwrap();
            ws.send(message).unwrap();
            assert!(ws.recv().unwrap().is_none());
        };
        let client = async move |ws: blocking::WebSocket<blocking::ClientStream>| {
            let (mut receive, mut send) = ws.split().unwrap();
            receive.set_observer(observer.clone());
            send.set_observer(observer);
            send.send_with("hello", Priority::High).unwrap();
            receive.recv().unwrap().unwrap();
            assert_eq!((receive.received().messages, send.sent().messages), (1, 1));
            send.close(CloseCode::NORMAL, "").unwrap();
            assert!(receive.recv().unwrap().is_none());
        };
        serve::<Blocking, _, _, _, _>(Config::new(), server, client);
        assert_eq!(counts.all(), [2, 1, 1]);
    });
}
