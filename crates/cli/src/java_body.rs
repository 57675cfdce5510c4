//! Java objects as they are typed: `--java TYPE:VALUE`, `--json BODY`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json};
use spark_rpc::codec::{JavaForm, JavaValue};
use spark_rpc::javaobj::{
    ClassInfo, ClassTable, DecodeError, Decoder, EncodeError, Encoder, FromJava, Level, Scala, ToJava, Value,
    to_bytes,
};
use spark_rpc::{OneWay, Request, RpcMessage};

use crate::exit::Failure;

/// A message that somebody typed. It is written for the peer, with the class ids that the peer has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JavaBody {
    Null,
    Unit,
    Text(String),
    Int(i32),
    Long(i64),
    Double(f64),
    Boolean(bool),
    Bytes(Bytes),
    /// A Scala `case object`, by the name of its class.
    CaseObject(String),
    /// Whatever JSON can say.
    Json(Json),
}

/// What may stand before the colon.
pub(crate) const TYPES: &str =
    "string, int, long, double, bool, bytes (hexadecimal), case-object, or null and unit alone";

impl FromStr for JavaBody {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        fn number<T: FromStr>(kind: &str, value: &str) -> Result<T, String> {
            value.parse().map_err(|_| format!("`{value}` is no {kind}"))
        }
        let Some((kind, value)) = text.split_once(':') else {
            return match text {
                "null" => Ok(Self::Null),
                "unit" => Ok(Self::Unit),
                _ => Err(format!("`{text}` is not TYPE:VALUE; the types are {TYPES}")),
            };
        };
        Ok(match kind {
            "string" => Self::Text(value.to_owned()),
            "int" => Self::Int(number(kind, value)?),
            "long" => Self::Long(number(kind, value)?),
            "double" => Self::Double(number(kind, value)?),
            "bool" | "boolean" => Self::Boolean(number("truth value, true or false", value)?),
            "bytes" => {
                let bytes = spark_rpc_inspect::from_hex(value.as_bytes());
                Self::Bytes(
                    bytes
                        .map_err(|at| format!("no hexadecimal digits at {at}"))?
                        .into(),
                )
            }
            "case-object" if value.ends_with('$') => Self::CaseObject(value.to_owned()),
            "case-object" => {
                return Err(format!(
                    "the class of a case object ends with $, as in `{value}$`"
                ));
            }
            other => return Err(format!("there is no type `{other}`; the types are {TYPES}")),
        })
    }
}

impl JavaBody {
    /// Reads a body of JSON.
    pub(crate) fn from_json(text: &str) -> Result<Self, Failure> {
        let json =
            serde_json::from_str(text).map_err(|error| Failure::usage(format_args!("--json: {error}")))?;
        let body = Self::Json(json);
        // What cannot be written for anybody is told before somebody is asked.
        to_bytes(&body, &ClassTable::default())
            .map_err(|error| Failure::usage(format_args!("--json: {error}")))?;
        Ok(body)
    }
}

impl ToJava for JavaBody {
    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Unit => return ().to_java(out),
            Self::Text(text) => out.string(text),
            Self::Int(number) => Value::Int(*number),
            Self::Long(number) => Value::Long(*number),
            Self::Double(number) => Value::Double(*number),
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Bytes(bytes) => out.byte_array(bytes.clone()),
            Self::CaseObject(class) => out.module(class),
            Self::Json(json) => return AnyJson(json.clone()).to_java(out),
        })
    }
}

/// Nobody receives one; but a message is something that can be received.
impl FromJava for JavaBody {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        String::from_java(value, input).map(Self::Text)
    }

    fn matches(_: Value, _: &Decoder<'_>) -> bool {
        false
    }
}

impl Serialize for JavaBody {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(
            "it is a Java object, and the peer does not speak Java",
        ))
    }
}

impl<'de> Deserialize<'de> for JavaBody {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("it is a Java object"))
    }
}

impl RpcMessage for JavaBody {
    const NAME: &'static str = "Java";
    const JAVA: Option<&'static JavaForm<Self>> = Some(&JavaForm::OF);
}

impl Request for JavaBody {
    type Reply = JavaValue;
    const JAVA_REPLY: Option<&'static JavaForm<JavaValue>> = Some(&JavaForm::OF);
}

impl OneWay for JavaBody {}

