//! The derive and attribute macros of spark-rpc.
