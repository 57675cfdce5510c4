//! Whole envs on an in-memory network and virtual time, drawn from a seed.
