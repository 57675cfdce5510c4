//! Type 12: what a merged block is made of.

use std::fmt;

use crate::{
    Bitmap, Body, DecodeError, EncodeError, MessageType, RequestId,
    body::Brief,
    primitive::{Reader, put_i32, put_i64},
};

/// The good answer to a [`MergedBlockMetaRequest`](super::MergedBlockMetaRequest).
#[derive(Clone, PartialEq, Eq)]
pub struct MergedBlockMetaSuccess<B> {
    /// The request that is answered.
    pub request_id: RequestId,
    /// How many chunks the block has, and bitmaps the body.
    pub chunk_count: i32,
    /// One [`Bitmap`] of map ids per chunk, back to back; see [`bitmaps`](Self::bitmaps).
    pub body: B,
}

impl<B: AsRef<[u8]>> MergedBlockMetaSuccess<B> {
    /// Decodes the bitmaps of the body: the map ids whose blocks each chunk holds. Bytes behind them are ignored.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::LengthOutOfBounds`] if the body is too short for so many bitmaps and
    /// [`DecodeError::Bitmap`] if one of them is not sound.
    pub fn bitmaps(&self) -> Result<Vec<Bitmap>, DecodeError> {
        let message = MessageType::MergedBlockMetaSuccess.name();
        let body = self.body.as_ref();
        let count = usize::try_from(self.chunk_count)
            .ok()
            .filter(|count| *count <= body.len() / Bitmap::SHORTEST);
        let Some(count) = count else {
            let (length, available) = (self.chunk_count, body.len());
            return Err(DecodeError::LengthOutOfBounds {
                message,
                field: "chunk_count",
                length,
                available,
            });
        };
        Reader::new(message, body).bitmaps(count, "bitmaps")
    }

    pub(super) fn header_len(&self) -> u64 {
        12
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_i64(out, self.request_id.0);
        put_i32(out, self.chunk_count);
        Ok(())
    }
}

impl<'a> MergedBlockMetaSuccess<Body<'a>> {
    #[inline]
    pub(super) fn decode(content: Body<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::MergedBlockMetaSuccess.name(), &content);
        let request_id = RequestId(reader.i64("request_id")?);
        let chunk_count = reader.i32("chunk_count")?;
        let header = reader.position();
        Ok(Self {
            request_id,
            chunk_count,
            body: content.slice_from(header),
        })
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for MergedBlockMetaSuccess<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergedBlockMetaSuccess")
            .field("request_id", &self.request_id)
            .field("chunk_count", &self.chunk_count)
            .field("body", &Brief(self.body.as_ref()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = MergedBlockMetaSuccess {
            request_id: RequestId(5),
            chunk_count: 1,
            body: &b"ab"[..],
        };
        assert_layout(
            &message.into(),
            "0000000000000017 0c 0000000000000005 00000001 6162",
        );
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &MergedBlockMetaSuccess {
                request_id: RequestId(5),
                chunk_count: 1,
                body: &b"ab"[..],
            }
            .into(),
            12,
        );
    }

    /// PROTO-05
    #[test]
    fn bitmaps_written_to_a_file_come_back_from_the_message() {
        let bitmaps = [
            Bitmap::from_iter([1, 2, 3]),
            Bitmap::default(),
            Bitmap::from_iter(0..70_000),
        ];
        let path = std::env::temp_dir().join(format!("spark-rpc-wire-bitmaps-{}", std::process::id()));
        let mut body = Vec::new();
        bitmaps.iter().for_each(|bitmap| bitmap.encode(&mut body));
        std::fs::write(&path, &body).unwrap();

        let body = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let message = MergedBlockMetaSuccess {
            request_id: RequestId(1),
            chunk_count: 3,
            body,
        };
        assert_eq!(message.bitmaps().unwrap(), bitmaps);
    }

    #[test]
    fn a_count_that_the_body_does_not_bear_out_is_refused() {
        let body = |chunk_count| MergedBlockMetaSuccess {
            request_id: RequestId(1),
            chunk_count,
            body: [0_u8; 20],
        };
        for length in [-1, 3, i32::MAX] {
            let refused = DecodeError::LengthOutOfBounds {
                message: "MergedBlockMetaSuccess",
                field: "chunk_count",
                length,
                available: 20,
            };
            assert_eq!(body(length).bitmaps(), Err(refused));
        }
        assert!(matches!(
            body(1).bitmaps(),
            Err(DecodeError::Bitmap { field: "bitmaps", .. })
        ));
    }
}
