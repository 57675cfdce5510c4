//! The decisions of the RPC layer as plain state machines.
//!
//! Everything here is a struct with `&mut self` methods: it owns no task, lock, socket or clock. It is told what
//! happened, and it answers what should happen next; a shell makes that happen and reports back. Time comes in as an
//! argument ([`std::time::Instant`]), so every decision can be tested on values, in microseconds.
//!
//! | Machine | Decides |
//! | --- | --- |
//! | [`Inbox`] | which message of an endpoint may run now; `OnStart` first, `OnStop` last and alone |
//! | [`Outbox`] | what waits for a connection, who opens it, and what becomes of the waiting when it fails |
//! | [`PendingAsks`] | which request a reply belongs to, and which have waited too long |
//! | [`WriteQueue`] | what goes to the socket next: control frames pass the others, frames and bulk bodies take turns |
//! | [`ClientPool`] | whether to reuse a connection, open one, wait for one, or fail at once |
//! | [`IdleWatch`] | when a silent connection counts as dead |
//!
//! Each machine that queues has [`Bounds`] by count and by bytes, and gives back what it does not take.

mod bounds;
mod client_pool;
mod idle;
mod inbox;
mod inbox_message;
mod outbox;
mod pending;
mod write_queue;

pub use bounds::{Bounds, Full, Lane, Load};
pub use client_pool::{ClientPool, Pick};
pub use idle::{IdleVerdict, IdleWatch};
pub use inbox::{Delivery, Inbox, Posted, RejectReason, Rejected, Step, Taken};
pub use inbox_message::InboxMessage;
pub use outbox::{Admission, Outbox, OutboxRejected, Ticket};
pub use pending::{AskId, Begun, Outcome, PendingAsks, PendingError, TICK};
pub use write_queue::{CHUNK, Chunk, Next, PASSING, Pushed, Weighed, WriteQueue};
