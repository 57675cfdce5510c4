//! Who is registered in an env, and the way to their mailboxes (Spark's `Dispatcher`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::task::AbortHandle;

use crate::endpoint::Sender;
use crate::error::SetupError;
use crate::mailbox::{ConnectionEvent, EndedEndpoints, EndpointStats, Mailbox, PostError, PostedLetter};
use crate::parcel::Parcel;

/// The endpoints of one env by name.
#[derive(Default)]
pub(crate) struct Dispatcher {
    registry: RwLock<Registry>,
}

#[derive(Default)]
struct Registry {
    names: HashMap<Arc<str>, u64>,
    /// Registered endpoints in the order of their registration.
    open: BTreeMap<u64, Entry>,
    /// Endpoints that have been stopped and still have messages to handle.
    draining: BTreeMap<u64, Entry>,
    /// Those of `open` that want connection events.
    listeners: BTreeMap<u64, Arc<dyn Mailbox>>,
    ended: EndedEndpoints,
    next: u64,
    stopped: bool,
}

struct Entry {
    mailbox: Arc<dyn Mailbox>,
    tasks: Vec<LoopTask>,
}

/// Something that runs an endpoint's loop.
pub(crate) enum LoopTask {
    Task(AbortHandle),
    /// A thread; it ends by itself once its loop has, and cannot be ended inside a handler that blocks.
    Thread(futures_util::future::AbortHandle),
}

impl LoopTask {
    fn abort(&self) {
        match self {
            LoopTask::Task(task) => task.abort(),
            LoopTask::Thread(task) => task.abort(),
        }
    }
}

/// Why a message found no mailbox, or was not taken by it.
#[derive(Debug)]
pub(crate) enum DispatchError {
    EnvStopped,
    NotFound,
    Refused(PostError),
}

impl Dispatcher {
    /// Registers a mailbox and then starts its loop with `start`, which gets the registration's number.
    pub(crate) fn register(
        &self,
        mailbox: &Arc<dyn Mailbox>,
        events: bool,
        start: impl FnOnce(u64) -> Result<Vec<LoopTask>, SetupError>,
    ) -> Result<(), SetupError> {
        let id = self.enter(Arc::clone(mailbox), events)?;
        // Without the lock: a loop that cannot run at all is dropped at once, and reports its end.
        match start(id) {
            Ok(tasks) => {
                self.started(id, tasks);
                Ok(())
            }
            Err(error) => {
                self.ended(id);
                // For those of its loops that did start.
                mailbox.stop();
                Err(error)
            }
        }
    }

    fn enter(&self, mailbox: Arc<dyn Mailbox>, events: bool) -> Result<u64, SetupError> {
        let mut registry = self.write();
        if registry.stopped {
            return Err(SetupError::EnvStopped);
        }
        let name = Arc::clone(mailbox.name());
        if registry.names.contains_key(&name) {
            return Err(SetupError::NameTaken {
                name: name.as_ref().to_owned(),
            });
        }
        registry.next += 1;
        let id = registry.next;
        if events {
            registry.listeners.insert(id, Arc::clone(&mailbox));
        }
        registry.names.insert(name, id);
        let tasks = Vec::new();
        registry.open.insert(id, Entry { mailbox, tasks });
        Ok(id)
    }

    /// Notes what runs the loop of an endpoint; ends it if the endpoint has been aborted meanwhile.
    fn started(&self, id: u64, tasks: Vec<LoopTask>) {
        let mut registry = self.write();
        let Registry { open, draining, .. } = &mut *registry;
        match open.get_mut(&id).or_else(|| draining.get_mut(&id)) {
            Some(entry) => entry.tasks = tasks,
            None => {
                drop(registry);
                tasks.iter().for_each(LoopTask::abort);
            }
        }
    }

