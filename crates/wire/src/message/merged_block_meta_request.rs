//! Type 11: asks what a merged block is made of.

use crate::{
    DecodeError, EncodeError, MessageType, RequestId,
    primitive::{Reader, put_i32, put_i64, put_string},
};

/// Asks for the chunk bitmaps of a merged shuffle block (since Spark 3.2).
///
/// A handler without push-based shuffle, such as an `RpcEnv`, does not answer at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedBlockMetaRequest {
    /// Which answer will belong to it.
    pub request_id: RequestId,
    /// The application.
    pub app_id: String,
    /// The shuffle.
    pub shuffle_id: i32,
    /// Which attempt at merging it.
    pub shuffle_merge_id: i32,
    /// The reduce partition.
    pub reduce_id: i32,
}

impl MergedBlockMetaRequest {
    pub(super) fn header_len(&self) -> u64 {
        24 + self.app_id.len() as u64
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_i64(out, self.request_id.0);
        put_string(out, &self.app_id)?;
        put_i32(out, self.shuffle_id);
        put_i32(out, self.shuffle_merge_id);
        put_i32(out, self.reduce_id);
        Ok(())
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::MergedBlockMetaRequest.name(), content);
        Ok(Self {
            request_id: RequestId(reader.i64("request_id")?),
            app_id: reader.string("app_id")?.to_owned(),
            shuffle_id: reader.i32("shuffle_id")?,
            shuffle_merge_id: reader.i32("shuffle_merge_id")?,
            reduce_id: reader.i32("reduce_id")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = MergedBlockMetaRequest {
            request_id: RequestId(5),
            app_id: "a".into(),
            shuffle_id: 1,
            shuffle_merge_id: 2,
            reduce_id: 3,
        };
        assert_layout(
            &message.into(),
            "0000000000000022 0b 0000000000000005 00000001 61 00000001 00000002 00000003",
        );
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &MergedBlockMetaRequest {
                request_id: RequestId(5),
                app_id: "a".into(),
                shuffle_id: 1,
                shuffle_merge_id: 2,
                reduce_id: 3,
            }
            .into(),
            25,
        );
    }
}
