//! One life of a node: an env, the tasks that use it, and the ways in which they do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use spark_rpc::{
    AskError, Handled, LookupError, RpcAddress, RpcEndpointAddress, RpcEndpointRef, RpcEnv, RpcMessage,
};
use spark_rpc_testkit::{Host, Rng};
use tokio::task::JoinSet;

use crate::endpoint::Recorded;
use crate::history::{AskKind, Event, LifeId, MessageId, Outcome, Recorder, Registration};
use crate::messages::{Act, Answer, Beat, FILLER, Note, Order, Unheard, Urgent, Work};
use crate::plan::{NODES, PORT, Plan, SERVERS, index};

/// One life of a node.
pub(crate) struct Life {
    pub(crate) id: LifeId,
    pub(crate) recorder: Recorder,
    pub(crate) plan: Arc<Plan>,
    /// Taken when the life ends.
    env: Mutex<Option<RpcEnv>>,
    /// Alive for as long as anything of the env is.
    host: Weak<Host>,
    tasks: Mutex<JoinSet<()>>,
    /// References that are used again and again.
    refs: Mutex<BTreeMap<String, RpcEndpointRef>>,
    /// Its endpoints by name.
    registered: Mutex<BTreeMap<String, (Registration, RpcEndpointRef)>>,
    over: AtomicBool,
}

/// How an ask is made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Plain,
    Urgent,
    /// A message that no endpoint knows.
    Unheard,
    Retry,
    AbortAfter(Duration),
    DropAfter(Duration),
}

impl Life {
    /// Starts the env of a node, with its endpoints.
    pub(crate) async fn start(
        id: LifeId,
        host: Host,
        plan: Arc<Plan>,
        recorder: Recorder,
    ) -> Option<Arc<Self>> {
        let host = Arc::new(host);
        let known = Arc::downgrade(&host);
        let builder = RpcEnv::builder(NODES[id.node])
            .conf(plan.conf.clone())
            .network(host);
        let builder = if id.node < SERVERS {
            builder.bind(format!("{}:{PORT}", NODES[id.node]))
        } else {
            builder.client_mode()
        };
        let env = match builder.start().await {
            Ok(env) => env,
            Err(error) => {
                let why = error.to_string();
                recorder.record(Event::CannotStart { life: id, why });
                return None;
            }
        };
        recorder.record(Event::Started { life: id });
        let life = Arc::new(Self {
            id,
            recorder,
            plan,
            env: Mutex::new(Some(env)),
            host: known,
            tasks: Mutex::default(),
            refs: Mutex::default(),
            registered: Mutex::default(),
            over: AtomicBool::new(false),
        });
        for name in ENDPOINTS {
            life.register(name, true, 0);
        }
        Some(life)
    }

    /// Sets an endpoint up, unless the env is going down.
    pub(crate) fn register(self: &Arc<Self>, name: &str, from_birth: bool, start_ms: u64) {
        let Some(env) = self.env() else { return };
        let registration = self.recorder.next_registration();
        let endpoint = Recorded::new(registration, start_ms, self);
        let concurrent = name == CONCURRENT;
        // Its loop does not run before this task is done here, so the order of the events is right.
        let result = if concurrent {
            env.setup_concurrent_endpoint(name, endpoint)
        } else {
            env.setup_endpoint(name, endpoint)
        };
        match result {
            Ok(reference) => {
                lock(&self.registered).insert(name.to_owned(), (registration, reference));
                self.recorder.record(Event::Registered {
                    registration,
                    life: self.id,
                    name: name.to_owned(),
                    concurrent,
                    from_birth,
                });
            }
            Err(spark_rpc::SetupError::EnvStopped) => {}
            Err(error) => self.recorder.record(Event::CannotStart {
                life: self.id,
                why: error.to_string(),
            }),
        }
    }

    /// Stops an endpoint; returns whether there was one.
    pub(crate) fn stop(&self, name: &str) -> bool {
        let Some(env) = self.env() else { return false };
        let Some((registration, reference)) = lock(&self.registered).remove(name) else {
            return false;
        };
        self.recorder.record(Event::Stopped { registration });
        env.stop(&reference);
        true
    }

    pub(crate) fn env(&self) -> Option<RpcEnv> {
        lock(&self.env).clone()
    }

