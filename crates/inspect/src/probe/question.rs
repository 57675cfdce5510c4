//! The questions as bodies of requests, and what their answers mean.

use bytes::Bytes;
use spark_rpc_javaobj::{CheckExistence, ClassTable, Limits, Refusal, from_bytes, to_bytes};
use spark_rpc_net::SocketName;
use spark_rpc_wire::{Address, Envelope};

use super::line::Heard;

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A JVM has another id for a class.
    Refusal(Refusal),
    /// Authentication is wanted, and SASL will do.
    WantsSasl,
    /// Authentication is wanted, and only the auth engine will do.
    WantsEngine,
    /// It exists.
    Yes,
    /// It does not.
    No,
    /// Something else; the first line of it.
    Other(String),
}

impl Answer {
    pub(super) fn of(heard: &Heard) -> Self {
        match heard {
            Heard::Response(body) => match truth(body) {
                Some(true) => Self::Yes,
                Some(false) => Self::No,
                None => Self::Other(String::new()),
            },
            Heard::Failure(text) => {
                if let Some(refusal) = Refusal::find(text) {
                    Self::Refusal(refusal)
                } else if text.contains("Expected SaslMessage") {
                    Self::WantsSasl
                } else if text.contains("Unknown challenge message") {
                    Self::WantsEngine
                } else {
                    Self::Other(text.lines().next().unwrap_or_default().to_owned())
                }
            }
        }
    }

    /// Whether a challenge was understood and its secret is not the peer's.
    pub(super) fn refuses_a_secret(heard: &Heard) -> bool {
        matches!(heard, Heard::Failure(text) if text.contains("Authentication failed"))
    }
}

/// A truth value in Java's form or natively.
fn truth(body: &Bytes) -> Option<bool> {
    match body[..] {
        [1, 0, 0] => Some(false),
        [1, 0, 1] => Some(true),
        _ => from_bytes(body, &Limits::default()).ok(),
    }
}

/// An object of a class with an id that no version has, which a JVM refuses before it makes anything of it.
pub(super) fn refusable(to: &SocketName, class: &str) -> Vec<u8> {
    let mut body = envelope(to);
    body.extend_from_slice(b"\xac\xed\0\x05sr");
    body.extend_from_slice(&(class.len() as u16).to_be_bytes());
    body.extend_from_slice(class.as_bytes());
    body.extend_from_slice(&NOBODYS_ID.to_be_bytes());
    // Serialisable, no fields, no annotation, no superclass.
    body.extend_from_slice(b"\x02\0\0xp");
    body
}

/// Does an endpoint exist? In Java's form.
pub(super) fn existence(to: &SocketName, name: &str, table: &ClassTable) -> Vec<u8> {
    let mut body = envelope(to);
    let question = CheckExistence {
        name: name.to_owned(),
    };
    body.extend(to_bytes(&question, table).unwrap_or_default());
    body
}

/// Does an endpoint exist? In the native form: a version, the message's name, the endpoint's name.
pub(super) fn native_existence(to: &SocketName, name: &str) -> Vec<u8> {
    let mut body = envelope(to);
    body.push(1);
    for text in ["CheckExistence", name] {
        body.push(text.len() as u8);
        body.extend_from_slice(text.as_bytes());
    }
    body
}

/// Does the verifier itself exist? Every env in server mode says yes.
pub(super) fn native_check(to: &SocketName) -> Vec<u8> {
    native_existence(to, VERIFIER)
}

fn envelope(to: &SocketName) -> Vec<u8> {
    let mut body = Vec::new();
    let receiver = Address {
        host: to.host.as_str().into(),
        port: i32::from(to.port),
    };
    let envelope = Envelope {
        sender: None,
        receiver: Some(receiver),
        name: VERIFIER.into(),
    };
    // Only a host of more than 65535 bytes has no form, and nobody can be connected to there.
    let _ = envelope.encode(&mut body);
    body
}

const VERIFIER: &str = "endpoint-verifier";
/// "is it me?"
const NOBODYS_ID: i64 = 0x6973_2069_7420_6d65;

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> Answer {
        Answer::of(&Heard::Failure(text.to_owned()))
    }

    #[test]
    fn answers_of_jvms_are_told_apart() {
        let refused = failure(
            "java.io.InvalidClassException: org.apache.spark.SparkException; local class incompatible: stream \
             classdesc serialVersionUID = 7598452633596095845, local class serialVersionUID = 42\n\tat …",
        );
        let Answer::Refusal(refusal) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(
            (&*refusal.class, refusal.sent, refusal.expected),
            ("org.apache.spark.SparkException", NOBODYS_ID, 42)
        );
        let sasl =
            "java.lang.IllegalStateException: Expected SaslMessage, received something else (maybe …)\n\tat";
        assert_eq!(failure(sasl), Answer::WantsSasl);
        assert_eq!(failure("Unknown challenge message."), Answer::WantsEngine);
        assert_eq!(failure("a.B: c\n\tat d"), Answer::Other("a.B: c".to_owned()));
    }

    #[test]
    fn truth_comes_in_both_forms() {
        let java = to_bytes(&true, &ClassTable::default()).unwrap();
        for (bytes, expected) in [
            (vec![1, 0, 1], Answer::Yes),
            (vec![1, 0, 0], Answer::No),
            (java, Answer::Yes),
        ] {
            assert_eq!(Answer::of(&Heard::Response(bytes.into())), expected);
        }
    }
}
