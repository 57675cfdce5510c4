//! Calls into code that may panic: handlers, bootstraps and their factories.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use spark_rpc_net::SocketName;

/// Runs `call`, which stands behind the connection to `peer`. `None` if it panicked; that has reached the log then.
///
/// Whatever `call` was changing may be left half changed: the caller decides what goes on after that.
pub(crate) fn guarded<T>(peer: &SocketName, what: &'static str, call: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => Some(result),
        Err(panic) => {
            report(peer, what, &*panic);
            None
        }
    }
}

/// Logs a caught panic.
pub(crate) fn report(peer: &SocketName, what: &'static str, panic: &(dyn Any + Send)) {
    tracing::error!(%peer, what, panic = text(panic), "a handler panicked");
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown")
}
