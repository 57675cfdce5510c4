//! Settings: typed, with defaults and units, checked once.
//!
//! [`RpcConf`] is what an env is built from. Spark's keys are known only here: [`SparkConf`] holds them as
//! text, as a `spark-defaults.conf` file does.

mod bounds;
mod error;
mod properties;
mod rpc_conf;
mod spark_conf;
mod timeout;
mod units;

pub use bounds::{OutboxBounds, QueueBounds, WhenFull};
pub use error::{ConfError, Origin, REDACTED};
pub use rpc_conf::RpcConf;
pub use spark_conf::SparkConf;
pub use timeout::RpcTimeout;
pub use units::{SizeUnit, TimeUnit};

pub use spark_rpc_transport::TransportConf;