    /// Runs something that belongs to this life.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        lock(&self.tasks).spawn(work);
    }

    /// A reference to an endpoint of this life.
    pub(crate) fn own_reference(&self, name: &str) -> Option<RpcEndpointRef> {
        let registered = lock(&self.registered);
        registered.get(name).map(|(_, reference)| reference.clone())
    }

    /// A reference to an endpoint of a node with a listener, which need not exist.
    pub(crate) fn reference(&self, node: usize, name: &str) -> Option<RpcEndpointRef> {
        let env = self.env()?;
        let address = RpcAddress::new(NODES[node], PORT);
        Some(env.endpoint_ref(RpcEndpointAddress::new(name, Some(address))))
    }

    /// The same, made at its first use and kept.
    pub(crate) fn kept_reference(&self, node: usize, name: &str) -> Option<RpcEndpointRef> {
        let key = format!("{node}/{name}");
        let known = lock(&self.refs).get(&key).cloned();
        known.or_else(|| {
            let new = self.reference(node, name)?;
            lock(&self.refs).insert(key, new.clone());
            Some(new)
        })
    }

    /// A message to `to`.
    pub(crate) fn order<M: RpcMessage>(
        &self,
        to: &RpcEndpointRef,
        act: Act,
        filler_len: usize,
        ordered: bool,
    ) -> Order {
        let place = self
            .recorder
            .next_place(self.id, &to.to_string(), M::CONTROL, ordered);
        Order {
            id: self.recorder.next_message(),
            stream: place.stream,
            number: place.number,
            act,
            back: None,
            filler_len,
            filler: char::from(FILLER).to_string().repeat(filler_len),
        }
    }

    /// Asks and writes down how it ends.
    pub(crate) async fn ask(&self, to: RpcEndpointRef, order: Order, way: Way, limit: Duration) {
        let id = order.id;
        let conf = &self.plan.conf;
        let (kind, whole) = match way {
            Way::Retry => {
                let attempts = conf.num_retries;
                (
                    AskKind::Retry { attempts },
                    limit * attempts + conf.retry_wait * (attempts - 1),
                )
            }
            _ => (AskKind::Once, limit),
        };
        self.recorder.record(Event::Asked {
            id,
            life: self.id,
            to: to.to_string(),
            kind,
            limit: whole,
        });
        let open = OpenAsk::new(id, &self.recorder);
        let result = match way {
            Way::Plain => to.ask_within(Work(order), limit).await,
            Way::Urgent => to.ask_within(Urgent(order), limit).await,
            Way::Unheard => to.ask_within(Unheard(order), limit).await,
            Way::Retry => to.ask_with_retry(Work(order), limit).await,
            Way::AbortAfter(after) => {
                let (mut ask, abort) = to.ask_abortable(Work(order), limit);
                match tokio::time::timeout(after, &mut ask).await {
                    Ok(result) => result,
                    Err(_) => {
                        abort.abort("the simulation says so");
                        ask.await
                    }
                }
            }
            Way::DropAfter(after) => {
                match tokio::time::timeout(after, to.ask_within(Work(order), limit)).await {
                    Ok(result) => result,
                    Err(_) => return open.end(Outcome::Dropped),
                }
            }
        };
        open.end(outcome(id, result));
    }

    /// Looks an endpoint up and writes down how it ends.
    pub(crate) async fn look_up(&self, node: usize, name: &str) {
        let Some(env) = self.env() else { return };
        let id = self.recorder.next_message();
        let address = RpcAddress::new(NODES[node], PORT);
        self.recorder.record(Event::Asked {
            id,
            life: self.id,
            to: format!("spark://{name}@{address}"),
            kind: AskKind::Lookup,
            limit: env.conf().lookup_timeout.duration,
        });
        let open = OpenAsk::new(id, &self.recorder);
        open.end(match env.setup_endpoint_ref_at(&address, name).await {
            Ok(_) => Outcome::Reply(None),
            Err(LookupError::NotFound { .. }) => Outcome::NotHandled("NotFound".to_owned()),
            Err(LookupError::Ask { source, .. }) => outcome(id, Err(source)),
            Err(error) => Outcome::Unknown(error.to_string()),
        });
    }

    /// Sends a one-way message and writes down whether it was accepted.
    pub(crate) fn send(&self, to: &RpcEndpointRef, order: Order, control: bool) {
        let id = order.id;
        let result = if control {
            to.send(Beat(order))
        } else {
            to.send(Note(order))
        };
        self.sent(id, to, result.err().map(|error| kind_of(&error)));
    }

    /// Like [`send`](Self::send), waiting for room.
    pub(crate) async fn send_wait(&self, to: &RpcEndpointRef, order: Order) {
        let id = order.id;
        let mut cut_off = CutOffSend {
            life: self,
            to,
            id,
            done: false,
        };
        let result = to.send_wait(Note(order)).await;
        cut_off.done = true;
        self.sent(id, to, result.err().map(|error| kind_of(&error)));
    }

    fn sent(&self, id: MessageId, to: &RpcEndpointRef, refused: Option<String>) {
        let node = to.address().address().map(RpcAddress::host);
        self.recorder.record(Event::Sent {
            id,
            life: self.id,
            to_node: match node {
                Some(host) => NODES.iter().position(|name| *name == host),
                None => Some(SERVERS),
            },
            to: to.to_string(),
            refused,
        });
    }

    /// Waits for the tasks of this life.
    pub(crate) async fn join(&self, limit: Duration) {
        let until = tokio::time::Instant::now() + limit;
        loop {
            // Those at work may start further ones meanwhile.
            let mut tasks = std::mem::take(&mut *lock(&self.tasks));
            if tasks.is_empty() {
                return;
            }
            loop {
                let why = match tokio::time::timeout_at(until, tasks.join_next()).await {
                    Ok(None) => break,
                    Ok(Some(Ok(()))) => continue,
                    Ok(Some(Err(error))) => error.to_string(),
                    Err(_) => format!("{} operations do not end", tasks.len()),
                };
                let over = tokio::time::Instant::now() >= until;
                self.recorder.record(Event::Stuck { life: self.id, why });
                if over {
                    return;
                }
            }
        }
    }

    /// Shuts the env down in order and writes down what it says.
    pub(crate) async fn shut_down(&self) {
        let Some(env) = self.env() else { return };
        self.recorder.record(Event::ShutdownBegan { life: self.id });
        let began = tokio::time::Instant::now();
        let report = env.shutdown().await;
        self.over.store(true, Ordering::Relaxed);
        let stats = env.stats();
        self.recorder.record(Event::ShutdownEnded {
            life: self.id,
            took: began.elapsed(),
            limit: env.conf().drain_limit,
            endpoints_aborted: report.endpoints_aborted,
            connections_aborted: report.connections_aborted,
            dropped: stats.dropped,
            connections_open: stats.transport.connections_open(),
        });
    }

    /// Whether the env has been shut down.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Ends everything of this life at once, but for its last traces in the scheduler.
    pub(crate) fn end(&self) {
        drop(std::mem::take(&mut *lock(&self.tasks)));
        lock(&self.refs).clear();
        lock(&self.registered).clear();
        let env = lock(&self.env).take();
        drop(env);
    }

    /// Whether something of the env is still there.
    pub(crate) fn env_probe(&self) -> Weak<Host> {
        self.host.clone()
    }
}

