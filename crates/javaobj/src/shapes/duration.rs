//! Lengths of time.

use std::borrow::Cow;
use std::time::Duration;

use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, Level, ToJava};
use crate::ids::Scala;
use crate::object::Value;
use crate::shapes::JavaEnum;

const CLASS: &str = "scala.concurrent.duration.FiniteDuration";
const TIME_UNIT: &str = "java.util.concurrent.TimeUnit";

/// `java.util.concurrent.TimeUnit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimeUnit {
    /// 10⁻⁹ s
    Nanoseconds,
    /// 10⁻⁶ s
    Microseconds,
    /// 10⁻³ s
    Milliseconds,
    /// 1 s
    Seconds,
    /// 60 s
    Minutes,
    /// 3600 s
    Hours,
    /// 86 400 s
    Days,
}

impl TimeUnit {
    const ALL: [(Self, &'static str, u64); 7] = [
        (Self::Nanoseconds, "NANOSECONDS", 1),
        (Self::Microseconds, "MICROSECONDS", 1_000),
        (Self::Milliseconds, "MILLISECONDS", 1_000_000),
        (Self::Seconds, "SECONDS", 1_000_000_000),
        (Self::Minutes, "MINUTES", 60_000_000_000),
        (Self::Hours, "HOURS", 3_600_000_000_000),
        (Self::Days, "DAYS", 86_400_000_000_000),
    ];

    fn entry(self) -> (Self, &'static str, u64) {
        Self::ALL[self as usize]
    }
}

impl ToJava for TimeUnit {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Ljava/util/concurrent/TimeUnit;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        Ok(out.enum_constant(TIME_UNIT, self.entry().1))
    }
}

impl FromJava for TimeUnit {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let constant = input.decode::<JavaEnum>(value)?;
        let found = Self::ALL.iter().find(|(_, name, _)| *name == constant.constant);
        found
            .filter(|_| constant.class == TIME_UNIT)
            .map(|(unit, _, _)| *unit)
            .ok_or_else(|| input.expected(value, TIME_UNIT))
    }
}

/// `scala.concurrent.duration.FiniteDuration`, with its unit; a Rust [`Duration`] does where the unit does not matter.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use spark_rpc_javaobj::{FiniteDuration, TimeUnit};
///
/// let two_minutes = FiniteDuration { length: 120, unit: TimeUnit::Seconds };
/// assert_eq!(FiniteDuration::from(Duration::from_secs(120)), two_minutes);
/// assert_eq!(Duration::try_from(two_minutes), Ok(Duration::from_secs(120)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiniteDuration {
    /// How many of the unit.
    pub length: i64,
    /// The unit.
    pub unit: TimeUnit,
}

/// A length of time below zero, which Rust has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a duration below zero")]
pub struct NegativeDuration;

impl TryFrom<FiniteDuration> for Duration {
    type Error = NegativeDuration;

    fn try_from(duration: FiniteDuration) -> Result<Self, NegativeDuration> {
        let length = u64::try_from(duration.length).map_err(|_| NegativeDuration)?;
        let nanos = u128::from(length) * u128::from(duration.unit.entry().2);
        const SECOND: u128 = 1_000_000_000;
        // 2⁶³ days would be too many seconds; Scala itself allows no more than 292 years.
        let seconds = u64::try_from(nanos / SECOND).unwrap_or(u64::MAX);
        Ok(Self::new(seconds, (nanos % SECOND) as u32))
    }
}

impl From<Duration> for FiniteDuration {
    /// Chooses the largest unit up to seconds that expresses the length exactly; cuts what is beyond 2⁶³ ns.
    fn from(duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let exact = TimeUnit::ALL[..4]
            .iter()
            .rfind(|(_, _, size)| nanos % *size as i64 == 0);
        let (unit, _, size) = exact.expect("nanoseconds are always exact");
        Self {
            length: nanos / *size as i64,
            unit: *unit,
        }
    }
}

impl ToJava for FiniteDuration {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Lscala/concurrent/duration/FiniteDuration;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let unit = self.unit.to_java(out)?;
        let duration = Level::new("scala.concurrent.duration.Duration");
        let finite = Level::new(CLASS)
            .with("length", "J", Value::Long(self.length))
            .with("unit", "Ljava/util/concurrent/TimeUnit;", unit);
        Ok(out.instance(vec![duration, finite]))
    }
}

impl FromJava for FiniteDuration {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let object = input.instance(value, CLASS)?;
        if object.class_name() != CLASS {
            return Err(input.expected(value, CLASS));
        }
        Ok(Self {
            length: input.field(&object, CLASS, "length")?,
            unit: input.field(&object, CLASS, "unit")?,
        })
    }
}

/// `FiniteDuration`.
impl ToJava for Duration {
    fn descriptor(scala: Scala) -> Cow<'static, str> {
        FiniteDuration::descriptor(scala)
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        FiniteDuration::from(*self).to_java(out)
    }
}

impl FromJava for Duration {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let duration = input.decode::<FiniteDuration>(value)?;
        duration.try_into().map_err(|_| DecodeError::OutOfRange {
            value: format!("{} {}", duration.length, duration.unit.entry().1),
            into: "Duration",
        })
    }
}
