//! What translating and relating settings has to tell without refusing them.

use std::fmt;

/// What translating Spark's keys has to tell. Made by `RpcConf::from_spark`; otherwise empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfNotes {
    pub(super) ignored: Vec<IgnoredKey>,
    pub(super) warnings: Vec<ConfWarning>,
}

/// A key of Spark's that was set and has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredKey {
    /// The key.
    pub key: &'static str,
    /// Why it has no effect.
    pub reason: &'static str,
}

impl fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has no effect: {}", self.key, self.reason)
    }
}

/// Something that is allowed but probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfWarning {
    /// A key looks like one of the RPC layer's, but is none.
    UnknownKey {
        /// The key as written.
        key: String,
        /// The known key that is most like it, if any is.
        suggestion: Option<&'static str>,
    },
    /// Only the whole seconds of a time count, and it has a fraction.
    Truncated {
        /// The key.
        key: String,
        /// Its value as written.
        value: String,
        /// What it counts as.
        counts_as: String,
    },
    /// Two settings get in each other's way.
    AtOdds {
        /// Name of the first setting.
        setting: String,
        /// Its value.
        value: String,
        /// Name of the other setting.
        other: String,
        /// The value of that one.
        other_value: String,
        /// What will happen.
        why: &'static str,
    },
    /// A key that both sides of a connection must agree on is not set, and the default here is not Spark's.
    NotSparksDefault {
        /// The key.
        key: &'static str,
        /// What counts here.
        ours: &'static str,
        /// What counts in Spark.
        sparks: &'static str,
    },
}

impl fmt::Display for ConfWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey {
                key,
                suggestion: None,
            } => write!(f, "{key} is not a known key"),
            Self::UnknownKey {
                key,
                suggestion: Some(like),
            } => {
                write!(f, "{key} is not a known key; did you mean {like}?")
            }
            Self::Truncated {
                key,
                value,
                counts_as,
            } => {
                write!(
                    f,
                    "{key} = {value} counts as {counts_as}: only whole seconds count"
                )
            }
            Self::AtOdds {
                setting,
                value,
                other,
                other_value,
                why,
            } => {
                write!(
                    f,
                    "{setting} = {value} is at odds with {other} = {other_value}: {why}"
                )
            }
            Self::NotSparksDefault { key, ours, sparks } => {
                write!(
                    f,
                    "{key} is not set and counts as {ours}; for peers of Spark, where it counts as {sparks}, both sides \
                     must set the same, or this one spark.rpc.security.defaults = spark"
                )
            }
        }
    }
}
