//! The tokio shell around the engine: transport servers, clients, the client pool and bootstraps.
