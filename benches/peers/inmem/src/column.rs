//! A peer without its type, so that all of them go into one list.

use std::hint::black_box;
use std::sync::Arc;

use crate::case::{Case, Operation, Work};
use crate::io::MemIo;
use crate::memory::{self, Held};
use crate::peer::{Abilities, Compression, Peer};
use crate::upgrade;
use crate::verify::verify;

/// Handles so many messages on a connection of its own.
pub type Run = Box<dyn FnMut(usize)>;

/// A peer. The functions do what their namesakes for a [`Peer`] do.
#[derive(Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    abilities: Abilities,
    pub verify: fn(&Case, &Work) -> Result<usize, String>,
    pub start: fn(&Case, &Work) -> Run,
    pub held: fn() -> Held,
}

impl Column {
    pub fn of<P: Peer + 'static>() -> Self {
        Self {
            name: P::NAME,
            abilities: P::ABILITIES,
            verify: verify::<P>,
            start: start::<P>,
            held: memory::held::<P>,
        }
    }

    /// Neither this crate nor the floor: one of those that are compared with.
    pub fn is_peer(&self) -> bool {
        self.name != "floor" && !self.name.starts_with("sockeye")
    }

    pub fn can_send(&self) -> bool {
        self.abilities.sending
    }

    pub fn can(&self, case: &Case) -> bool {
        let abilities = self.abilities;
        let compresses = match case.setup.compression {
            Compression::Off => true,
            Compression::Context => abilities.context,
            Compression::NoContext => abilities.no_context,
        };
        compresses
            && match case.operation {
                Operation::Receive => true,
                Operation::Send | Operation::Echo => abilities.sending,
                Operation::Accept | Operation::Connect => abilities.handshakes,
            }
    }
}

/// Opens a connection for the case.
fn start<P: Peer + 'static>(case: &Case, work: &Work) -> Run {
    let open = || P::open(MemIo::endless(&work.input), case.setup);
    let flush_every = case.flush_every;
    match case.operation {
        Operation::Receive => {
            let mut peer = open();
            Box::new(move |count| {
                let mut sum = 0;
                peer.receive(count, |payload| sum += black_box(payload).len());
                black_box(sum);
            })
        }
        Operation::Send => {
            let (mut peer, payloads) = (open(), work.payloads.clone());
            Box::new(move |count| peer.send(&payloads, count, flush_every))
        }
        Operation::Echo => {
            let mut peer = open();
            Box::new(move |count| peer.echo(count, flush_every))
        }
        Operation::Accept => {
            let request = Arc::from(upgrade::REQUEST);
            Box::new(move |count| {
                for _ in 0..count {
                    black_box(P::accept(MemIo::once(&request)));
                }
            })
        }
        Operation::Connect => Box::new(|count| {
            for _ in 0..count {
                black_box(P::connect(MemIo::server()));
            }
        }),
    }
}
