//! The derive and attribute macros of spark-rpc, which re-exports them.
//!
//! What they write a person could write as well: impls of the public traits of spark-rpc, whose documentation shows
//! the hand-written form.

mod endpoint;
mod keys;
mod message;

use proc_macro::TokenStream;

/// Makes a struct or an enum a message: `RpcMessage`, and `Request` or `OneWay`.
///
/// The type is `Serialize` and `DeserializeOwned`, and owns what is in it. Keys in `#[rpc(...)]`, all optional:
///
/// | Key | Meaning |
/// | --- | --- |
/// | `reply = Type` | The message is a `Request` with this reply. Without it, it is `OneWay`. |
/// | `name = "..."` | Its name on the wire instead of the type's own, which then can change. |
/// | `control` | It and its reply pass others in inboxes and write queues: `RpcMessage::CONTROL`. |
/// | `java` | JVMs can send and receive it, too: the type and its reply are `ToJava` and `FromJava`, as by `#[derive(JavaObject)]`. |
/// | `crate = path` | Where spark-rpc is, if not at `::spark_rpc`. |
///
/// # Examples
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use spark_rpc::{Request, RpcMessage};
///
/// #[derive(Serialize, Deserialize, RpcMessage)]
/// #[rpc(reply = Vec<String>, name = "directory.list.v1")]
/// struct List {
///     prefix: String,
/// }
///
/// #[derive(Serialize, Deserialize, RpcMessage)]
/// #[rpc(control)]
/// struct Heartbeat;
///
/// assert_eq!(List::NAME, "directory.list.v1");
/// assert_eq!(Heartbeat::NAME, "Heartbeat");
/// assert!(Heartbeat::CONTROL);
/// ```
///
/// For `List` this is written:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # struct List { prefix: String }
/// impl spark_rpc::RpcMessage for List {
///     const NAME: &'static str = "directory.list.v1";
/// }
///
/// impl spark_rpc::Request for List {
///     type Reply = Vec<String>;
/// }
/// ```
///
/// # Generic messages
///
/// All instances of a generic type share one name, so an endpoint can handle one of them. The impls ask that the
/// type, and its reply, can be serialised for the parameters given.
///
/// # Errors
///
/// Reported at their place: unknown and repeated keys, the names `""` and `"!"`, which mean replies and failures on
/// the wire, lifetimes and unions.
#[proc_macro_derive(RpcMessage, attributes(rpc))]
pub fn rpc_message(input: TokenStream) -> TokenStream {
    message::expand(input.into())
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}

