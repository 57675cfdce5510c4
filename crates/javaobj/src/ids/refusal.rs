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
            // Nothing is looked for further on: the text may be long, and the reason be there often.
            let (sent, rest) = number(&text[at + REASON.len()..])?;
            let (expected, _) = number(rest.strip_prefix(EXPECTED)?)?;
            Some(Self {
                class: (!class.is_empty()).then(|| class.to_owned())?,
                sent,
                expected,
            })
        })
    }
}

/// Reads the number at the front of a text; returns also what follows.
fn number(text: &str) -> Option<(i64, &str)> {
    let end = text
        .bytes()
        .enumerate()
        .find(|(at, byte)| !(byte.is_ascii_digit() || *at == 0 && *byte == b'-'));
    let (number, rest) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    Some((number.parse().ok()?, rest))
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

    /// A peer can send megabytes of it.
    #[test]
    fn a_text_that_begins_to_refuse_again_and_again_is_read_once() {
        let begins = "a.B; local class incompatible: stream classdesc serialVersionUID = ".repeat(50_000);
        let begun = std::time::Instant::now();
        for end in ["", "1, local class serialVersionUID = 2"] {
            let found = Refusal::find(&format!("{begins}{end}"));
            assert_eq!(found.is_some(), !end.is_empty());
        }
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
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
