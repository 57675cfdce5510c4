//! What a JVM says when it meets an id that is not its own.

/// A JVM's refusal of a class: its own id and the one that it was sent.
///
/// # Examples
///
/// ```
/// use spark_rpc_javaobj::Refusal;
///
/// let text = "java.io.InvalidClassException: org.apache.spark.rpc.RpcAddress; local class incompatible: \
///             stream classdesc serialVersionUID = 1, local class serialVersionUID = -3128407972965539268\n\tat …";
/// let refusal = Refusal::find(text).unwrap();
/// assert_eq!(refusal.class, "org.apache.spark.rpc.RpcAddress");
/// assert_eq!((refusal.sent, refusal.expected), (1, -3128407972965539268));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The class.
    pub class: String,
    /// The id in the stream.
    pub sent: i64,
    /// The id that the JVM's own class has.
    pub expected: i64,
}

impl Refusal {
    /// Finds the first refusal in an error's text, which may be a whole stack trace.
    pub fn find(text: &str) -> Option<Self> {
        const REASON: &str = "; local class incompatible: stream classdesc serialVersionUID = ";
        const EXPECTED: &str = ", local class serialVersionUID = ";
        text.match_indices(REASON).find_map(|(at, _)| {
            let class = text[..at].rsplit([' ', '\n', '\t']).next()?;
            let (sent, rest) = text[at + REASON.len()..].split_once(EXPECTED)?;
            let end = rest
                .char_indices()
                .find(|(at, character)| !(character.is_ascii_digit() || *at == 0 && *character == '-'));
            let expected = &rest[..end.map_or(rest.len(), |(at, _)| at)];
            Some(Self {
                class: (!class.is_empty()).then(|| class.to_owned())?,
                sent: sent.parse().ok()?,
                expected: expected.parse().ok()?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_texts_are_no_refusals() {
        for text in [
            "",
            "java.lang.RuntimeException: boom",
            "a.B; local class incompatible: stream classdesc serialVersionUID = x, local class serialVersionUID = 1",
            "a.B; local class incompatible: stream classdesc serialVersionUID = 1, local class serialVersionUID = ",
            "; local class incompatible: stream classdesc serialVersionUID = 1, local class serialVersionUID = 2",
            "a.B; local class incompatible: stream classdesc serialVersionUID = 1",
        ] {
            assert_eq!(Refusal::find(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_may_end_with_the_id() {
        let text = "a.B; local class incompatible: stream classdesc serialVersionUID = -1, local class serialVersionUID = -2";
        let expected = Refusal {
            class: "a.B".to_owned(),
            sent: -1,
            expected: -2,
        };
        assert_eq!(Refusal::find(text), Some(expected));
    }
}
