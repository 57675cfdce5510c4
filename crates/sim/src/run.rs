//! One run from its start to its end.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{set_hook, take_hook};
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use spark_rpc_testkit::{Crash, Host, MemoryNetwork, Rng};
use tokio::runtime::{Builder, Handle};
use tokio::time::Instant;

use crate::history::{Event, Fault, History, Leftovers, LifeId, Recorder};
use crate::life::Life;
use crate::plan::{Action, NODES, Plan, index};
use crate::workload::work;

/// Runs `plan` in virtual time, on a runtime of its own in this thread.
///
/// Virtual time stands still while any task can go on. A task that keeps itself busy without end therefore hangs the run:
/// `recorder` is there for somebody else to look at then.
///
/// # Panics
///
/// Panics inside of another runtime.
#[must_use]
pub fn run(plan: &Plan, recorder: &Recorder) -> History {
    count_panics();
    let before = PANICS.get();
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO needs nothing from the system");
    runtime.block_on(async {
        let mut world = World::new(plan, recorder.clone());
        world.go().await;
        world.wind_up().await;
        world.finish(before).await
    })
}

/// The nodes, what they run on, and what is still to be done to them.
struct World {
    plan: Arc<Plan>,
    net: MemoryNetwork,
    recorder: Recorder,
    rng: Rng,
    /// New operations begin until then.
    until: Instant,
    nodes: Vec<Node>,
    /// Envs that were shut down, whose askers have not all heard of it yet.
    leaving: Vec<Arc<Life>>,
    steps: BTreeMap<(Instant, usize), Step>,
    envs: Vec<Weak<Host>>,
}

#[derive(Default)]
struct Node {
    life: Option<Arc<Life>>,
    lives: u32,
}

enum Step {
    Go(Action),
    /// The node comes back. After a crash its host has to be restarted, too.
    Return {
        node: usize,
        crashed: bool,
    },
}

impl World {
    fn new(plan: &Plan, recorder: Recorder) -> Self {
        let mut rng = Rng::new(plan.seed);
        let net = MemoryNetwork::with_settings(rng.next_u64(), plan.memory.clone());
        for name in NODES {
            let _ = net.host(name);
        }
        let began = Instant::now();
        let steps = plan.actions.iter().cloned().enumerate();
        Self {
            plan: Arc::new(plan.clone()),
            net,
            recorder,
            rng,
            until: began + plan.length,
            nodes: NODES.iter().map(|_| Node::default()).collect(),
            leaving: Vec::new(),
            steps: steps
                .map(|(number, action)| ((began + action.at, number), Step::Go(action)))
                .collect(),
            envs: Vec::new(),
        }
    }

    async fn go(&mut self) {
        for (node, name) in NODES.iter().enumerate() {
            let host = self.net.host(name);
            self.start(node, host).await;
        }
        while let Some(((at, _), step)) = self.steps.pop_first() {
            tokio::time::sleep_until(at).await;
            match step {
                Step::Go(action) => self.act(action).await,
                Step::Return { node, crashed: true } => {
                    let host = self.net.restart(NODES[node]);
                    self.start(node, host).await;
                }
                Step::Return { node, crashed: false } => {
                    let host = self.net.host(NODES[node]);
                    self.start(node, host).await;
                }
            }
        }
        tokio::time::sleep_until(self.until).await;
    }

    async fn start(&mut self, node: usize, host: Host) {
        let number = self.nodes[node].lives;
        self.nodes[node].lives += 1;
        let id = LifeId { node, number };
        let rng = self.rng.fork();
        let life = Life::start(id, host, Arc::clone(&self.plan), self.recorder.clone()).await;
        if let Some(life) = &life {
            self.envs.push(life.env_probe());
            life.spawn(work(Arc::clone(life), rng, self.until));
        }
        self.nodes[node].life = life;
    }

