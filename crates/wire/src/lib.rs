//! Bytes to frames to messages: Spark's transport protocol and its RPC envelope, without IO.
