//! A small HTTP/1.1 server and client (RFC 9110, 9112). Serving packages is what the frontend exists for, so files
//! leave through `sendfile`; everything else is kept as simple as the installer's clients allow.
//!
//! One request at a time on a connection: a pipelined one waits in the buffer. Every limit is a named constant in
//! [`server`] or [`client`].

mod answer;
pub mod client;
mod conversation;
mod head;
mod overseer;
mod packed;
mod range;
mod response;
mod sender;
pub mod server;
mod stream;
mod unread;
mod workers;

pub use answer::Answer;
pub use head::{Headers, Request, RequestHead, Target};
pub use packed::Document;
pub use range::{ByteRange, content_range};
pub use response::{Body, FileSlice, Response, Segment, http_date};
pub(in crate::net) use sender::send_file;
pub use server::Service;
pub use stream::Stream;
pub(in crate::net) use stream::{connect, has_room};

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod tests;
