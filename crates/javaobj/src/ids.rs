//! What other programs' classes look like, in each version of Spark, and what is learned of them on the way.

mod profile;
mod refusal;
mod table;

pub use profile::{ClassInfo, FieldInfo, Profile, Scala};
pub use refusal::Refusal;
pub use table::ClassTable;