/// Makes the type of an `impl` block an endpoint with a handler for each type of message.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use spark_rpc::{EndpointContext, Reply, RpcCallContext, RpcMessage, rpc_endpoint};
///
/// #[derive(Serialize, Deserialize, RpcMessage)]
/// #[rpc(reply = u64)]
/// struct Add(u64);
///
/// #[derive(Serialize, Deserialize, RpcMessage)]
/// #[rpc(reply = u64)]
/// struct WaitFor(u64);
///
/// #[derive(Serialize, Deserialize, RpcMessage)]
/// struct Reset;
///
/// #[derive(Default)]
/// struct Counter {
///     sum: u64,
///     waiting: Vec<(u64, Reply<u64>)>,
/// }
///
/// #[rpc_endpoint]
/// impl Counter {
///     /// What it returns is the reply; an error is the asker's.
///     async fn add(&mut self, Add(more): Add, call: &RpcCallContext) -> Result<u64, String> {
///         let sum = self.sum.checked_add(more);
///         self.sum = sum.ok_or_else(|| format!("{} cannot count that far", call.name()))?;
///         let reached = self.waiting.extract_if(.., |(least, _)| *least <= self.sum);
///         for (_, reply) in reached {
///             reply.send(self.sum);
///         }
///         Ok(self.sum)
///     }
///
///     /// Answers later.
///     async fn wait_for(&mut self, WaitFor(least): WaitFor, reply: Reply<u64>) {
///         if self.sum >= least {
///             reply.send(self.sum);
///         } else {
///             self.waiting.push((least, reply));
///         }
///     }
///
///     /// There is nobody to answer.
///     fn reset(&mut self, _: Reset) {
///         *self = Self::default();
///     }
///
///     async fn on_start(&mut self, context: &EndpointContext) {
///         println!("{} counts", context.name());
///     }
/// }
///
/// // Handlers stay what they are: methods, to be tested without an env.
/// let mut counter = Counter::default();
/// counter.reset(Reset);
/// assert_eq!(counter.sum, 0);
/// ```
///
/// # What a method is
///
/// Every method with `self` is a callback if it has the name of one, and a handler if not. `#[rpc(skip)]` makes it
/// neither; so does another `impl` block, without the attribute. Functions without `self`, constants and types are
/// left alone.
///
/// ## Handlers
///
/// `async` or not, with `&mut self` or `&self`, then the message by value, then if wanted and in any order:
///
/// - `&RpcCallContext`, or `&EndpointContext`, which is a part of it;
/// - `Reply<T>`, to answer later.
///
/// | It returns | and then |
/// | --- | --- |
/// | a value | that is the reply |
/// | `Result<T, E>` | a `T` is the reply, an `E` the asker's failure |
/// | nothing, or `Result<(), E>` | there is no reply, or the handler's `Reply` is it; an `E` goes to `on_error` |
///
/// `E` is whatever converts into `BoxError`: an error type, a `String`, a `BoxError`. A macro sees how a type is
/// written, not what it is: whatever is called `Result` is taken for one, and what is not is a value. Where that is
/// wrong, `#[rpc(reply = Type)]` on the handler tells the type of the reply. Then a method that returns just this
/// type returns the reply, any other one a result with it:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use spark_rpc::{RpcMessage, rpc_endpoint};
/// #[derive(Serialize, Deserialize, RpcMessage)]
/// #[rpc(reply = ())]
/// struct Flush;
///
/// #[derive(Serialize, Deserialize, RpcMessage)]
/// #[rpc(reply = Result<u64, String>)]
/// struct Parse(String);
///
/// # struct Log;
/// #[rpc_endpoint]
/// impl Log {
///     #[rpc(reply = ())]
///     async fn flush(&mut self, _: Flush) -> std::io::Result<()> {
///         Ok(())
///     }
///
///     #[rpc(reply = Result<u64, String>)]
///     async fn parse(&mut self, Parse(text): Parse) -> Result<u64, String> {
///         text.parse().map_err(|_| text)
///     }
/// }
/// ```
///
/// One handler may be marked `#[rpc(raw)]`. It takes a `Raw`, with the content as it is, for each message that no
/// other handler takes, asked or not.
///
/// ## Callbacks
///
/// `on_start`, `on_stop`, `on_error`, `on_connected`, `on_disconnected` and `on_network_error`, with the parameters
/// that `RpcEndpoint` gives them, of which the last ones may be left out. They are `async` or not and return nothing
/// or `Result<(), E>`, `on_error` nothing. If none of the last three is there, the endpoint is not woken for
/// connections.
///
/// # Options
///
/// | In `#[rpc_endpoint(...)]` | Meaning |
/// | --- | --- |
/// | `serial`, `concurrent` | Which trait is written: `RpcEndpoint` or `ConcurrentRpcEndpoint`. |
/// | `inbound = Name` | The name of the enum of messages; `pub` unless a visibility stands before it. |
/// | `crate = path` | Where spark-rpc is, if not at `::spark_rpc`. |
///
/// Without `serial` or `concurrent`, an endpoint with a handler is concurrent if all its handlers and callbacks have
/// `&self`. It can be set up as a serial one too, but has to be `Sync`: if it is not, say `serial`. The enum's name
/// is that of the type with `Inbound` after it.
///
/// # What is written
///
/// For an endpoint with a handler `double` for a request and a handler `note` for a one-way message:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use spark_rpc::{
/// #     BoxError, DecodeError, Inbound, Parcel, Reply, RpcCallContext, RpcEndpoint, RpcMessage
/// # };
/// # #[derive(Serialize, Deserialize, RpcMessage)]
/// # #[rpc(reply = u64)]
/// # struct Double(u64);
/// # #[derive(Serialize, Deserialize, RpcMessage)]
/// # struct Note(String);
/// # struct Lab;
/// # impl Lab {
/// #     async fn double(&mut self, double: Double) -> u64 { double.0 * 2 }
/// #     async fn note(&mut self, note: Note, call: &RpcCallContext) -> std::io::Result<()> { Ok(()) }
/// # }
/// enum LabInbound {
///     Double(Double, Reply<u64>),
///     Note(Note),
/// }
///
/// impl Inbound for LabInbound {
///     fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
///         if let Some((message, reply)) = parcel.request::<Double>()? {
///             return Ok(Some(Self::Double(message, reply)));
///         }
///         if let Some(message) = parcel.one_way::<Note>()? {
///             return Ok(Some(Self::Note(message)));
///         }
///         Ok(None)
///     }
///
///     fn message(&self) -> &'static str {
///         match self {
///             Self::Double(..) => Double::NAME,
///             Self::Note(..) => Note::NAME,
///         }
///     }
///
///     fn is_control(parcel: &Parcel<'_>) -> bool {
///         if Double::CONTROL && parcel.holds::<Double>() {
///             return true;
///         }
///         if Note::CONTROL && parcel.holds::<Note>() {
///             return true;
///         }
///         false
///     }
/// }
///
/// impl RpcEndpoint for Lab {
///     type Inbound = LabInbound;
///
///     const CONNECTION_EVENTS: bool = false;
///
///     // An `async fn` would do, but its future holds the message twice.
///     fn handle(
///         &mut self,
///         message: LabInbound,
///         call: &RpcCallContext,
///     ) -> impl Future<Output = Result<(), BoxError>> + Send {
///         async move {
///             match message {
///                 LabInbound::Double(message, reply) => {
///                     let value = self.double(message).await;
///                     reply.send(value);
///                     Ok(())
///                 }
///                 LabInbound::Note(message) => {
///                     self.note(message, call).await?;
///                     Ok(())
///                 }
///             }
///         }
///     }
/// }
/// ```
///
/// Variants are called like their methods. `#[cfg(...)]` on a method holds for all that is written for it. The enum
/// of a generic endpoint has those parameters of the `impl` block that its messages and replies mention. Beside this
/// stands a check that no two messages of an endpoint that is not generic have the same name.
///
/// # Errors
///
/// Whatever the macro finds it reports at the method, parameter or key in question, all of it at once; the block
/// itself stays usable. The compiler finds the rest in the generated code, which carries the places of what it was
/// made from: a message without `#[derive(RpcMessage)]`, or with a reply for one-way and the reverse, at the type of
/// the handler's parameter; a wrong reply or an error type that does not convert at the return type.
#[proc_macro_attribute]
pub fn rpc_endpoint(options: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::expand(options.into(), &item.into()).into()
}
