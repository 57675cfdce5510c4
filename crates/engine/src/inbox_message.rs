//! What can wait in an inbox.

/// A message of Spark's `InboxMessage` family.
///
/// `OnStart` and `OnStop` are not among these: nobody posts them. The [`Inbox`](crate::Inbox) makes them itself, as
/// the first and the last [`Step`](crate::Step).
///
/// `M` is the endpoint's own message type. Whether it is Spark's `RpcMessage` (it carries a reply handle) or its
/// `OneWayMessage` (it carries none) is part of that type, so that a handler cannot mistake one for the other.
/// `A` is an address and `C` the cause of a connection's failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxMessage<M, A, C> {
    /// `RpcMessage` or `OneWayMessage`.
    Message(M),
    /// A connection with this address has been made, or a peer on it has said that this is its own address.
    RemoteProcessConnected(A),
    /// The connection with this address has ended.
    RemoteProcessDisconnected(A),
    /// The connection with this address has failed; its end follows.
    RemoteProcessConnectionError(C, A),
}
