//! What the bytes of Spark's RPC mean, for people who look at them from outside.
//!
//! Nothing in here takes part in a conversation; it looks at one that others have. So it never insists: what is not
//! understood is told together with its place, and what came before it stays told.

#![forbid(unsafe_code)]
