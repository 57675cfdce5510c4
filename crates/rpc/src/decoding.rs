//! What a reference needs to know while it is read from a message: whose env, which connection.

use std::cell::RefCell;
use std::sync::Arc;

use spark_rpc_transport::TransportClient;

use crate::codec::PeerMemory;
use crate::env::EnvShared;

/// The env that is decoding, and the connection that the message came on (Spark's `NettyRpcEnv.currentEnv` and
/// `currentClient`).
#[derive(Clone)]
pub(crate) struct DecodeContext {
    pub(crate) env: Arc<EnvShared>,
    pub(crate) client: Option<TransportClient>,
    pub(crate) peer: Arc<PeerMemory>,
}

/// Makes `context` that of this thread, until [`leave`].
pub(crate) fn enter(context: &DecodeContext) {
    CURRENT.set(Some(context.clone()));
}

/// Ends what [`enter`] began.
pub(crate) fn leave() {
    CURRENT.set(None);
}

/// Runs `work` in `context`.
pub(crate) fn within<T>(context: &DecodeContext, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<DecodeContext>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(Some(context.clone())));
    work()
}

pub(crate) fn current() -> Option<DecodeContext> {
    CURRENT.with_borrow(Clone::clone)
}

thread_local! {
    static CURRENT: RefCell<Option<DecodeContext>> = const { RefCell::new(None) };
}
