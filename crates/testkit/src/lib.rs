//! Test helpers: an in-memory network with faults on virtual time, and a scripted peer.
