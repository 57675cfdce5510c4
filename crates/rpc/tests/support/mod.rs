//! Messages and endpoints that the tests share, written by hand, without the macros.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of this"
)]

pub mod certificates;
pub mod files;
pub mod lab;
pub mod messages;
pub mod observe;

use std::sync::Arc;
use std::time::Duration;

use spark_rpc::config::RpcConf;
use spark_rpc::{Network, RpcEnv};
use spark_rpc_testkit::{Host, MemoryNetwork};
use tokio::sync::watch;

/// A server-mode env and a client-mode env on one network in memory.
pub struct Pair {
    pub net: MemoryNetwork,
    pub server: RpcEnv,
    pub client: RpcEnv,
}

impl Pair {
    pub async fn new() -> Self {
        Self::with_conf(RpcConf::default()).await
    }

    /// Both envs with the same settings.
    pub async fn with_conf(conf: RpcConf) -> Self {
        let net = MemoryNetwork::new(1);
        Self {
            server: server(&net.host("server"), 7077, conf.clone()).await,
            client: client(&net.host("client"), conf).await,
            net,
        }
    }

    /// A reference of the client to an endpoint of the server, looked up.
    pub async fn far(&self, name: &str) -> spark_rpc::RpcEndpointRef {
        let address = self.server.address().expect("it is in server mode");
        self.client.setup_endpoint_ref_at(address, name).await.unwrap()
    }
}

/// An env in server mode that is called like its host.
pub async fn server(host: &Host, port: u16, conf: RpcConf) -> RpcEnv {
    let bind = format!("{}:{port}", host.name());
    let builder = RpcEnv::builder(host.name()).network(network(host)).bind(bind);
    builder.conf(conf).start().await.unwrap()
}

/// An env in client mode that is called like its host.
pub async fn client(host: &Host, conf: RpcConf) -> RpcEnv {
    let builder = RpcEnv::builder(host.name()).network(network(host)).client_mode();
    builder.conf(conf).start().await.unwrap()
}

pub fn network(host: &Host) -> Arc<dyn Network> {
    Arc::new(host.clone())
}

/// What happened, in order, and a wait for more to happen.
#[derive(Clone, Debug)]
pub struct Log(Arc<watch::Sender<Vec<String>>>);

impl Default for Log {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }
}

impl Log {
    pub fn push(&self, entry: impl Into<String>) {
        self.0.send_modify(|entries| entries.push(entry.into()));
    }

    pub fn entries(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Waits until `done` holds, and returns all entries. Panics with what there is after ten seconds.
    pub async fn until(&self, done: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut entries = self.0.subscribe();
        let found = tokio::time::timeout(PATIENCE, entries.wait_for(|entries| done(entries))).await;
        match found {
            Ok(entries) => entries.expect("the sender is held here").clone(),
            Err(_) => panic!("this is all that happened: {:?}", self.entries()),
        }
    }

    /// Waits until this entry is there.
    pub async fn has(&self, entry: &str) -> Vec<String> {
        self.until(|entries| entries.iter().any(|known| known == entry))
            .await
    }

    /// Waits until there are so many entries.
    pub async fn len(&self, count: usize) -> Vec<String> {
        self.until(|entries| entries.len() >= count).await
    }

    pub fn count(&self, entry: &str) -> usize {
        self.entries().iter().filter(|known| *known == entry).count()
    }
}

/// Lets whatever can happen now, happen. Only on virtual time, which passes when nothing else is left to do.
pub async fn settle() {
    // tidy: allow(sleep): virtual time, which ends when nothing else is left to do.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Waits for `condition`, which nobody announces. Panics after ten seconds.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            // tidy: allow(sleep): between two looks at something that nobody announces.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, wait).await.is_ok(),
        "never: {what}"
    );
}

const PATIENCE: Duration = Duration::from_secs(10);

/// An endpoint of two messages that own nothing on the heap.
pub mod inbound_of_counter {
    use super::messages::{Note, Sum};
    use crate::inbound;

    inbound!(CounterInbound {
        ask: Sum;
        tell: Note;
    });
}

/// On virtual time: the next thing that is due by then has happened.
pub async fn sleep_secs(secs: u64) {
    // tidy: allow(sleep): virtual time, it waits for nothing.
    tokio::time::sleep(Duration::from_secs(secs)).await;
    settle().await;
}
