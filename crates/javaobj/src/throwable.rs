//! Exceptions, with their causes and stack traces.

use std::borrow::Cow;
use std::fmt;

use crate::class::FieldKind;
use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, Level, LevelField, ToJava};
use crate::ids::Scala;
use crate::object::{Elements, Value};
use crate::{JavaArray, JavaList, JavaObject, Nullable};

/// A Java exception of any class.
///
/// A peer can only read exceptions whose classes it has. So when the [`ClassTable`](crate::ClassTable) does not know
/// the class, the exception is written as an `org.apache.spark.SparkException`, and its class goes into the message.
///
/// `Display` prints it as Java does, with the stack trace and the causes.
///
/// # Examples
///
/// ```
/// use spark_rpc_javaobj::{ClassTable, Limits, RpcFailure, Throwable, from_bytes, to_bytes};
///
/// let error = Throwable::new("java.lang.IllegalStateException", "not now")
///     .caused_by(Throwable::new("java.io.IOException", "disk full"));
/// let bytes = to_bytes(&RpcFailure { error }, &ClassTable::default())?.into();
///
/// let failure: RpcFailure = from_bytes(&bytes, &Limits::default())?;
/// assert_eq!(
///     failure.error.to_string(),
///     "java.lang.IllegalStateException: not now\nCaused by: java.io.IOException: disk full"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throwable {
    /// The class.
    pub class: String,
    /// The message.
    pub message: Option<String>,
    /// What led to it.
    pub cause: Option<Box<Throwable>>,
    /// Where it was made, the innermost call first.
    pub stack_trace: Vec<StackTraceElement>,
    /// What went wrong while it was handled.
    pub suppressed: Vec<Throwable>,
}

/// A line of a stack trace.
#[derive(Debug, Clone, Default, PartialEq, Eq, JavaObject)]
#[java(class = "java.lang.StackTraceElement", uid = 6992337162326171013)]
pub struct StackTraceElement {
    /// How Java prints the line; bits that say which names to leave out.
    #[java(default)]
    pub format: i8,
    /// The line in the file; below zero when unknown, −2 in native code.
    pub line_number: i32,
    /// The class loader.
    #[java(nullable, default)]
    pub class_loader_name: Option<String>,
    /// The class.
    pub declaring_class: String,
    /// The source file.
    #[java(nullable)]
    pub file_name: Option<String>,
    /// The method.
    pub method_name: String,
    /// The module.
    #[java(nullable, default)]
    pub module_name: Option<String>,
    /// The module's version.
    #[java(nullable, default)]
    pub module_version: Option<String>,
}

/// The class of all exceptions.
const THROWABLE: &str = "java.lang.Throwable";

/// What stands in for exceptions that the peer does not know.
const SPARK_EXCEPTION: &str = "org.apache.spark.SparkException";

/// How many causes are followed. They may form a circle.
const MOST_CAUSES: usize = 64;

impl Throwable {
    /// Makes an exception without stack trace.
    pub fn new(class: &str, message: impl Into<String>) -> Self {
        Self {
            class: class.to_owned(),
            message: Some(message.into()),
            cause: None,
            stack_trace: Vec::new(),
            suppressed: Vec::new(),
        }
    }

    /// Makes an `org.apache.spark.SparkException`, which every peer knows.
    pub fn spark(message: impl Into<String>) -> Self {
        Self::new(SPARK_EXCEPTION, message)
    }

    /// Adds what led to it.
    #[must_use]
    pub fn caused_by(mut self, cause: Self) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Makes the exception without its cause, and returns the cause's value.
    fn read_one(value: Value, input: &mut Decoder<'_>) -> Result<(Self, Option<Value>), DecodeError> {
        let object = input.instance(value, THROWABLE)?;
        if !object.is_a(THROWABLE) {
            return Err(input.expected(value, THROWABLE));
        }
        let message = input.field::<Nullable<String>>(&object, THROWABLE, "detailMessage")?;
        let trace = input.field_if_any(&object, THROWABLE, "stackTrace")?;
        let suppressed = input.field_if_any(&object, THROWABLE, "suppressedExceptions")?;
        let cause = object.field_of(THROWABLE, "cause");
        let throwable = Self {
            class: object.class_name().to_owned(),
            message: message.0,
            cause: None,
            stack_trace: trace.and_then(|trace: Nullable<_>| trace.0).unwrap_or_default(),
            suppressed: suppressed
                .and_then(|suppressed: Nullable<_>| suppressed.0)
                .unwrap_or_default(),
        };
        // A JVM writes the exception itself where no cause was ever set.
        Ok((
            throwable,
            cause.filter(|cause| *cause != Value::Null && *cause != value),
        ))
    }

