//! What a seed means: settings, the length of the run, and what goes wrong when.

use std::time::Duration;

use spark_rpc::config::{RpcConf, RpcTimeout, WhenFull};
use spark_rpc_testkit::{Link, MemorySettings, Rng};

use crate::history::Fault;

/// Everything that is drawn before a run begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Whether nothing goes wrong, so that everything must add up.
    pub calm: bool,
    /// Whether queues are so short that they fill.
    pub tight: bool,
    /// How long new operations begin.
    pub length: Duration,
    /// The network.
    pub memory: MemorySettings,
    /// The settings of every env.
    pub conf: RpcConf,
    /// What goes wrong, in order.
    pub actions: Vec<Action>,
}

/// Something that goes wrong at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// When, from the start of the run.
    pub at: Duration,
    /// The nodes concerned. A partition parts the first from the others.
    pub nodes: Vec<usize>,
    /// What.
    pub fault: Fault,
    /// How long a node is away. Without meaning for the others.
    pub pause: Duration,
}

/// The names of the nodes. The last one has no listener (client mode).
pub const NODES: [&str; 4] = ["alpha", "beta", "gamma", "client"];
/// How many of them have a listener.
pub const SERVERS: usize = 3;
/// The port of each.
pub const PORT: u16 = 7077;

impl Plan {
    /// What `seed` means.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let calm = rng.percent(20);
        let tight = rng.percent(25);
        let length = ms(rng.below(6_000) + 4_000);
        let slowest = [2, 5, 40, 150][index(&mut rng, 4)];
        let memory = MemorySettings {
            send_buffer: if tight { 4 << 10 } else { 64 << 10 },
            max_segment: if rng.percent(50) { 100 } else { 8 << 10 },
            link: Link {
                latency: ms(1)..ms(slowest),
                bytes_per_second: rng.percent(20).then_some(200_000),
            },
            reset_on_heal: rng.percent(50),
        };
        let conf = conf(seed, tight, &mut rng);
        let actions = if calm {
            Vec::new()
        } else {
            actions(length, &mut rng)
        };
        Self {
            seed,
            calm,
            tight,
            length,
            memory,
            conf,
            actions,
        }
    }
}

fn conf(seed: u64, tight: bool, rng: &mut Rng) -> RpcConf {
    let mut conf = RpcConf {
        ask_timeout: RpcTimeout::new(ms(3_000), "spark.rpc.askTimeout"),
        lookup_timeout: RpcTimeout::new(ms(2_000), "spark.rpc.lookupTimeout"),
        num_retries: 3,
        retry_wait: ms(300),
        // A node must get its own port back, or nobody finds it again.
        port_max_retries: 0,
        drain_limit: ms(5_000),
        seed: Some(seed),
        ..RpcConf::default()
    };
    conf.transport.connection_timeout = Some(ms(4_000));
    conf.transport.connection_creation_timeout = Some(ms(1_000 + rng.below(2_000)));
    conf.transport.close_timeout = ms(2_000);
    if tight {
        conf.concurrent_handlers = 2;
        conf.inbox.max_messages = 3;
        conf.inbox.when_full = if rng.percent(50) {
            WhenFull::Reject
        } else {
            WhenFull::Wait { up_to: ms(1_000) }
        };
        conf.outbox.max_messages = 4;
        conf.transport.write_queue_max_frames = 4;
        conf.transport.max_pending_requests = 3;
    }
    conf
}

/// At least one cut, one partition and one crash, and some more of each.
fn actions(length: Duration, rng: &mut Rng) -> Vec<Action> {
    let mut actions = Vec::new();
    for _ in 0..=rng.below(4) {
        let first = index(rng, NODES.len());
        let second = (first + 1 + index(rng, NODES.len() - 1)) % NODES.len();
        actions.push(action(moment(length, rng), &[first, second], Fault::Cut));
    }
    for _ in 0..=rng.below(2) {
        let first = index(rng, NODES.len());
        let others: Vec<usize> = (0..NODES.len()).filter(|node| *node != first).collect();
        let nodes: Vec<usize> = std::iter::once(first)
            .chain(if rng.percent(50) {
                others
            } else {
                vec![others[index(rng, others.len())]]
            })
            .collect();
        let at = moment(length, rng);
        actions.push(action(at, &nodes, Fault::Partition));
        let healed = at + ms(100 + rng.below(6_000));
        actions.push(action(healed, &nodes, Fault::Heal));
    }
    for round in 0..=rng.below(3) {
        let kinds = if round == 0 { 2 } else { 3 };
        let fault = match rng.below(kinds) {
            0 => Fault::ProcessDeath,
            1 => Fault::PowerLoss,
            _ => Fault::Restart,
        };
        let mut away = action(moment(length, rng), &[index(rng, NODES.len())], fault);
        away.pause = ms(rng.below(2_000));
        actions.push(away);
    }
    actions.sort_by_key(|action| action.at);
    actions
}

fn action(at: Duration, nodes: &[usize], fault: Fault) -> Action {
    Action {
        at,
        nodes: nodes.to_vec(),
        fault,
        pause: Duration::ZERO,
    }
}

fn moment(length: Duration, rng: &mut Rng) -> Duration {
    rng.duration(&(length / 10..length))
}

pub(crate) fn index(rng: &mut Rng, len: usize) -> usize {
    usize::try_from(rng.below(len as u64)).expect("below a usize")
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_can_be_run_and_all_kinds_of_faults_come_up() {
        let plans: Vec<Plan> = (0..200).map(Plan::new).collect();
        for plan in &plans {
            assert!(plan.conf.validate().is_ok(), "seed {}", plan.seed);
            assert!(plan.actions.windows(2).all(|pair| pair[0].at <= pair[1].at));
            assert!(plan.calm || plan.actions.iter().any(|action| action.fault == Fault::Cut));
            assert!(plan.calm || plan.actions.iter().any(|action| action.fault == Fault::Partition));
        }
        for fault in [Fault::ProcessDeath, Fault::PowerLoss, Fault::Restart] {
            let has = |plan: &&Plan| plan.actions.iter().any(|action| action.fault == fault);
            assert!(plans.iter().filter(has).count() > 40, "{fault:?}");
        }
        assert!(plans.iter().any(|plan| plan.calm && plan.tight));
        assert!(plans.iter().any(|plan| plan.calm && !plan.tight));
    }
}
