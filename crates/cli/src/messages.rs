//! What `serve`'s endpoints understand.

use serde::{Deserialize, Serialize};
use spark_rpc::{OneWay, Request, RpcMessage};

use crate::process::ProcessUsage;

/// A text, as `spark-rpc ask` and `spark-rpc send` carry it. Its content is one string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Text {
    pub(crate) text: String,
}

impl RpcMessage for Text {
    const NAME: &'static str = "Text";
}

impl Request for Text {
    type Reply = Text;
}

impl OneWay for Text {}

/// Asks `sink` what it has counted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Count;

impl RpcMessage for Count {
    const NAME: &'static str = "Count";
}

impl Request for Count {
    type Reply = Counted;
}

/// The same, but passing everything that waits: for readings while messages keep coming.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct CountNow;

impl RpcMessage for CountNow {
    const NAME: &'static str = "CountNow";
    const CONTROL: bool = true;
}

impl Request for CountNow {
    type Reply = Counted;
}

/// One-way messages so far, and the bytes of their contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// Asks `sink` what its process has used, for `spark-rpc bench`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage;

impl RpcMessage for Usage {
    const NAME: &'static str = "Usage";
    const CONTROL: bool = true;
}

impl Request for Usage {
    type Reply = ProcessUsage;
}
