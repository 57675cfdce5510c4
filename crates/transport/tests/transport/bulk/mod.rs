//! Chunks, streams and uploads, over the in-memory network and over real sockets.

mod callbacks;
mod chunks;
mod files;
mod given_up;
mod hostile;
mod lab;
mod registered;
mod runs;
mod sealed;
mod streams;
mod uploads;
