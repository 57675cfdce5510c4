//! The endpoint that tells whether others exist.

use serde::{Deserialize, Serialize};
use spark_rpc_javaobj::JavaObject;

use crate::codec::JavaForm;

use crate::endpoint::{Inbound, RpcCallContext, RpcEndpoint};
use crate::error::{BoxError, DecodeError};
use crate::message::{Request, RpcMessage};
use crate::parcel::Parcel;
use crate::reply::Reply;

/// Tells whether an endpoint of a given name is registered (Spark's `RpcEndpointVerifier`). Every env in server mode has
/// one under the name [`NAME`](Self::NAME).
#[derive(Debug)]
pub struct RpcEndpointVerifier(());

impl RpcEndpointVerifier {
    /// The name under which it is registered.
    pub const NAME: &'static str = "endpoint-verifier";

    pub(crate) fn new() -> Self {
        Self(())
    }
}

/// Asks whether an endpoint of this name is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.rpc.netty.RpcEndpointVerifier$CheckExistence")]
pub struct CheckExistence {
    /// The endpoint's name.
    pub name: String,
}

impl RpcMessage for CheckExistence {
    const NAME: &'static str = "CheckExistence";
    const CONTROL: bool = true;
    const JAVA: Option<&'static JavaForm<Self>> = Some(&JavaForm::OF);
}

impl Request for CheckExistence {
    type Reply = bool;

    const JAVA_REPLY: Option<&'static JavaForm<bool>> = Some(&JavaForm::OF);
}

/// The one message of the verifier.
#[derive(Debug)]
pub struct VerifierInbound(CheckExistence, Reply<bool>);

impl Inbound for VerifierInbound {
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(parcel.request()?.map(|(message, reply)| Self(message, reply)))
    }

    fn message(&self) -> &'static str {
        CheckExistence::NAME
    }

    fn is_control(_: &Parcel<'_>) -> bool {
        true
    }
}

impl RpcEndpoint for RpcEndpointVerifier {
    type Inbound = VerifierInbound;

    const CONNECTION_EVENTS: bool = false;

    async fn handle(
        &mut self,
        VerifierInbound(check, reply): VerifierInbound,
        call: &RpcCallContext,
    ) -> Result<(), BoxError> {
        reply.send(call.env().is_some_and(|env| env.has_endpoint(&check.name)));
        Ok(())
    }
}