/// JSON where nothing says which type is wanted.
#[derive(Clone)]
struct AnyJson(Json);

impl ToJava for AnyJson {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Ljava/lang/Object;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let value = match &self.0 {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Boolean(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => i32::try_from(number).map_or(Value::Long(number), Value::Int),
                (None, Some(number)) => Value::Double(number),
                (None, None) => return Err(unsupported(format!("{number} is no number of Java"))),
            },
            Json::String(text) => return Ok(out.string(text)),
            Json::Array(elements) => {
                return elements
                    .iter()
                    .cloned()
                    .map(AnyJson)
                    .collect::<Vec<_>>()
                    .to_java(out);
            }
            Json::Object(object) => match object.get("class") {
                Some(Json::String(class)) => return instance(class, object, out),
                Some(_) => return Err(unsupported("`class` is the name of a class".to_owned())),
                None => {
                    let entries = object
                        .iter()
                        .map(|(name, value)| (name.clone(), AnyJson(value.clone())));
                    return entries.collect::<BTreeMap<_, _>>().to_java(out);
                }
            },
        };
        Ok(out.boxed(value))
    }
}

/// An object of a class that the data files know.
fn instance(class: &str, object: &Map<String, Json>, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
    let mut given: BTreeMap<&str, &Json> = match object.get("fields") {
        Some(Json::Object(fields)) => fields
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect(),
        _ => {
            let others = object.iter().filter(|(name, _)| *name != "class");
            others.map(|(name, value)| (name.as_str(), value)).collect()
        }
    };
    let table = out.table();
    if class.ends_with('$') && given.is_empty() {
        return Ok(out.module(class));
    }
    let mut hierarchy: Vec<&ClassInfo> = Vec::new();
    let mut next = Some(class);
    while let Some(info) = next
        .and_then(|name| table.class(name))
        .filter(|_| hierarchy.len() < 32)
    {
        hierarchy.insert(0, info);
        next = info.super_class.as_deref();
    }
    if hierarchy.is_empty() {
        return Err(unsupported(format!(
            "nothing is known of the class {class}, so that its fields cannot be written"
        )));
    }
    let mut levels = Vec::new();
    let mut missing = Vec::new();
    for info in hierarchy {
        if info.flags.has_annotation() {
            return Err(unsupported(format!(
                "{} writes its objects in a way of its own",
                info.name
            )));
        }
        let mut level = Level::new(&info.name);
        level.flags = info.flags;
        for field in &info.fields {
            match given.remove(field.name.as_str()) {
                Some(json) => {
                    let value = field_value(json, &field.descriptor, out)
                        .map_err(|error| unsupported(format!("{}: {error}", field.name)))?;
                    level = level.with(&field.name, &field.descriptor, value);
                }
                None => missing.push(format!("{} ({})", field.name, type_name(&field.descriptor))),
            }
        }
        levels.push(level);
    }
    if let Some(unknown) = given.keys().next() {
        let hint = match missing.is_empty() {
            true => String::new(),
            false => format!("; not given so far: {}", missing.join(", ")),
        };
        return Err(unsupported(format!("{class} has no field {unknown}{hint}")));
    }
    if !missing.is_empty() {
        return Err(unsupported(format!("{class} also has {}", missing.join(", "))));
    }
    Ok(out.instance(levels))
}

/// A field of a known type.
fn field_value(json: &Json, descriptor: &str, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
    let wrong = || unsupported(format!("{json} is no {}", type_name(descriptor)));
    let number = || json.as_i64().ok_or_else(wrong);
    Ok(match descriptor {
        "Z" => Value::Boolean(json.as_bool().ok_or_else(wrong)?),
        "B" => Value::Byte(i8::try_from(number()?).map_err(|_| wrong())?),
        "S" => Value::Short(i16::try_from(number()?).map_err(|_| wrong())?),
        "I" => Value::Int(i32::try_from(number()?).map_err(|_| wrong())?),
        "J" => Value::Long(number()?),
        "F" => Value::Float(json.as_f64().ok_or_else(wrong)? as f32),
        "D" => Value::Double(json.as_f64().ok_or_else(wrong)?),
        "Ljava/lang/String;" => match json {
            Json::Null => Value::Null,
            _ => out.string(json.as_str().ok_or_else(wrong)?),
        },
        "Lscala/Option;" => match json {
            Json::Null => None::<AnyJson>.to_java(out)?,
            json => Some(AnyJson(json.clone())).to_java(out)?,
        },
        "Lorg/apache/spark/rpc/RpcAddress;" if json.is_string() => {
            let address: spark_rpc::RpcAddress =
                json.as_str().unwrap_or_default().parse().map_err(|_| wrong())?;
            let address = spark_rpc::javaobj::RpcAddress {
                host: address.host().to_owned(),
                port: address.port().into(),
            };
            address.to_java(out)?
        }
        _ => AnyJson(json.clone()).to_java(out)?,
    })
}

