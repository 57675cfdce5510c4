//! Settings: typed, with defaults and units, checked once.
//!
//! [`RpcConf`] is what an env is built from. Spark's keys are known only here: [`SparkConf`] holds them as
//! text, as a `spark-defaults.conf` file does, and [`RpcConf::from_spark`] translates. Every key is listed in
//! `docs/configuration.md`, which a test compares with [`known_keys`].
//!
//! # Examples
//!
//! ```
//! use spark_rpc::config::{RpcConf, SparkConf};
//!
//! let spark = SparkConf::from_properties_str("spark.network.timeout 300s\nspark.rpc.askTimout 10s\n")?;
//! let conf = RpcConf::from_spark(&spark)?;
//! assert_eq!(conf.ask_timeout.duration.as_secs(), 300);
//! assert_eq!(
//!     conf.warnings()[0].to_string(),
//!     "spark.rpc.askTimout is not a known key; did you mean spark.rpc.askTimeout?"
//! );
//! # Ok::<(), spark_rpc::config::ConfError>(())
//! ```

mod addresses;
mod bounds;
mod error;
mod keys;
mod notes;
mod properties;
mod relations;
mod rpc_conf;
mod security;
mod spark_conf;
mod suggest;
mod timeout;
mod translate;
mod translate_security;
mod units;
mod validate;
mod with;

pub use addresses::EnvAddresses;
pub use bounds::{OutboxBounds, QueueBounds, WhenFull};
pub use error::{ConfError, Origin, REDACTED, Written};
pub use keys::{Effect, KeyInfo, Owner, known_keys};
pub use notes::{ConfNotes, ConfWarning, IgnoredKey};
pub use rpc_conf::RpcConf;
pub use security::SecurityConf;
pub use spark_conf::SparkConf;
pub use timeout::RpcTimeout;
pub use translate::transport_from_spark;
pub use units::{SizeUnit, TimeUnit};

pub use spark_rpc_transport::TransportConf;
