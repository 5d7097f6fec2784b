//! What a pause must not lose.

use sockeye::{Config, Input};

use crate::wire::*;

/// A paused connection consumed the header of an empty message, all that there is of it, and said
/// nothing. So no input was left to be given again, and the message waited for bytes of the next
/// one, however long that took.
#[test]
fn regression_an_empty_message_in_a_pause() {
    for role in BOTH {
        for frames in [frame(0x81, ""), frame(0x82, "")] {
            let mut conn = connection(*role, &Config::new());
            conn.pause();
            let mut read = to(*role, &frames);
            let mut input = Input::new(&mut read);
            assert_eq!(conn.receive(START, &mut input), Ok(None));
            let left = input.len();
            conn.resume();
            assert!(left > 0, "{role:?}: nothing tells that there is a message");
        }
    }
}
