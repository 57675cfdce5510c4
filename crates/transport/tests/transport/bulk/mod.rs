//! Chunks, streams and uploads, over the in-memory network and over real sockets.

mod chunks;
mod files;
mod hostile;
mod lab;
mod registered;
mod sealed;
mod streams;
mod uploads;
