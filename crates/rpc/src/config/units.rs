//! Times and sizes as Spark writes them: `50ms`, `2min`, `64k`, `1g`.

use std::time::Duration;

/// The unit of a time without a suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// 1/1 000 000 s.
    Microseconds,
    /// 1/1000 s.
    Milliseconds,
    /// 1 s.
    Seconds,
}

impl TimeUnit {
    fn micros(self) -> u64 {
        match self {
            Self::Microseconds => 1,
            Self::Milliseconds => 1_000,
            Self::Seconds => 1_000_000,
        }
    }
}

/// The unit of a size without a suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeUnit {
    /// 1 byte.
    Bytes,
    /// 1024 bytes.
    KiB,
    /// 1024² bytes.
    MiB,
}

impl SizeUnit {
    fn bytes(self) -> u64 {
        match self {
            Self::Bytes => 1,
            Self::KiB => 1 << 10,
            Self::MiB => 1 << 20,
        }
    }
}

/// A time that may be negative, which some of Spark's keys use for "off".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignedTime {
    Negative,
    Positive(Duration),
}

/// Reads a time: an integer, then one of `us ms s m min h d` or nothing for `bare`. Case does not matter.
pub(super) fn parse_time(text: &str, bare: TimeUnit) -> Option<SignedTime> {
    let text = text.trim().to_ascii_lowercase();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let (number, suffix) = split_number(unsigned)?;
    let unit = match suffix {
        "" => bare.micros(),
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    let micros = number.checked_mul(unit)?;
    Some(match negative && micros > 0 {
        true => SignedTime::Negative,
        false => SignedTime::Positive(Duration::from_micros(micros)),
    })
}

/// Reads a size in bytes: an integer, then one of `b k kb m mb g gb t tb p pb` or nothing for `bare`.
/// Case does not matter.
pub(super) fn parse_size(text: &str, bare: SizeUnit) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let (number, suffix) = split_number(&text)?;
    let unit = match suffix {
        "" => bare.bytes(),
        "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        "t" | "tb" => 1 << 40,
        "p" | "pb" => 1 << 50,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Splits leading decimal digits, at least one, from what follows.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    Some((digits.parse().ok()?, suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<u64> {
        match parse_time(text, TimeUnit::Seconds)? {
            SignedTime::Positive(time) => u64::try_from(time.as_micros()).ok(),
            SignedTime::Negative => panic!("{text} is negative"),
        }
    }

    #[test]
    fn every_suffix_of_a_time_is_understood() {
        assert_eq!(micros("10us"), Some(10));
        assert_eq!(micros("50ms"), Some(50_000));
        assert_eq!(micros("3s"), Some(3_000_000));
        assert_eq!(micros("2m"), Some(120_000_000));
        assert_eq!(micros("2min"), Some(120_000_000));
        assert_eq!(micros("1h"), Some(3_600_000_000));
        assert_eq!(micros("5d"), Some(5 * 86_400_000_000));
        assert_eq!(micros(" 3S "), Some(3_000_000));
    }

    #[test]
    fn a_bare_number_has_the_unit_of_its_key() {
        let seven = |unit| parse_time("7", unit);
        assert_eq!(
            seven(TimeUnit::Microseconds),
            Some(SignedTime::Positive(Duration::from_micros(7)))
        );
        assert_eq!(
            seven(TimeUnit::Milliseconds),
            Some(SignedTime::Positive(Duration::from_millis(7)))
        );
        assert_eq!(
            seven(TimeUnit::Seconds),
            Some(SignedTime::Positive(Duration::from_secs(7)))
        );
        assert_eq!(parse_size("7", SizeUnit::Bytes), Some(7));
        assert_eq!(parse_size("7", SizeUnit::KiB), Some(7 << 10));
        assert_eq!(parse_size("7", SizeUnit::MiB), Some(7 << 20));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "s",
            "1.5s",
            "1,5",
            "3 s",
            "+3s",
            "1w",
            "--1",
            "1s2",
            "9e9",
            "18446744073709551615d",
        ] {
            assert_eq!(parse_time(text, TimeUnit::Seconds), None, "{text:?}");
        }
    }

    #[test]
    fn a_time_may_be_negative_and_minus_zero_is_zero() {
        assert_eq!(parse_time("-1", TimeUnit::Seconds), Some(SignedTime::Negative));
        assert_eq!(parse_time("-1ms", TimeUnit::Seconds), Some(SignedTime::Negative));
        assert_eq!(
            parse_time("-0s", TimeUnit::Seconds),
            Some(SignedTime::Positive(Duration::ZERO))
        );
    }

    #[test]
    fn every_suffix_of_a_size_is_understood() {
        let bytes = |text| parse_size(text, SizeUnit::Bytes);
        assert_eq!(bytes("512b"), Some(512));
        assert_eq!(bytes("64k"), Some(64 << 10));
        assert_eq!(bytes("64KB"), Some(64 << 10));
        assert_eq!(bytes("2m"), Some(2 << 20));
        assert_eq!(bytes("1g"), Some(1 << 30));
        assert_eq!(bytes("1t"), Some(1 << 40));
        assert_eq!(bytes("1pb"), Some(1 << 50));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "k",
            "0.5k",
            "-1",
            "1 k",
            "1kib",
            "1x",
            "16384p",
            "99999999999999999999",
        ] {
            assert_eq!(parse_size(text, SizeUnit::Bytes), None, "{text:?}");
        }
    }
}