/// The endpoints of every node.
pub(crate) const ENDPOINTS: [&str; 4] = ["serial", "wide", "calls", TEMPORARY];
/// The one whose handlers may overlap.
pub(crate) const CONCURRENT: &str = "wide";
/// The one that is stopped and set up again.
pub(crate) const TEMPORARY: &str = "brief";

/// Any endpoint's name, or seldom one that does not exist.
pub(crate) fn any_name(rng: &mut Rng) -> &'static str {
    match rng.below(20) {
        0 => "nobody",
        _ => ENDPOINTS[index(rng, ENDPOINTS.len())],
    }
}

/// An ask that has begun. Dropped unended, it was cut off with its task.
struct OpenAsk<'a> {
    id: MessageId,
    recorder: &'a Recorder,
    ended: bool,
}

impl<'a> OpenAsk<'a> {
    fn new(id: MessageId, recorder: &'a Recorder) -> Self {
        Self {
            id,
            recorder,
            ended: false,
        }
    }

    fn end(mut self, outcome: Outcome) {
        self.ended = true;
        self.recorder.record(Event::Answered { id: self.id, outcome });
    }
}

impl Drop for OpenAsk<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.recorder.record(Event::Answered {
                id: self.id,
                outcome: Outcome::CutOff,
            });
        }
    }
}

/// A send that waits for room. Dropped meanwhile, the message was not sent.
struct CutOffSend<'a> {
    life: &'a Life,
    to: &'a RpcEndpointRef,
    id: MessageId,
    done: bool,
}

impl Drop for CutOffSend<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.life.sent(self.id, self.to, Some("CutOff".to_owned()));
        }
    }
}

fn outcome(id: MessageId, result: Result<Answer, AskError>) -> Outcome {
    match result {
        Ok(answer) if answer.id == id => Outcome::Reply(Some(answer.by)),
        Ok(answer) => Outcome::WrongReply(answer.id),
        Err(error) => match error.handled() {
            Handled::No => Outcome::NotHandled(kind_of(&error)),
            Handled::Yes => Outcome::HandlerFailed(kind_of(&error)),
            Handled::Unknown => Outcome::Unknown(kind_of(&error)),
        },
    }
}

/// The variant's name: texts may one day contain what differs between runs.
fn kind_of(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
