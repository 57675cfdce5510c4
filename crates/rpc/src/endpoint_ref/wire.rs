//! References inside messages.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spark_rpc_javaobj::{
    DecodeError, Decoder, EncodeError, Encoder, FromJava, NettyRpcEndpointRef, Scala, ToJava, Value,
};

use super::{Route, RpcEndpointRef};
use crate::address::{RpcAddress, RpcEndpointAddress};
use crate::decoding;

/// A reference as it travels inside a message.
#[derive(Serialize, Deserialize)]
struct WireRef {
    address: RpcEndpointAddress,
    /// The env of the endpoint; 0 if the writer does not know it.
    env: u64,
    /// Whether the endpoint is in the env that wrote this.
    own: bool,
}

impl Serialize for RpcEndpointRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        WireRef {
            address: self.address().clone(),
            env: self.inner.env_id,
            own: self.is_local(),
        }
        .serialize(serializer)
    }
}

/// Reads a reference that came in a message. Outside of an env's own decoding the reference can be looked at, but leads
/// nowhere.
impl<'de> Deserialize<'de> for RpcEndpointRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let address: RpcEndpointAddress = text.parse().map_err(serde::de::Error::custom)?;
            return Ok(match decoding::current() {
                Some(context) => RpcEndpointRef::at(&context.env, address),
                None => RpcEndpointRef::new(address, 0, Route::None(None)),
            });
        }
        let WireRef { address, env, own } = WireRef::deserialize(deserializer)?;
        let Some(context) = decoding::current() else {
            return Ok(RpcEndpointRef::new(address, env, Route::None(None)));
        };
        let here = &context.env;
        if env == here.id && address.address() == here.address() {
            let mailbox = here.dispatcher.find(address.name()).ok();
            return Ok(RpcEndpointRef::local(Arc::clone(here), address.name(), mailbox));
        }
        // Spark uses the connection that the reference came on for every reference, also for one to a third env, whose
        // messages then end at the wrong env. Here only what the peer says is its own goes back to it.
        let connection = context
            .client
            .filter(|_| own)
            .map(|client| (client, context.peer));
        Ok(RpcEndpointRef::remote(here, address, env, connection))
    }
}

/// A reference as JVMs write it. They do not say whether the endpoint is in their own env, so its address decides.
impl ToJava for RpcEndpointRef {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Lorg/apache/spark/rpc/RpcEndpointRef;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let timeout = self
            .env()
            .map_or(DEFAULT_ASK_TIMEOUT, |env| env.ask_timeout.duration);
        let address = self
            .address()
            .address()
            .map(|address| spark_rpc_javaobj::RpcAddress {
                host: address.host().to_owned(),
                port: i32::from(address.port()),
            });
        NettyRpcEndpointRef::new(self.name(), address, timeout).to_java(out)
    }
}

/// Reads a reference that came in a Java message. Outside of an env's own decoding it can be looked at, but leads nowhere.
impl FromJava for RpcEndpointRef {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let endpoint = NettyRpcEndpointRef::from_java(value, input)?.endpoint_address;
        let address = match endpoint.rpc_address {
            Some(address) => {
                let out_of_range = |_| DecodeError::OutOfRange {
                    value: address.port.to_string(),
                    into: "u16",
                };
                let port = u16::try_from(address.port).map_err(out_of_range)?;
                let length = address.host.len();
                let address = RpcAddress::told(address.host, port);
                Some(address.ok_or_else(|| DecodeError::OutOfRange {
                    value: format!("a host of {length} bytes"),
                    into: "RpcAddress",
                })?)
            }
            None => None,
        };
        let address = RpcEndpointAddress::new(&endpoint.name, address);
        let Some(context) = decoding::current() else {
            return Ok(Self::new(address, 0, Route::None(None)));
        };
        if address.address() == context.env.address() {
            return Ok(Self::at(&context.env, address));
        }
        let own = address.address().is_none() || address.address() == context.peer.address();
        let env_id = if address.address().is_none() {
            context.peer.id
        } else {
            0
        };
        if !own && let Some(third) = address.address() {
            context.env.peer(third).memory.presume_like(&context.peer);
        }
        let connection = context
            .client
            .filter(|_| own)
            .map(|client| (client, context.peer));
        Ok(Self::remote(&context.env, address, env_id, connection))
    }

    fn matches(value: Value, input: &Decoder<'_>) -> bool {
        NettyRpcEndpointRef::matches(value, input)
    }
}

/// What a reference outside of any env says of itself: Spark's default.
const DEFAULT_ASK_TIMEOUT: Duration = Duration::from_secs(120);
