//! What the programs here share.

mod frame;
mod hash;
mod payload;
mod text;

pub use frame::{BINARY, CONTINUATION, FIN, RSV1, TEXT, frames, messages, push_frame};
pub use hash::hash;
pub use payload::{Random, ascii_text, json_text, mixed_text, random_bytes};
pub use text::{JsonLine, size_name, table};
