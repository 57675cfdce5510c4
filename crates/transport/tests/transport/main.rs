//! Both ends of connections, over the in-memory network on virtual time, and some over real sockets.

mod attacks;
mod bootstraps;
mod bulk;
mod events;
mod factory;
mod log;
mod panics;
mod protocol;
mod reading;
mod requests;
mod security;
mod shutdown;
mod siege;
mod silence;
mod sockets;
mod streams;
mod support;
mod writing;