    async fn act(&mut self, action: Action) {
        let Action { nodes, fault, .. } = &action;
        let names: Vec<&str> = nodes.iter().map(|node| NODES[*node]).collect();
        match fault {
            Fault::Cut => {
                self.fault(&action);
                self.net.cut(names[0], names[1]);
            }
            Fault::Partition => {
                self.fault(&action);
                self.net.partition(&names[..1], &names[1..]);
            }
            Fault::Heal => {
                self.fault(&action);
                self.net.heal();
            }
            Fault::ProcessDeath => self.crash(&action, Crash::PROCESS).await,
            Fault::PowerLoss => self.crash(&action, Crash::POWER_LOSS).await,
            Fault::Restart => {
                let Some(life) = self.nodes[nodes[0]].life.take() else {
                    return;
                };
                self.fault(&action);
                life.shut_down().await;
                self.leaving.push(life);
                self.return_later(&action, false);
            }
        }
    }

    async fn crash(&mut self, action: &Action, crash: Crash) {
        let node = action.nodes[0];
        let Some(life) = self.nodes[node].life.take() else {
            return;
        };
        self.fault(action);
        self.net.crash(NODES[node], crash);
        life.end();
        let (id, probe) = (life.id, life.env_probe());
        drop(life);
        // The scheduler still holds what was aborted. It reaches nobody any more, and is gone after a few turns.
        for _ in 0..MOST_TURNS {
            if probe.strong_count() == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.recorder.record(Event::Crashed { life: id });
        self.return_later(action, true);
    }

    fn return_later(&mut self, action: &Action, crashed: bool) {
        let node = action.nodes[0];
        let number = self.plan.actions.len() + self.envs.len();
        self.steps.insert(
            (Instant::now() + action.pause, number),
            Step::Return { node, crashed },
        );
    }

    fn fault(&self, action: &Action) {
        self.recorder.record(Event::Fault {
            nodes: action.nodes.clone(),
            fault: action.fault,
        });
    }

    fn lives(&self) -> Vec<Arc<Life>> {
        let present = self.nodes.iter().filter_map(|node| node.life.clone());
        self.leaving.iter().cloned().chain(present).collect()
    }

    /// Lets everything come to its end, then shuts all envs down.
    async fn wind_up(&mut self) {
        self.net.heal();
        // Those who have ended may still be asked something by the others.
        for _ in 0..2 {
            for life in self.lives() {
                life.join(LONGEST_OPERATION).await;
            }
        }
        for life in std::mem::take(&mut self.leaving) {
            life.end();
        }
        tokio::time::sleep(SETTLING).await;
        self.recorder.record(Event::Settled);
        while self.nodes.iter().any(|node| node.life.is_some()) {
            let node = index(&mut self.rng, self.nodes.len());
            if let Some(life) = self.nodes[node].life.take() {
                life.shut_down().await;
                life.join(LONGEST_OPERATION).await;
                life.end();
                tokio::time::sleep(SETTLING).await;
            }
        }
    }

    /// Looks at what is left; `panics` had happened in this thread before.
    async fn finish(self, panics: usize) -> History {
        tokio::time::sleep(SETTLING).await;
        // The network's own task is there as long as the network.
        let tasks = Handle::current().metrics().num_alive_tasks() - 1;
        self.recorder.record(Event::Left(Leftovers {
            tasks,
            connections: self.net.open_connections(),
            envs: self.envs.iter().filter(|env| env.strong_count() > 0).count(),
            panics: PANICS.get() - panics,
        }));
        let counters = self.net.counters();
        self.recorder.record(Event::Network {
            digest: self.net.trace_digest(),
            connects: counters.connects,
            resets: counters.resets,
            bytes: counters.bytes_delivered,
        });
        self.recorder.take()
    }
}

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the panics of each thread, beside what is done about them anyway.
fn count_panics() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            others(info);
        }));
    });
}

/// Longer than any operation may take: all attempts of an `ask_with_retry`.
const LONGEST_OPERATION: Duration = Duration::from_secs(30);
/// Longer than anything is on its way, and longer than a connection may be quiet with something outstanding.
const SETTLING: Duration = Duration::from_secs(6);
const MOST_TURNS: usize = 1_000;