    fn write(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let (own, message) = match own_levels(&self.class, out)? {
            Some(own) => (own, self.message.clone()),
            None => (
                own_levels(SPARK_EXCEPTION, out)?.unwrap_or_default(),
                Some(self.title()),
            ),
        };
        let cause = match &self.cause {
            Some(cause) => cause.to_java(out)?,
            None => Value::Null,
        };
        let message = Nullable(message).to_java(out)?;
        let trace = JavaArray::of("java.lang.StackTraceElement", self.stack_trace.iter().collect());
        let trace = trace.to_java(out)?;
        let suppressed = if self.suppressed.is_empty() {
            let empty = Level::new("java.util.Collections$EmptyList").fixed(8842843931221139166);
            out.singleton(empty.class.to_owned(), |out| out.instance(vec![empty]))
        } else {
            JavaList(self.suppressed.iter().collect()).to_java(out)?
        };
        let throwable = Level::new(THROWABLE)
            .fixed(-3042686055658047285)
            .with("cause", "Ljava/lang/Throwable;", cause)
            .with("detailMessage", "Ljava/lang/String;", message)
            .with("stackTrace", "[Ljava/lang/StackTraceElement;", trace)
            .with("suppressedExceptions", "Ljava/util/List;", suppressed)
            .writing(Vec::new());
        let mut levels = vec![throwable];
        levels.extend(own);
        Ok(out.instance(levels))
    }

    /// Class and message, as the first line of a stack trace has them.
    fn title(&self) -> String {
        match &self.message {
            Some(message) => format!("{}: {message}", self.class),
            None => self.class.clone(),
        }
    }
}

/// Makes the levels below `Throwable`, or nothing when the table does not know the class for an exception.
fn own_levels<'t>(class: &str, out: &mut Encoder<'t>) -> Result<Option<Vec<Level<'t>>>, EncodeError> {
    let table = out.table();
    let mut levels = Vec::new();
    let mut next = table.class(class);
    while let Some(info) = next.filter(|_| levels.len() < 32) {
        if info.name == THROWABLE {
            levels.reverse();
            return Ok(Some(levels));
        }
        let mut level = Level::new(&info.name);
        for field in &info.fields {
            level.fields.push(LevelField {
                name: &field.name,
                descriptor: Cow::Borrowed(&field.descriptor),
                value: harmless(&field.descriptor, out)?,
            });
        }
        levels.push(level);
        next = info.super_class.as_deref().and_then(|name| table.class(name));
    }
    Ok(None)
}

/// Makes what an exception's own field may hold instead of null: methods such as `SparkException.getErrorClass` do not
/// expect null.
fn harmless(descriptor: &str, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
    match descriptor {
        "Lscala/Option;" => None::<()>.to_java(out),
        "Lscala/collection/immutable/Map;" => out.map(Vec::new()),
        array if array.starts_with("[L") => {
            Ok(out.array(&array.replace('/', "."), Elements::Object(Vec::new())))
        }
        other => {
            let kind = other.bytes().next().and_then(FieldKind::from_code);
            Ok(Value::default_of(kind.unwrap_or(FieldKind::Object)))
        }
    }
}

impl ToJava for Throwable {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Ljava/lang/Throwable;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        self.write(out)
    }
}

impl FromJava for Throwable {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (first, mut next) = Self::read_one(value, input)?;
        let mut all = vec![first];
        while let Some(cause) = next.filter(|_| all.len() <= MOST_CAUSES) {
            let (throwable, cause) = Self::read_one(cause, input)?;
            all.push(throwable);
            next = cause;
        }
        let chain = all
            .into_iter()
            .rev()
            .reduce(|cause, outer| outer.caused_by(cause));
        Ok(chain.expect("there is the first at least"))
    }
}

impl fmt::Display for Throwable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title())?;
        for line in &self.stack_trace {
            write!(f, "\n\tat {line}")?;
        }
        match &self.cause {
            Some(cause) => write!(f, "\nCaused by: {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Throwable {}

impl fmt::Display for StackTraceElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}(", self.declaring_class, self.method_name)?;
        match (&self.file_name, self.line_number) {
            (_, -2) => f.write_str("Native Method)"),
            (Some(file), line) if line >= 0 => write!(f, "{file}:{line})"),
            (Some(file), _) => write!(f, "{file})"),
            (None, _) => f.write_str("Unknown Source)"),
        }
    }
}
