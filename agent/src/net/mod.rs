//! The network: what an agent says and hears. Bytes in, calls to their owners out; nothing is decided here.

pub mod files;
pub mod hello;
pub mod host;
pub mod http;
pub mod link;
pub mod logs;
pub mod peer_client;
pub mod peer_line;
pub mod peer_server;
mod peer_stream;
pub mod peers;
pub mod problem;
pub mod range;
pub mod slow;
