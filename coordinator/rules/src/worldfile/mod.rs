//! World files: a whole house as one file, and what the rules answer to it.
//!
//! ```text
//! live coordinator ──▶ write ──▶ format ──(text, zstd: the caller's)──▶ format ──▶ read ──▶ World ──▶ answers
//! ```
//!
//! | question | file |
//! |---|---|
//! | what stands in a file? | [`mod@format`] |
//! | what world is that, and when? | [`mod@read`]; ids: [`names`]; `config`: [`knobs`] |
//! | how is a world written down? | [`mod@write`] |
//! | what is ill, how busy is who, what would be done now? | [`answers`] |
//! | which moves lead to evenness? | [`mod@balance`] |
//!
//! The format is in `docs/WORLD_FILE.md`. The answers come from the very rules that the coordinator runs.

pub mod answers;
pub mod balance;
pub mod format;
pub mod knobs;
pub mod names;
pub mod read;
pub mod write;

pub use format::WorldFile;
pub use read::{BadFile, Reading, read};
pub use write::Written;

#[cfg(test)]
mod tests;
