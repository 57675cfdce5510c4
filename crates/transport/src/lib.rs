//! The tokio shell around the engine: transport servers, clients, the client pool and bootstraps.

mod conf;

pub use conf::{InvalidConf, MAX_FRAME_BYTES, MAX_TIME, TransportConf};
