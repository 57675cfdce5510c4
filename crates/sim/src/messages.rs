//! What the nodes say to each other. Each message carries what its receiver is to do with it.

use serde::{Deserialize, Serialize};
use spark_rpc::{DecodeError, Inbound, OneWay, Parcel, Reply, Request, RpcEndpointRef, RpcMessage};

use crate::history::{MessageId, Place, Registration};

/// The content of every message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: MessageId,
    pub(crate) stream: u32,
    pub(crate) number: Option<u64>,
    pub(crate) act: Act,
    /// An endpoint of the sender.
    pub(crate) back: Option<RpcEndpointRef>,
    pub(crate) filler_len: usize,
    pub(crate) filler: String,
}

impl Order {
    pub(crate) fn place(&self) -> Place {
        Place {
            stream: self.stream,
            number: self.number,
        }
    }

    pub(crate) fn is_intact(&self) -> bool {
        self.filler.len() == self.filler_len && self.filler.bytes().all(|byte| byte == FILLER)
    }
}

/// The byte that fillers consist of.
pub(crate) const FILLER: u8 = b'.';

/// What the receiver does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Act {
    Answer,
    /// Answers after a while in which a serial endpoint handles nothing else.
    Work {
        ms: u64,
    },
    /// Answers later, from elsewhere.
    Later {
        ms: u64,
    },
    /// Drops the reply handle.
    Forget,
    Fail,
    Panic,
    /// Asks another endpoint first.
    Relay {
        node: usize,
        name: String,
        limit_ms: u64,
    },
    /// Sends or asks something over the reference that came along, then answers.
    CallBack {
        ask: bool,
    },
}

/// The reply to every ask.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: MessageId,
    pub(crate) by: Registration,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work(pub(crate) Order);

/// An ask in the control lane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Urgent(pub(crate) Order);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Note(pub(crate) Order);

/// A one-way message in the control lane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Beat(pub(crate) Order);

impl RpcMessage for Work {
    const NAME: &'static str = "Work";
}

impl Request for Work {
    type Reply = Answer;
}

impl RpcMessage for Urgent {
    const NAME: &'static str = "Urgent";
    const CONTROL: bool = true;
}

impl Request for Urgent {
    type Reply = Answer;
}

impl RpcMessage for Note {
    const NAME: &'static str = "Note";
}

impl OneWay for Note {}

impl RpcMessage for Beat {
    const NAME: &'static str = "Beat";
    const CONTROL: bool = true;
}

impl OneWay for Beat {}

/// Nobody handles this one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Unheard(pub(crate) Order);

impl RpcMessage for Unheard {
    const NAME: &'static str = "Unheard";
}

impl Request for Unheard {
    type Reply = Answer;
}

#[derive(Debug)]
pub(crate) struct NodeInbound {
    pub(crate) order: Order,
    pub(crate) control: bool,
    pub(crate) reply: Option<Reply<Answer>>,
    name: &'static str,
}

impl Inbound for NodeInbound {
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        let of = |order, control, reply, name| {
            Ok(Some(Self {
                order,
                control,
                reply,
                name,
            }))
        };
        if let Some((Work(order), reply)) = parcel.request()? {
            return of(order, false, Some(reply), Work::NAME);
        }
        if let Some((Urgent(order), reply)) = parcel.request()? {
            return of(order, true, Some(reply), Urgent::NAME);
        }
        if let Some(Note(order)) = parcel.one_way()? {
            return of(order, false, None, Note::NAME);
        }
        if let Some(Beat(order)) = parcel.one_way()? {
            return of(order, true, None, Beat::NAME);
        }
        Ok(None)
    }

    fn message(&self) -> &'static str {
        self.name
    }

    fn is_control(parcel: &Parcel<'_>) -> bool {
        parcel.holds::<Urgent>() || parcel.holds::<Beat>()
    }
}
