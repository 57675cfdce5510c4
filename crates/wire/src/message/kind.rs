//! The numbers of the message types.

use std::fmt;

/// The type of a message (Spark's `Message.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i8)]
#[expect(missing_docs, reason = "each is the type of the message of the same name")]
pub enum MessageType {
    ChunkFetchRequest = 0,
    ChunkFetchSuccess = 1,
    ChunkFetchFailure = 2,
    RpcRequest = 3,
    RpcResponse = 4,
    RpcFailure = 5,
    StreamRequest = 6,
    StreamResponse = 7,
    StreamFailure = 8,
    OneWayMessage = 9,
    UploadStream = 10,
    MergedBlockMetaRequest = 11,
    MergedBlockMetaSuccess = 12,
}

impl MessageType {
    /// Every type, in the order of their ids, which count up from 0.
    pub const ALL: [MessageType; 13] = [
        MessageType::ChunkFetchRequest,
        MessageType::ChunkFetchSuccess,
        MessageType::ChunkFetchFailure,
        MessageType::RpcRequest,
        MessageType::RpcResponse,
        MessageType::RpcFailure,
        MessageType::StreamRequest,
        MessageType::StreamResponse,
        MessageType::StreamFailure,
        MessageType::OneWayMessage,
        MessageType::UploadStream,
        MessageType::MergedBlockMetaRequest,
        MessageType::MergedBlockMetaSuccess,
    ];

    /// The id which Spark reserves for messages of its users' tests; it is never legal on the wire.
    pub(crate) const USER_ID: i8 = -1;

    /// Returns the id on the wire.
    pub const fn id(self) -> i8 {
        self as i8
    }

    /// Returns the type with this id, if there is one.
    #[inline]
    pub fn from_id(id: i8) -> Option<MessageType> {
        usize::try_from(id).ok().and_then(|at| Self::ALL.get(at)).copied()
    }

    /// Tells whether the header begins with a request id.
    pub const fn has_request_id(self) -> bool {
        matches!(
            self,
            MessageType::RpcRequest
                | MessageType::RpcResponse
                | MessageType::RpcFailure
                | MessageType::UploadStream
                | MessageType::MergedBlockMetaRequest
                | MessageType::MergedBlockMetaSuccess
        )
    }

    /// Returns Spark's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            MessageType::ChunkFetchRequest => "ChunkFetchRequest",
            MessageType::ChunkFetchSuccess => "ChunkFetchSuccess",
            MessageType::ChunkFetchFailure => "ChunkFetchFailure",
            MessageType::RpcRequest => "RpcRequest",
            MessageType::RpcResponse => "RpcResponse",
            MessageType::RpcFailure => "RpcFailure",
            MessageType::StreamRequest => "StreamRequest",
            MessageType::StreamResponse => "StreamResponse",
            MessageType::StreamFailure => "StreamFailure",
            MessageType::OneWayMessage => "OneWayMessage",
            MessageType::UploadStream => "UploadStream",
            MessageType::MergedBlockMetaRequest => "MergedBlockMetaRequest",
            MessageType::MergedBlockMetaSuccess => "MergedBlockMetaSuccess",
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_up_from_zero_and_lead_back_to_their_types() {
        for (at, kind) in MessageType::ALL.into_iter().enumerate() {
            assert_eq!(usize::try_from(kind.id()), Ok(at));
            assert_eq!(MessageType::from_id(kind.id()), Some(kind));
            assert_eq!(format!("{kind:?}"), kind.name());
        }
        assert_eq!(MessageType::from_id(13), None);
        assert_eq!(MessageType::from_id(-1), None);
    }
}
