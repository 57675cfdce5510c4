//! Settings under Spark's keys, as text, in the order of the keys.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::error::{ConfError, Origin, REDACTED};
use super::properties;
use super::units::{self, SignedTime, SizeUnit, TimeUnit};

/// Settings under Spark's keys, each a line of text that is read when it is asked for.
///
/// Printing one hides the values of secrets: those whose key contains `secret`, `password`, `token` or
/// `access.key`, as Spark's default for `spark.redaction.regex`. Spark's `SparkConf`, without its lookup of
/// system properties and without `${…}` references.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use spark_rpc::config::{SparkConf, TimeUnit};
///
/// let conf = SparkConf::from_properties_str("# a comment\nspark.rpc.askTimeout  30s\n")?;
/// assert_eq!(conf.time("spark.rpc.askTimeout", TimeUnit::Seconds)?, Some(Duration::from_secs(30)));
/// # Ok::<(), spark_rpc::config::ConfError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SparkConf {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    value: String,
    origin: Option<Origin>,
}

impl SparkConf {
    /// Makes settings in which nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes settings from pairs of key and value; of a repeated key the last value counts.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut conf = Self::new();
        for (key, value) in pairs {
            conf.set(key, value);
        }
        conf
    }

    /// Reads settings from text in the form of Java's properties files, which `spark-defaults.conf` has.
    ///
    /// A key ends at white space, `=` or `:`; `#` or `!` begins a comment line; a backslash escapes, and at
    /// the end of a line continues it. Blanks around a value are dropped, escaped line ends are not, as Spark
    /// does. Of a repeated key the last value counts.
    ///
    /// # Errors
    ///
    /// [`ConfError::BadEscape`] if a `\u` escape has no four digits or makes half a character.
    pub fn from_properties_str(text: &str) -> Result<Self, ConfError> {
        Self::from_properties(text, None)
    }

    /// Reads settings from a properties file in UTF-8, such as Spark's `spark-defaults.conf`; see
    /// [`from_properties_str`](Self::from_properties_str). Errors about its values name file and line.
    ///
    /// # Errors
    ///
    /// [`ConfError::File`] if it cannot be read, [`ConfError::BadEscape`] as above.
    pub fn from_properties_file(path: impl AsRef<Path>) -> Result<Self, ConfError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|cause| ConfError::File {
            path: path.to_owned(),
            cause,
        })?;
        let text = String::from_utf8_lossy(&bytes);
        Self::from_properties(text.strip_prefix('\u{feff}').unwrap_or(&text), Some(path))
    }

    /// Sets `key` to `value`, in place of a former value.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.entries.insert(
            key.into(),
            Entry {
                value: value.into(),
                origin: None,
            },
        );
        self
    }

    /// Returns the value of `key` as it was written.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|entry| entry.value.as_str())
    }

    /// Returns whether `key` is set, to whatever value.
    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Returns where `key` was written, if it was read from a properties file or text.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.entries.get(key)?.origin.as_ref()
    }

    /// Returns the keys that are set, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Reads a time such as `50ms`, `3s`, `2min`; a bare number has the unit `bare`.
    ///
    /// # Errors
    ///
    /// [`ConfError::Unreadable`] if the value is no time, has a fraction, or is negative.
    pub fn time(&self, key: &str, bare: TimeUnit) -> Result<Option<Duration>, ConfError> {
        self.read(key, bare_time(bare), |text| {
            match units::parse_time(text, bare)? {
                SignedTime::Positive(time) => Some(time),
                SignedTime::Negative => None,
            }
        })
    }

    /// Reads a size in bytes such as `512b`, `64k`, `2m`; a bare number has the unit `bare`.
    ///
    /// # Errors
    ///
    /// [`ConfError::Unreadable`] if the value is no size, has a fraction, or is 2^64 bytes or more.
    pub fn size(&self, key: &str, bare: SizeUnit) -> Result<Option<u64>, ConfError> {
        let expected = match bare {
            SizeUnit::Bytes => "a size like 512b, 64k, 2m or 1g (a bare number means bytes)",
            SizeUnit::KiB => "a size like 512b, 64k, 2m or 1g (a bare number means KiB)",
            SizeUnit::MiB => "a size like 512b, 64k, 2m or 1g (a bare number means MiB)",
        };
        self.read(key, expected, |text| units::parse_size(text, bare))
    }

    /// Reads `true` or `false`, in letters of either case.
    ///
    /// # Errors
    ///
    /// [`ConfError::Unreadable`] if the value is anything else.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, ConfError> {
        self.read(key, "true or false", |text| match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    /// Reads a whole number that fits `T`.
    ///
    /// # Errors
    ///
    /// [`ConfError::Unreadable`] if the value is no whole number, or too large or too small for `T`.
    pub fn integer<T: TryFrom<i64>>(&self, key: &str) -> Result<Option<T>, ConfError> {
        let expected = match T::try_from(-1) {
            Ok(_) => "a whole number",
            Err(_) => "a whole number, 0 or more",
        };
        self.read(key, expected, |text| T::try_from(text.trim().parse().ok()?).ok())
    }

    /// Reads a time that may be negative.
    pub(super) fn signed_time(&self, key: &str, bare: TimeUnit) -> Result<Option<SignedTime>, ConfError> {
        self.read(key, bare_time(bare), |text| units::parse_time(text, bare))
    }

    /// Reads a value with `parse`; where that gives `None`, the error says that `expected` was expected.
    pub(super) fn read<T>(
        &self,
        key: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfError> {
        let Some(entry) = self.entries.get(key) else {
            return Ok(None);
        };
        let Some(value) = parse(&entry.value) else {
            let value = printable(key, &entry.value).to_owned();
            let origin = entry.origin.clone();
            return Err(ConfError::Unreadable {
                key: key.to_owned(),
                value,
                expected,
                origin,
            });
        };
        Ok(Some(value))
    }

    fn from_properties(text: &str, file: Option<&Path>) -> Result<Self, ConfError> {
        let mut conf = Self::new();
        for property in properties::parse(text) {
            let origin = Origin::new(file, property.line);
            let (Some(key), Some(value)) = (property.key, property.value) else {
                return Err(ConfError::BadEscape { origin });
            };
            let value = properties::trim_blanks(&value).to_owned();
            conf.entries.insert(
                key,
                Entry {
                    value,
                    origin: Some(origin),
                },
            );
        }
        Ok(conf)
    }
}

impl fmt::Debug for SparkConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printed = self
            .entries
            .iter()
            .map(|(key, entry)| (key, printable(key, &entry.value)));
        f.debug_map().entries(printed).finish()
    }
}

/// One `key=value` per line, in the order of the keys, without the values of secrets.
impl fmt::Display for SparkConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, entry) in &self.entries {
            writeln!(f, "{key}={}", printable(key, &entry.value))?;
        }
        Ok(())
    }
}

/// Returns what may be shown of a value: nothing if its key is that of a secret.
pub(super) fn printable<'v>(key: &str, value: &'v str) -> &'v str {
    let key = key.to_ascii_lowercase();
    let secret = ["secret", "password", "token", "access.key", "accesskey"]
        .iter()
        .any(|word| key.contains(word));
    if secret { REDACTED } else { value }
}

fn bare_time(bare: TimeUnit) -> &'static str {
    match bare {
        TimeUnit::Microseconds => {
            "a time like 10us, 50ms, 3s, 2min, 1h or 5d (a bare number means microseconds)"
        }
        TimeUnit::Milliseconds => {
            "a time like 10us, 50ms, 3s, 2min, 1h or 5d (a bare number means milliseconds)"
        }
        TimeUnit::Seconds => "a time like 10us, 50ms, 3s, 2min, 1h or 5d (a bare number means seconds)",
    }
}

#[cfg(test)]
#[path = "spark_conf_tests.rs"]
mod tests;
