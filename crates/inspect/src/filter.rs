//! Which frames are worth telling.

use std::str::FromStr;

use spark_rpc_wire::MessageType;

use crate::direction::Direction;

/// Which frames are told: all of which every given condition holds.
///
/// It is written as `NAME=VALUE[,VALUE…]`:
///
/// | Name | Holds for |
/// | --- | --- |
/// | `type` | frames of these types, by name: `RpcRequest` |
/// | `endpoint` | messages to these endpoints, and their answers |
/// | `class` | messages whose class or name contains one of these, and their answers |
/// | `direction` | `to-server` or `to-client` |
/// | `id` | the request with this id, and its answer |
/// | `connection` | connections with these numbers |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Type(Vec<MessageType>),
    Endpoint(Vec<String>),
    Class(Vec<String>),
    Direction(Direction),
    Id(Vec<i64>),
    Connection(Vec<u64>),
}

/// A condition that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFilter(String);

/// What conditions look at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts<'a> {
    pub(crate) connection: u64,
    pub(crate) direction: Option<Direction>,
    pub(crate) kind: Option<MessageType>,
    pub(crate) id: Option<i64>,
    /// Of an answer, those of its request.
    pub(crate) endpoint: Option<&'a str>,
    pub(crate) classes: [Option<&'a str>; 2],
}

impl Filter {
    /// Adds the conditions of another one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.conditions.extend(other.conditions);
        self
    }

    /// Tells whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Tells whether there are conditions that only a frame can meet.
    pub(crate) fn is_about_frames(&self) -> bool {
        let mut all = self.conditions.iter();
        all.any(|condition| !matches!(condition, Condition::Connection(_) | Condition::Direction(_)))
    }

    /// Tells whether the conditions hold for a frame.
    pub(crate) fn lets_pass(&self, facts: &Facts<'_>) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Type(types) => facts.kind.is_some_and(|kind| types.contains(&kind)),
            Condition::Endpoint(names) => facts
                .endpoint
                .is_some_and(|endpoint| names.iter().any(|name| name == endpoint)),
            Condition::Class(parts) => facts
                .classes
                .iter()
                .flatten()
                .any(|class| parts.iter().any(|part| class.contains(part.as_str()))),
            Condition::Direction(direction) => facts.direction == Some(*direction),
            Condition::Id(ids) => facts.id.is_some_and(|id| ids.contains(&id)),
            Condition::Connection(numbers) => numbers.contains(&facts.connection),
        })
    }

    /// Tells whether what happens to a connection is told. Only the connection counts: who waits for a certain message
    /// wants to know that there is nobody any more who could send it.
    pub(crate) fn lets_connection_pass(&self, connection: u64, direction: Option<Direction>) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Connection(numbers) => numbers.contains(&connection),
            Condition::Direction(wanted) => direction.is_none_or(|direction| direction == *wanted),
            _ => true,
        })
    }
}

impl FromStr for Filter {
    type Err = BadFilter;

    fn from_str(text: &str) -> Result<Self, BadFilter> {
        let Some((name, values)) = text.split_once('=') else {
            return Err(BadFilter(format!("`{text}` is not of the form NAME=VALUE")));
        };
        let values = values.split(',').map(str::trim);
        let texts = || values.clone().map(str::to_owned).collect();
        let condition = match name.trim() {
            "type" => Condition::Type(values.map(message_type).collect::<Result<_, _>>()?),
            "endpoint" => Condition::Endpoint(texts()),
            "class" => Condition::Class(texts()),
            "direction" => {
                let found = Direction::BOTH
                    .into_iter()
                    .find(|direction| text.ends_with(&format!("={}", direction.name())));
                let error = || BadFilter("a direction is `to-server` or `to-client`".to_owned());
                Condition::Direction(found.ok_or_else(error)?)
            }
            "id" => Condition::Id(values.map(number).collect::<Result<_, _>>()?),
            "connection" => Condition::Connection(values.map(number).collect::<Result<_, _>>()?),
            other => {
                return Err(BadFilter(format!(
                    "nothing is known of `{other}`, only of type, endpoint, class, direction, id and connection"
                )));
            }
        };
        Ok(Self {
            conditions: vec![condition],
        })
    }
}

fn message_type(name: &str) -> Result<MessageType, BadFilter> {
    let found = MessageType::ALL
        .into_iter()
        .find(|kind| kind.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names = MessageType::ALL.map(MessageType::name).join(", ");
        BadFilter(format!("there is no type `{name}`, only {names}"))
    })
}

fn number<T: FromStr>(text: &str) -> Result<T, BadFilter> {
    text.parse()
        .map_err(|_| BadFilter(format!("`{text}` is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(texts: &[&str]) -> Filter {
        texts
            .iter()
            .fold(Filter::default(), |all, text| all.and(text.parse().unwrap()))
    }

    #[test]
    fn all_conditions_have_to_hold_and_one_value_of_each() {
        let facts = Facts {
            kind: Some(MessageType::RpcRequest),
            endpoint: Some("Master"),
            classes: [Some("a.b.RegisterWorker"), None],
            id: Some(-7),
            connection: 2,
            direction: Some(Direction::ToServer),
        };
        assert!(filter(&[]).lets_pass(&facts));
        assert!(filter(&["type=rpcRequest,RpcResponse", "endpoint=Worker,Master"]).lets_pass(&facts));
        assert!(
            filter(&["class=Register", "id=-7", "connection=2", "direction=to-server"]).lets_pass(&facts)
        );
        for other in [
            "type=RpcFailure",
            "endpoint=master",
            "class=Heartbeat",
            "id=7",
            "connection=1",
            "direction=to-client",
        ] {
            assert!(!filter(&["type=RpcRequest", other]).lets_pass(&facts), "{other}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_what_there_is() {
        for (text, told) in [
            ("RpcRequest", "NAME=VALUE"),
            ("kind=x", "endpoint"),
            ("type=Rpc", "OneWayMessage"),
            ("id=x", "`x` is no number"),
            ("direction=up", "to-server"),
        ] {
            let error = text.parse::<Filter>().unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