    /// The mailbox of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<dyn Mailbox>, DispatchError> {
        let registry = self.read();
        if registry.stopped {
            return Err(DispatchError::EnvStopped);
        }
        let id = registry.names.get(name).ok_or(DispatchError::NotFound)?;
        Ok(Arc::clone(&registry.open[id].mailbox))
    }

    /// `known`, or if that has been stopped whoever has the name now.
    pub(crate) fn current(&self, known: Option<&Arc<dyn Mailbox>>, name: &str) -> Option<Arc<dyn Mailbox>> {
        match known {
            Some(mailbox) if !mailbox.is_stopped() => Some(Arc::clone(mailbox)),
            _ => self.find(name).ok(),
        }
    }

    /// Posts to `known`, or if that has been stopped to whoever has the name now.
    #[inline]
    pub(crate) fn post(
        &self,
        known: Option<&Arc<dyn Mailbox>>,
        name: &str,
        parcel: &mut Parcel<'_>,
        bytes: usize,
        sender: Option<&Arc<Sender>>,
    ) -> Result<PostedLetter, DispatchError> {
        if let Some(mailbox) = known {
            match mailbox.post(parcel, bytes, sender) {
                Ok(posted) => return Ok(posted),
                Err(PostError::Stopped) => {}
                Err(refused) => return Err(DispatchError::Refused(refused)),
            }
        }
        match self.find(name)?.post(parcel, bytes, sender) {
            Ok(posted) => Ok(posted),
            Err(PostError::Stopped) => Err(DispatchError::NotFound),
            Err(refused) => Err(DispatchError::Refused(refused)),
        }
    }

    /// Posts a connection event to every endpoint, in the order of registration.
    pub(crate) fn post_to_all(&self, event: &ConnectionEvent) {
        let registry = self.read();
        for mailbox in registry.listeners.values() {
            mailbox.post_event(event);
        }
    }

    /// Stops whoever has the name. The name is free at once; what is queued is still handled.
    pub(crate) fn stop(&self, name: &str) {
        self.stop_if(name, |_| true);
    }

    /// Stops this very endpoint. Its name may be another one's by now, and that one goes on.
    pub(crate) fn stop_one(&self, mailbox: &Arc<dyn Mailbox>) {
        self.stop_if(mailbox.name(), |named| Arc::ptr_eq(named, mailbox));
    }

    fn stop_if(&self, name: &str, meant: impl FnOnce(&Arc<dyn Mailbox>) -> bool) {
        let mut registry = self.write();
        let Some(&id) = registry.names.get(name) else {
            return;
        };
        if !meant(&registry.open[&id].mailbox) {
            return;
        }
        registry.names.remove(name);
        registry.listeners.remove(&id);
        if let Some(entry) = registry.open.remove(&id) {
            let mailbox = Arc::clone(&entry.mailbox);
            registry.draining.insert(id, entry);
            drop(registry);
            mailbox.stop();
        }
    }

    /// A loop has ended.
    pub(crate) fn ended(&self, id: u64) {
        let mut registry = self.write();
        if let Some(entry) = registry.open.remove(&id) {
            // It was aborted; its name must not lead anywhere any more.
            registry.names.remove(entry.mailbox.name());
            registry.listeners.remove(&id);
            registry.ended.add(&entry.mailbox.stats());
        }
        if let Some(entry) = registry.draining.remove(&id) {
            registry.ended.add(&entry.mailbox.stats());
        }
    }

    /// Takes no further registrations and stops every endpoint.
    pub(crate) fn stop_all(&self) {
        let mailboxes = {
            let mut registry = self.write();
            registry.stopped = true;
            registry.names.clear();
            registry.listeners.clear();
            let open = std::mem::take(&mut registry.open);
            let mailboxes: Vec<_> = open.values().map(|entry| Arc::clone(&entry.mailbox)).collect();
            registry.draining.extend(open);
            mailboxes
        };
        for mailbox in mailboxes {
            mailbox.stop();
        }
    }

    /// The endpoints that have not stopped yet.
    pub(crate) fn running(&self) -> Vec<Arc<dyn Mailbox>> {
        let registry = self.read();
        registry
            .draining
            .values()
            .chain(registry.open.values())
            .map(|entry| Arc::clone(&entry.mailbox))
            .collect()
    }

    /// Ends all loops at once.
    pub(crate) fn abort_all(&self) {
        let entries = {
            let mut registry = self.write();
            registry.stopped = true;
            registry.names.clear();
            registry.listeners.clear();
            let mut entries = std::mem::take(&mut registry.draining);
            entries.append(&mut registry.open);
            for entry in entries.values() {
                registry.ended.add(&entry.mailbox.stats());
            }
            entries
        };
        entries
            .values()
            .flat_map(|entry| &entry.tasks)
            .for_each(LoopTask::abort);
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.read().names.contains_key(name)
    }

    pub(crate) fn stats(&self) -> Vec<EndpointStats> {
        self.read()
            .open
            .values()
            .map(|entry| entry.mailbox.stats())
            .collect()
    }

    pub(crate) fn ended_stats(&self) -> EndedEndpoints {
        self.read().ended.clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
