//! What the bytes of Spark's RPC mean, for people who look at them from outside.
//!
//! Nothing in here takes part in a conversation, but for the [`probe`]; it looks at one that others have. So it never
//! insists: what is not understood is told together with its place, and what came before it stays told.
//!
//! The way of the bytes, each step usable without the next:
//!
//! 1. A [`Cutter`] cuts one direction of a connection into frames. It keeps their beginnings and counts the rest, so that
//!    gigabytes can pass. A [`Watch`] over both directions says when they become unreadable, because of encryption.
//! 2. What it finds becomes an [`Event`], which a [`Recorder`] can keep in a file.
//! 3. [`Decoded`] says what a frame means: its header, the envelope, the content with its Java objects.
//! 4. A [`Story`] tells events, in text or JSON, and says of an answer which request it belongs to.
//!
//! [`decode`] does all of this with recorded bytes of any kind, [`decode_from`] with those of a file, a [`Tap`] with those that pass it on their way between two peers.
//!
//! # Examples
//!
//! ```
//! use spark_rpc_inspect::{Style, decode};
//!
//! // A Java object stream with a string in it.
//! let bytes = b"\xac\xed\0\x05t\0\x05hello"[..].into();
//! let mut text = String::new();
//! let story = decode(&bytes, Style::default(), &mut |told| text += &told.details);
//! assert_eq!(text.trim(), "\"hello\"");
//! assert_eq!(story.problems(), 0);
//! ```

#![forbid(unsafe_code)]

mod content;
mod cutter;
mod decoded;
mod direction;
mod event;
mod filter;
#[doc(hidden)]
pub mod fuzz;
mod hex;
mod input;
mod java_json;
mod java_text;
mod json;
mod outlet;
mod printable;
pub mod probe;
pub mod recording;
mod room;
mod story;
mod tap;
mod text;
mod watch;

pub use content::{Content, Java};
pub use cutter::{Cutter, Excerpt, Piece};
pub use decoded::{Decoded, Problem};
pub use direction::Direction;
pub use event::{Event, What};
pub use filter::{BadFilter, Filter};
pub use hex::from_hex;
pub use input::{Kind, NoDigit, decode, decode_from, unhex};
pub use java_json::java_to_json;
pub use java_text::java_to_text;
pub use json::Fields;
pub use outlet::{Inlet, Outlet, Taken, outlet};
pub use printable::Bounds;
pub use recording::Recorder;
pub use story::{Story, Style, Told};
pub use tap::{Tap, Totals};
pub use text::short_name;
pub use watch::{Opaque, Watch};
