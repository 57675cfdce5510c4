//! Points in time.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::collections::block;
use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, Level, ToJava};
use crate::ids::Scala;
use crate::object::{Item, Value};

const CLASS: &str = "java.util.Date";

/// A `java.util.Date`.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use spark_rpc_javaobj::JavaDate;
///
/// let date = JavaDate { millis: 1500 };
/// assert_eq!(SystemTime::from(date), SystemTime::UNIX_EPOCH + Duration::from_millis(1500));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JavaDate {
    /// Milliseconds since the beginning of 1970, UTC.
    pub millis: i64,
}

impl From<JavaDate> for SystemTime {
    /// Times that the system cannot express become the beginning of 1970.
    fn from(date: JavaDate) -> Self {
        let distance = Duration::from_millis(date.millis.unsigned_abs());
        let time = if date.millis < 0 {
            Self::UNIX_EPOCH.checked_sub(distance)
        } else {
            Self::UNIX_EPOCH.checked_add(distance)
        };
        time.unwrap_or(Self::UNIX_EPOCH)
    }
}

impl ToJava for JavaDate {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Ljava/util/Date;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let date = Level::new(CLASS).fixed(7523967970034938905);
        let millis = block(&self.millis.to_be_bytes());
        Ok(out.instance(vec![date.writing(vec![millis])]))
    }
}

impl FromJava for JavaDate {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let object = input.instance(value, CLASS)?;
        let part = object.part(CLASS).ok_or_else(|| input.expected(value, CLASS))?;
        match part.annotation.as_slice() {
            [Item::Block(bytes), ..] => bytes.first_chunk().map(|bytes| i64::from_be_bytes(*bytes)),
            _ => None,
        }
        .map(|millis| Self { millis })
        .ok_or_else(|| DecodeError::Damaged {
            class: object.class_name().to_owned(),
            what: "the time is missing",
        })
    }
}
