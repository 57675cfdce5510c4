//! A time limit together with the name of the setting that controls it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::error::ConfError;
use super::spark_conf::SparkConf;
use super::units::TimeUnit;

/// A time limit that knows which setting controls it, so that a timeout can tell its reader what to change.
///
/// [`Display`](fmt::Display) writes the end of Spark's timeout messages: `120 seconds. This timeout is
/// controlled by spark.rpc.askTimeout`. Spark's `RpcTimeout`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use spark_rpc::config::RpcTimeout;
///
/// let timeout = RpcTimeout::new(Duration::from_millis(10), "spark.rpc.short.timeout");
/// assert_eq!(
///     format!("No answer in {timeout}"),
///     "No answer in 10 milliseconds. This timeout is controlled by spark.rpc.short.timeout"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RpcTimeout {
    /// The limit.
    pub duration: Duration,
    /// Name of the setting that controls it, such as `spark.rpc.askTimeout`.
    pub setting: Cow<'static, str>,
}

impl RpcTimeout {
    /// Makes a limit controlled by `setting`.
    pub fn new(duration: Duration, setting: impl Into<Cow<'static, str>>) -> Self {
        Self {
            duration,
            setting: setting.into(),
        }
    }

    /// Reads the limit from one setting, which has to be there. A bare number means seconds; fractions of a
    /// second are cut off, as Spark does.
    ///
    /// # Errors
    ///
    /// [`ConfError::Missing`] if `key` is not set, [`ConfError::Unreadable`] if its value is no time.
    pub fn from_setting(conf: &SparkConf, key: &str) -> Result<Self, ConfError> {
        Self::read(conf, key)?.ok_or_else(|| ConfError::Missing { key: key.to_owned() })
    }

    /// Reads the limit from the first of `keys` that is set; if none is, takes `default` under the name of
    /// the first key.
    ///
    /// # Errors
    ///
    /// [`ConfError::Unreadable`] if the value of the first key set is no time.
    ///
    /// # Panics
    ///
    /// Panics if `keys` is empty.
    pub fn from_first_set(
        conf: &SparkConf,
        keys: &[&'static str],
        default: Duration,
    ) -> Result<Self, ConfError> {
        for key in keys {
            if let Some(timeout) = Self::read(conf, key)? {
                return Ok(timeout);
            }
        }
        let first = keys
            .first()
            .expect("a timeout is controlled by at least one setting");
        Ok(Self::new(default, *first))
    }

    /// Returns `message` with the sentence that names the controlling setting.
    ///
    /// The sentence is added only once: a message that already has one, of this or of another setting, comes
    /// back unchanged, however many layers apply their timeout to it.
    pub fn add_once<'m>(&self, message: &'m str) -> Cow<'m, str> {
        if message.contains(CONTROLLED_BY) {
            return Cow::Borrowed(message);
        }
        let message = message.trim_end_matches(['.', ' ']);
        Cow::Owned(format!("{message}. {CONTROLLED_BY}{}", self.setting))
    }

    fn read(conf: &SparkConf, key: &str) -> Result<Option<Self>, ConfError> {
        let time = conf.time(key, TimeUnit::Seconds)?;
        Ok(time.map(|time| Self::new(Duration::from_secs(time.as_secs()), key.to_owned())))
    }
}

impl fmt::Display for RpcTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {CONTROLLED_BY}{}", InWords(self.duration), self.setting)
    }
}

/// A duration as Scala prints it, in the largest unit up to seconds that leaves no rest.
struct InWords(Duration);

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (number, unit) = match nanos {
            n if n % 1_000_000_000 == 0 => (n / 1_000_000_000, "second"),
            n if n % 1_000_000 == 0 => (n / 1_000_000, "millisecond"),
            n if n % 1_000 == 0 => (n / 1_000, "microsecond"),
            n => (n, "nanosecond"),
        };
        let plural = if number == 1 { "" } else { "s" };
        write!(f, "{number} {unit}{plural}")
    }
}

const CONTROLLED_BY: &str = "This timeout is controlled by ";

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Duration = Duration::from_secs(1);

    /// ENV-22
    #[test]
    fn one_setting_gives_its_time_and_its_name() {
        let conf = SparkConf::from_pairs([("spark.rpc.testProperty", "30s")]);
        let timeout = RpcTimeout::from_setting(&conf, "spark.rpc.testProperty").unwrap();
        assert_eq!(
            timeout,
            RpcTimeout::new(Duration::from_secs(30), "spark.rpc.testProperty")
        );
    }

    /// ENV-22
    #[test]
    fn of_several_settings_the_first_one_set_wins() {
        let conf = SparkConf::from_pairs([("b", "2s"), ("c", "3s")]);
        let timeout = RpcTimeout::from_first_set(&conf, &["a", "b", "c"], DEFAULT).unwrap();
        assert_eq!(timeout, RpcTimeout::new(Duration::from_secs(2), "b"));
    }

    /// ENV-22
    #[test]
    fn without_any_setting_the_default_goes_by_the_first_name() {
        let timeout = RpcTimeout::from_first_set(&SparkConf::new(), &["a", "b", "c"], DEFAULT).unwrap();
        assert_eq!(timeout, RpcTimeout::new(DEFAULT, "a"));
    }

    /// ENV-22
    #[test]
    fn a_single_setting_that_is_missing_is_an_error() {
        let missing = RpcTimeout::from_setting(&SparkConf::new(), "spark.rpc.testProperty").unwrap_err();
        assert!(
            matches!(&missing, ConfError::Missing { key } if key == "spark.rpc.testProperty"),
            "{missing}"
        );
    }

    #[test]
    fn a_bare_number_means_seconds_and_fractions_of_a_second_are_cut_off() {
        let conf = SparkConf::from_pairs([("bare", "7"), ("fraction", "2999ms")]);
        let read = |key| RpcTimeout::from_setting(&conf, key).unwrap().duration;
        assert_eq!(read("bare"), Duration::from_secs(7));
        assert_eq!(read("fraction"), Duration::from_secs(2));
    }

    /// ENV-23
    #[test]
    fn the_controlling_setting_is_named_once_however_many_layers_add_it() {
        let inner = RpcTimeout::new(Duration::from_millis(10), "spark.rpc.short.timeout");
        let outer = RpcTimeout::new(Duration::from_secs(1), "spark.rpc.long.timeout");

        let once = inner
            .add_once("Futures timed out after [10 milliseconds]")
            .into_owned();
        assert_eq!(
            once,
            "Futures timed out after [10 milliseconds]. This timeout is controlled by spark.rpc.short.timeout"
        );
        assert_eq!(inner.add_once(&once), once);
        assert_eq!(outer.add_once(&once), once);
        assert_eq!(
            inner.add_once("Late."),
            "Late. This timeout is controlled by spark.rpc.short.timeout"
        );
    }

    #[test]
    fn it_reads_like_the_end_of_sparks_message() {
        let text = |duration| RpcTimeout::new(duration, "x").to_string();
        assert_eq!(
            text(Duration::from_secs(120)),
            "120 seconds. This timeout is controlled by x"
        );
        assert_eq!(
            text(Duration::from_secs(1)),
            "1 second. This timeout is controlled by x"
        );
        assert_eq!(
            text(Duration::from_millis(1200)),
            "1200 milliseconds. This timeout is controlled by x"
        );
        assert_eq!(
            text(Duration::from_micros(5)),
            "5 microseconds. This timeout is controlled by x"
        );
    }
}
