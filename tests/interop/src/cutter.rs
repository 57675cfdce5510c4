//! A connection that can be cut while both sides live.

use std::sync::Arc;

use spark_rpc::RpcAddress;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::text;

/// Listens on a port of its own and hands everything on, in both directions. It ends when this is dropped.
pub(crate) struct Cutter {
    /// Where to connect to.
    pub(crate) address: String,
    cut: Arc<Notify>,
    accepts: tokio::task::JoinHandle<()>,
}

impl Cutter {
    /// Stands before `target`, `HOST:PORT`.
    pub(crate) async fn before(target: &str) -> Result<Self, String> {
        let target: RpcAddress = target.parse().map_err(text)?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
        let address = listener.local_addr().map_err(text)?.to_string();
        let cut = Arc::new(Notify::new());
        let told = Arc::clone(&cut);
        let accepts = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (target, told) = (target.clone(), Arc::clone(&told));
                tokio::spawn(async move {
                    tokio::select! {
                        () = told.notified() => {}
                        () = hand_on(near, &target) => {}
                    }
                });
            }
        });
        Ok(Self {
            address,
            cut,
            accepts,
        })
    }

    /// Ends all connections; new ones are welcome.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.accepts.abort();
        self.cut();
    }
}

async fn hand_on(mut near: TcpStream, target: &RpcAddress) {
    if let Ok(mut far) = TcpStream::connect((target.host(), target.port())).await {
        // However it ends, both sockets are closed.
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
