//! Where a job gets its bodies from.

use spark_rpc_engine::Weighed;

use crate::client::TransportClient;
use crate::link::TransportCounters;
use crate::outgoing::FileBody;

/// The files that wait in a connection's queue, taken one after the other while no frame waits to go before them.
#[derive(Debug)]
pub(super) struct Feed {
    client: TransportClient,
    first: Option<Weighed<FileBody>>,
    /// What has left since that was reported.
    left: Left,
}

/// Bodies that the queue need not count any longer.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    bodies: usize,
    weight: usize,
}

impl Feed {
    /// Begins with `first`, which has been taken from the queue.
    pub(super) fn new(client: TransportClient, first: Weighed<FileBody>) -> Self {
        Self {
            client,
            first: Some(first),
            left: Left::default(),
        }
    }

    /// Takes the next one.
    pub(super) fn next(&mut self) -> Option<Weighed<FileBody>> {
        if self.first.is_some() {
            return self.first.take();
        }
        self.client.shared().link().next_file()
    }

    /// A body of `weight` has left, or never will.
    pub(super) fn body_left(&mut self, weight: usize) {
        self.left.bodies += 1;
        self.left.weight += weight;
    }

    /// Tells the connection what has left.
    pub(super) fn report(&mut self) {
        let Left { bodies, weight } = std::mem::take(&mut self.left);
        if bodies == 0 {
            return;
        }
        let shared = self.client.shared();
        TransportCounters::add(&shared.counters.frames_written, bodies as u64);
        let mut wakers = Vec::new();
        shared.link().files_left(bodies, weight, &mut wakers);
        wakers.into_iter().for_each(std::task::Waker::wake);
    }
}