/// A type as people write it.
fn type_name(descriptor: &str) -> &str {
    match descriptor {
        "Z" => "Boolean",
        "B" => "Byte",
        "C" => "Char",
        "S" => "Short",
        "I" => "Int",
        "J" => "Long",
        "F" => "Float",
        "D" => "Double",
        other => other
            .trim_start_matches('L')
            .trim_end_matches(';')
            .rsplit('/')
            .next()
            .unwrap_or(other),
    }
}

fn unsupported(text: String) -> EncodeError {
    EncodeError::Unsupported(text)
}

#[cfg(test)]
mod tests {
    use spark_rpc::javaobj::{Graph, Limits};

    use super::*;

    fn tree(body: &JavaBody) -> String {
        let bytes = to_bytes(body, &ClassTable::default()).unwrap();
        Graph::read(&bytes, &Limits::default()).unwrap().to_string()
    }

    #[test]
    fn typed_values_become_java_objects() {
        for (text, expected) in [
            ("string:a:b", "\"a:b\""),
            ("null", "null"),
            ("int:-7", "java.lang.Integer {\n  value: -7\n}"),
            ("bool:true", "java.lang.Boolean {\n  value: true\n}"),
            ("unit", "scala.runtime.BoxedUnit {}"),
            ("bytes:00ff", "[B of 2 [00ff]"),
        ] {
            assert_eq!(tree(&text.parse().unwrap()), expected, "{text}");
        }
        let object: JavaBody = "case-object:org.apache.spark.deploy.DeployMessages$RequestMasterState$"
            .parse()
            .unwrap();
        assert!(tree(&object).contains("class org.apache.spark.deploy.DeployMessages$RequestMasterState$"));
    }

    #[test]
    fn what_cannot_be_understood_is_told_with_what_can() {
        for (text, told) in [
            ("hello", "the types are"),
            ("int:x", "`x` is no int"),
            ("int:3000000000", "is no int"),
            ("case-object:a.B", "a.B$"),
            ("bytes:0g", "at 1"),
            ("frob:x", "no type `frob`"),
        ] {
            let error = text.parse::<JavaBody>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn json_becomes_objects_of_known_classes() {
        let body = JavaBody::from_json(
            r#"{"class": "org.apache.spark.deploy.DeployMessages$KillExecutor",
                "masterUrl": "spark://h:7077", "appId": "app-1", "execId": 3}"#,
        )
        .unwrap();
        let text = tree(&body);
        for line in [
            "DeployMessages$KillExecutor {",
            "execId: 3",
            "appId: \"app-1\"",
            "masterUrl: \"spark://h:7077\"",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(tree(&JavaBody::from_json(r#"["a", 1, null]"#).unwrap()).contains("\"a\""));
    }

    #[test]
    fn json_that_fits_no_class_is_told_before_anybody_is_asked() {
        const KILL: &str = "org.apache.spark.deploy.DeployMessages$KillExecutor";
        for (text, told) in [
            ("{".to_owned(), "EOF"),
            (
                r#"{"class": "a.B", "x": 1}"#.to_owned(),
                "nothing is known of the class a.B",
            ),
            (
                format!(r#"{{"class": "{KILL}", "appId": "x"}}"#),
                "also has execId (Int), masterUrl (String)",
            ),
            (format!(r#"{{"class": "{KILL}", "frob": "x"}}"#), "no field frob"),
            (
                format!(r#"{{"class": "{KILL}", "execId": "x"}}"#),
                "execId: \"x\" is no Int",
            ),
        ] {
            let failure = JavaBody::from_json(&text).unwrap_err();
            assert!(
                failure.text.starts_with("--json: ") && failure.text.contains(told),
                "{text}: {failure:?}"
            );
        }
    }
}
