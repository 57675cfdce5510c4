//! Settings that are allowed together, yet get in each other's way.

use std::time::Duration;

use spark_rpc_transport::MAX_FRAME_BYTES;

use super::bounds::WhenFull;
use super::notes::ConfWarning;
use super::rpc_conf::RpcConf;
use super::timeout::RpcTimeout;

/// Returns a warning, naming both settings, for each pair of values that will disappoint.
pub(super) fn warnings(conf: &RpcConf) -> Vec<ConfWarning> {
    let mut warnings = Vec::new();
    if let Some(idle) = conf.transport.connection_timeout {
        warnings.extend(cut_before(conf, &conf.ask_timeout, idle));
        if conf.lookup_timeout.setting != conf.ask_timeout.setting {
            warnings.extend(cut_before(conf, &conf.lookup_timeout, idle));
        }
        warnings.extend(waits_into_silence(conf, idle));
    }
    warnings.extend(room_for_one_frame(conf));
    warnings
}

/// An answer that takes longer than the connection may be silent never arrives.
fn cut_before(conf: &RpcConf, timeout: &RpcTimeout, idle: Duration) -> Option<ConfWarning> {
    (timeout.duration > idle).then(|| ConfWarning::AtOdds {
        setting: timeout.setting.to_string(),
        value: format!("{:?}", timeout.duration),
        other: conf.transport.key("connectionTimeout"),
        other_value: format!("{idle:?}"),
        why: "a connection that is silent for that long is cut before the answer is overdue",
    })
}

/// A reader that waits for room in an inbox reads nothing meanwhile.
fn waits_into_silence(conf: &RpcConf, idle: Duration) -> Option<ConfWarning> {
    let WhenFull::Wait { up_to } = conf.inbox.when_full else {
        return None;
    };
    (up_to >= idle).then(|| ConfWarning::AtOdds {
        setting: "spark.rpc.inbox.waitLimit".to_owned(),
        value: format!("{up_to:?}"),
        other: conf.transport.key("connectionTimeout"),
        other_value: format!("{idle:?}"),
        why: "while an inbox is full its peers see silence and may take the connection for dead",
    })
}

/// A message as long as the largest frame gets into such a queue only when it is empty.
fn room_for_one_frame(conf: &RpcConf) -> impl Iterator<Item = ConfWarning> {
    let frame = conf.transport.max_frame_bytes;
    let frame_key = conf.transport.key("maxFrameSize");
    // At Spark's own ceiling nobody has said how long frames get.
    let limit = if frame < MAX_FRAME_BYTES {
        usize::try_from(frame).unwrap_or(usize::MAX)
    } else {
        0
    };
    [
        ("spark.rpc.inbox.maxBytes", conf.inbox.max_bytes),
        ("spark.rpc.outbox.maxBytes", conf.outbox.max_bytes),
    ]
    .into_iter()
    .filter(move |(_, bytes)| *bytes < limit)
    .map(move |(key, bytes)| ConfWarning::AtOdds {
        setting: key.to_owned(),
        value: bytes.to_string(),
        other: frame_key.clone(),
        other_value: frame.to_string(),
        why: "a message of the largest size is let in only when nothing else waits",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(change: impl FnOnce(&mut RpcConf)) -> Vec<(String, String)> {
        let mut conf = RpcConf::default();
        change(&mut conf);
        let warnings = conf.warnings();
        let names = warnings.into_iter().map(|warning| match warning {
            ConfWarning::AtOdds { setting, other, .. } => (setting, other),
            other => panic!("expected two settings, got {other}"),
        });
        names.collect()
    }

    fn pair(setting: &str, other: &str) -> (String, String) {
        (setting.to_owned(), other.to_owned())
    }

    const IDLE: &str = "spark.rpc.io.connectionTimeout";
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_defaults_are_at_peace() {
        assert_eq!(RpcConf::default().warnings(), []);
    }

    #[test]
    fn a_timeout_longer_than_the_silence_allowed_is_told_with_both_keys() {
        let cut = pairs(|c| c.transport.connection_timeout = Some(MINUTE));
        assert_eq!(
            cut,
            [
                pair("spark.rpc.askTimeout", IDLE),
                pair("spark.rpc.lookupTimeout", IDLE)
            ]
        );
        assert_eq!(pairs(|c| c.transport.connection_timeout = None), []);
    }

    #[test]
    fn one_setting_behind_both_timeouts_is_told_once() {
        let cut = pairs(|c| {
            c.ask_timeout = RpcTimeout::new(MINUTE * 5, "spark.network.timeout");
            c.lookup_timeout = c.ask_timeout.clone();
        });
        assert_eq!(cut, [pair("spark.network.timeout", IDLE)]);
    }

    #[test]
    fn waiting_for_room_as_long_as_silence_is_allowed_is_told() {
        let waits = pairs(|c| c.inbox.when_full = WhenFull::Wait { up_to: MINUTE * 2 });
        assert_eq!(waits, [pair("spark.rpc.inbox.waitLimit", IDLE)]);
    }

    #[test]
    fn a_queue_without_room_for_the_largest_frame_is_told() {
        let small = |c: &mut RpcConf| {
            c.inbox.max_bytes = 1 << 20;
            c.outbox.max_bytes = 1 << 20;
        };
        let told = pairs(|c| {
            small(c);
            c.transport.max_frame_bytes = 2 << 20;
        });
        let frame = "spark.rpc.io.maxFrameSize";
        assert_eq!(
            told,
            [
                pair("spark.rpc.inbox.maxBytes", frame),
                pair("spark.rpc.outbox.maxBytes", frame)
            ]
        );
        assert_eq!(pairs(small), [], "nobody has said that frames get that large");
    }
}
