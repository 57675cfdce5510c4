//! The messages of the test endpoints, and the way by which an endpoint takes them.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spark_rpc::{OneWay, Request, RpcEndpointRef, RpcMessage};

/// Declares messages: `Name(fields) => Reply;` for one that is asked, `Name(fields);` for a one-way one.
macro_rules! messages {
    ($($name:ident ( $($field:ty),* ) $(=> $reply:ty)?;)*) => {$(
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name($(pub $field),*);

        impl RpcMessage for $name {
            const NAME: &'static str = stringify!($name);
        }

        messages!(@kind $name $($reply)?);
    )*};
    (@kind $name:ident $reply:ty) => {
        impl Request for $name {
            type Reply = $reply;
        }
    };
    (@kind $name:ident) => {
        impl OneWay for $name {}
    };
}

/// Writes the enum of an endpoint's messages and its `Inbound`, as `#[rpc_endpoint]` does.
#[macro_export]
macro_rules! inbound {
    ($name:ident { ask: $($ask:ident),*; tell: $($tell:ident),*; }) => {
        pub enum $name {
            $($ask($ask, spark_rpc::Reply<<$ask as spark_rpc::Request>::Reply>),)*
            $($tell($tell),)*
        }

        impl spark_rpc::Inbound for $name {
            fn accept(parcel: &mut spark_rpc::Parcel<'_>) -> Result<Option<Self>, spark_rpc::DecodeError> {
                $(if let Some((message, reply)) = parcel.request()? {
                    return Ok(Some(Self::$ask(message, reply)));
                })*
                $(if let Some(message) = parcel.one_way()? {
                    return Ok(Some(Self::$tell(message)));
                })*
                Ok(None)
            }

            fn message(&self) -> &'static str {
                use spark_rpc::RpcMessage as _;
                match self {
                    $(Self::$ask(..) => $ask::NAME,)*
                    $(Self::$tell(..) => $tell::NAME,)*
                }
            }

            fn is_control(parcel: &spark_rpc::Parcel<'_>) -> bool {
                use spark_rpc::RpcMessage as _;
                $(($ask::CONTROL && parcel.holds::<$ask>()) ||)* $(($tell::CONTROL && parcel.holds::<$tell>()) ||)* false
            }
        }
    };
}

messages! {
    // Asked.
    Echo(String) => String;
    Sum() => u64;
    Misbehave(How) => u64;
    Keep(u64) => u64;
    WhoAmI() => RpcEndpointRef;
    WhoAsks() => Option<String>;
    EchoThrough(RpcEndpointRef, String) => Result<String, String>;
    Unwritable() => Broken;
    NobodyAnswers() => u64;

    // One-way.
    Note(u64);
    Fail(How);
    Block();
    Remember(RpcEndpointRef);
    Bulk(Vec<u8>);
    NobodyListens();
}

/// How a handler goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It answers with a failure, or returns an error.
    Error,
    Panic,
    /// It drops the reply handle.
    Drop,
}

/// Passes others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Urgent(pub u64);

impl RpcMessage for Urgent {
    const NAME: &'static str = "Urgent";
    const CONTROL: bool = true;
}

impl OneWay for Urgent {}

/// Goes by the name of [`Echo`] and has no string in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FakeEcho(pub [u8; 3]);

impl FakeEcho {
    /// A string of 200 bytes, of which one is there.
    pub const CUT_OFF: Self = Self([0xc8, 0x01, b'x']);
}

impl RpcMessage for FakeEcho {
    const NAME: &'static str = "Echo";
}

impl Request for FakeEcho {
    type Reply = String;
}

/// Goes by the name of [`Note`] and has no number in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FakeNote(pub [u8; 3]);

impl RpcMessage for FakeNote {
    const NAME: &'static str = "Note";
}

impl OneWay for FakeNote {}

/// Is [`Echo`], and expects another reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EchoForNumbers(pub String);

impl RpcMessage for EchoForNumbers {
    const NAME: &'static str = "Echo";
}

impl Request for EchoForNumbers {
    type Reply = (u64, u64);
}

/// A value that can be neither written nor read.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken;

impl Serialize for Broken {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("broken on purpose"))
    }
}

impl<'de> Deserialize<'de> for Broken {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("broken on purpose"))
    }
}

messages! {
    BrokenAsk(Broken) => u64;
    BrokenNote(Broken);
}
