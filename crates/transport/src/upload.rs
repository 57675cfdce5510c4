//! What takes an upload.

use spark_rpc_wire::Body;

use crate::error::ConnectionError;
use crate::handler::Flow;
use crate::responder::Responder;

/// Takes the bytes of one upload (Spark's `StreamCallbackWithID`).
///
/// Either [`complete`](Self::complete) or [`failed`](Self::failed) is called at the end, unless a method panics, which
/// fails the upload. All of them run on the connection's own task: they must not block.
pub trait UploadSink: Send {
    /// Takes the next bytes. They are borrowed from the read buffer where they are few.
    ///
    /// # Errors
    ///
    /// The upload fails with this text, and the connection is closed: the rest of the body cannot be skipped reliably.
    fn data(&mut self, data: Body<'_>) -> Result<Flow, String>;

    /// All bytes have been taken. The answer goes through `responder`, now or later; a failure leaves the connection
    /// open.
    fn complete(self: Box<Self>, responder: Responder);

    /// The rest will not come.
    fn failed(self: Box<Self>, cause: &ConnectionError) {
        let _ = cause;
    }
}
