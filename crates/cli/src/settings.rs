//! What the arguments about settings mean.

use std::net::Ipv6Addr;
use std::time::Duration;

use spark_rpc::RpcAddress;
use spark_rpc::config::{RpcConf, SparkConf};

use crate::args::ConfArgs;
use crate::exit::Failure;
use crate::output;

impl ConfArgs {
    /// Translates Spark's keys: those of the file, then those of `--conf`, which win. Doubtful ones are told on standard
    /// error.
    pub(crate) fn to_conf(&self) -> Result<RpcConf, Failure> {
        let mut spark = match &self.properties_file {
            Some(file) => SparkConf::from_properties_file(file).map_err(|error| {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                let cause = cause.unwrap_or_default();
                Failure::usage(format_args!("--properties-file: {error}{cause}"))
            })?,
            None => SparkConf::new(),
        };
        for (key, value) in &self.conf {
            spark.set(key, value);
        }
        let conf = RpcConf::from_spark(&spark).map_err(Failure::usage)?;
        for ignored in conf.ignored() {
            output::warning(ignored);
        }
        for warning in conf.warnings() {
            output::warning(warning);
        }
        Ok(conf)
    }
}

/// Reads `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as spark.rpc.askTimeout=30s".to_owned()),
    }
}

/// Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`; without a port it is 0, any free one.
pub(crate) fn bind_address(text: &str) -> Result<RpcAddress, String> {
    let bare_host = !text.contains(':') || text.ends_with(']') || text.parse::<Ipv6Addr>().is_ok();
    if !bare_host {
        return text.parse().map_err(|_| BIND_EXPECTED.to_owned());
    }
    let address = RpcAddress::new(text, 0);
    // Written and read once more, so that a host that cannot be is refused here.
    address.to_string().parse().map_err(|_| BIND_EXPECTED.to_owned())
}

/// Reads seconds, such as `5` or `0.2`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    if !(0.0..=MOST_SECONDS).contains(&number) {
        return Err(format!("expected 0 to {MOST_SECONDS} seconds"));
    }
    Ok(Duration::from_secs_f64(number))
}

/// Reads seconds, but not 0.
pub(crate) fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("expected more than 0 seconds".to_owned()),
        time => Ok(time),
    }
}

/// Reads a number of at least 1.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a whole number of at least 1".to_owned()),
    }
}

/// Reads the size of a payload that fits into a frame.
pub(crate) fn payload_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes <= LARGEST_PAYLOAD => Ok(bytes),
        _ => Err(format!(
            "expected a whole number of bytes, at most {LARGEST_PAYLOAD}"
        )),
    }
}

const BIND_EXPECTED: &str = "expected HOST or HOST:PORT, such as 127.0.0.1 or 127.0.0.1:7077";
/// 64 MiB: what a write queue holds by default.
const LARGEST_PAYLOAD: usize = 64 << 20;
/// One day.
const MOST_SECONDS: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_bind_may_lack_its_port() {
        let read = |text: &str| bind_address(text).unwrap().to_string();
        assert_eq!(read("127.0.0.1"), "127.0.0.1:0");
        assert_eq!(read("127.0.0.1:7077"), "127.0.0.1:7077");
        assert_eq!(read("::1"), "[::1]:0");
        assert_eq!(read("[::1]"), "[::1]:0");
        assert_eq!(read("[::1]:7077"), "[::1]:7077");
        for wrong in ["", "a b", "h:x", "h:70000", "h:", "[x]", "spark://a@b:1"] {
            assert!(bind_address(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn seconds_may_have_a_fraction_but_no_sign() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for wrong in ["", "x", "-1", "nan", "inf", "1e9"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
        assert!(some_seconds("0").is_err());
    }

    #[test]
    fn a_setting_is_a_key_and_a_value_that_may_hold_equals_signs() {
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(key_value("a="), Ok(("a".into(), String::new())));
        assert!(key_value("=b").is_err());
        assert!(key_value("a").is_err());
    }
}
