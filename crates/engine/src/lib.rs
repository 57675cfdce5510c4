//! The decisions of the RPC layer as plain state machines: inbox, outbox, pending asks, write queue, timers.
