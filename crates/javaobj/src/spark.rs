//! The classes of Spark's own RPC layer that travel inside messages.

use std::fmt;
use std::time::Duration;

use crate::{JavaObject, Throwable};

/// `org.apache.spark.rpc.RpcAddress`: where an env listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, JavaObject)]
#[java(class = "org.apache.spark.rpc.RpcAddress")]
pub struct RpcAddress {
    /// The host, as the env names itself.
    pub host: String,
    /// The port.
    pub port: i32,
}

/// `org.apache.spark.rpc.RpcEndpointAddress`: an endpoint of an env.
#[derive(Debug, Clone, PartialEq, Eq, Hash, JavaObject)]
#[java(class = "org.apache.spark.rpc.RpcEndpointAddress")]
pub struct RpcEndpointAddress {
    /// The endpoint's name.
    pub name: String,
    /// Where its env listens; nowhere when it is a pure client.
    #[java(nullable)]
    pub rpc_address: Option<RpcAddress>,
    /// The URI, which JVMs compute once and send along.
    #[java(name = "toString")]
    pub uri: String,
}

impl RpcEndpointAddress {
    /// Makes the address of an endpoint, with its URI.
    pub fn new(name: &str, rpc_address: Option<RpcAddress>) -> Self {
        let uri = match &rpc_address {
            Some(address) => format!("spark://{name}@{}:{}", address.host, address.port),
            None => format!("spark-client://{name}"),
        };
        Self {
            name: name.to_owned(),
            rpc_address,
            uri,
        }
    }
}

/// `org.apache.spark.rpc.RpcTimeout`: a limit, and the setting that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, JavaObject)]
#[java(class = "org.apache.spark.rpc.RpcTimeout")]
pub struct RpcTimeout {
    /// The limit.
    pub duration: Duration,
    /// The setting's key.
    pub timeout_prop: String,
}

/// `org.apache.spark.rpc.RpcEndpointRef`: what all references have in common.
#[derive(Debug, Clone, PartialEq, Eq, JavaObject)]
#[java(class = "org.apache.spark.rpc.RpcEndpointRef")]
pub struct RpcEndpointRef {
    /// How long an ask through this reference may take, unless it says otherwise.
    pub default_ask_timeout: RpcTimeout,
}

/// `org.apache.spark.rpc.netty.NettyRpcEndpointRef`: a reference inside a message.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use spark_rpc_javaobj::*;
///
/// let address = RpcAddress { host: "localhost".to_owned(), port: 7077 };
/// let reference = NettyRpcEndpointRef::new("Master", Some(address), Duration::from_secs(120));
/// assert_eq!(reference.endpoint_address.uri, "spark://Master@localhost:7077");
///
/// let bytes = to_bytes(&reference, &ClassTable::new(Profile::of("3.5.9").unwrap()))?.into();
/// assert_eq!(from_bytes::<NettyRpcEndpointRef>(&bytes, &Limits::default())?, reference);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, JavaObject)]
#[java(class = "org.apache.spark.rpc.netty.NettyRpcEndpointRef", uid = -6548222484686823432, write_object)]
pub struct NettyRpcEndpointRef {
    /// The part of the superclass.
    #[java(superclass)]
    pub base: RpcEndpointRef,
    /// The endpoint.
    pub endpoint_address: RpcEndpointAddress,
}

impl NettyRpcEndpointRef {
    /// Makes a reference whose asks take no longer than `timeout`, by `spark.rpc.askTimeout`.
    pub fn new(name: &str, address: Option<RpcAddress>, timeout: Duration) -> Self {
        Self {
            base: RpcEndpointRef {
                default_ask_timeout: RpcTimeout {
                    duration: timeout,
                    timeout_prop: "spark.rpc.askTimeout".to_owned(),
                },
            },
            endpoint_address: RpcEndpointAddress::new(name, address),
        }
    }
}

impl fmt::Display for NettyRpcEndpointRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.endpoint_address.uri)
    }
}

/// `org.apache.spark.rpc.netty.RpcFailure`: the reply of an endpoint that failed.
#[derive(Debug, Clone, PartialEq, Eq, JavaObject)]
#[java(class = "org.apache.spark.rpc.netty.RpcFailure")]
pub struct RpcFailure {
    /// Why it failed.
    #[java(name = "e")]
    pub error: Throwable,
}

/// `RpcEndpointVerifier.CheckExistence`: asks the endpoint `endpoint-verifier` whether an endpoint exists.
#[derive(Debug, Clone, PartialEq, Eq, JavaObject)]
#[java(class = "org.apache.spark.rpc.netty.RpcEndpointVerifier$CheckExistence")]
pub struct CheckExistence {
    /// The endpoint's name.
    pub name: String,
}
