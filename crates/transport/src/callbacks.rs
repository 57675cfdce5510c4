//! Bulk for those who would rather be called than wait.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_wire::StreamChunkId;

use crate::client::{Outstanding, TransportClient};
use crate::error::{RequestError, SendError};
use crate::guard::guarded;
use crate::link::Reply;
use crate::managed_buffer::ManagedBuffer;
use crate::stream_body::StreamBody;

/// Takes the bytes of one stream (Spark's `StreamCallback`), see [`TransportClient::stream_to`].
///
/// Its methods run on the connection's own task: they must not block. Whoever cannot keep up takes a
/// [`StreamBody`] instead, whose reader makes the sender wait.
pub trait StreamSink: Send + 'static {
    /// Takes the next bytes, which are never empty. [`Break`](ControlFlow::Break) gives the rest up, as dropping a
    /// [`StreamBody`] does; nothing more is called then.
    fn data(&mut self, data: Bytes) -> ControlFlow<()>;

    /// All bytes have been taken.
    fn complete(self: Box<Self>);

    /// There is no such stream, or the rest of it will not come.
    fn failed(self: Box<Self>, error: RequestError);
}

/// The same requests with callbacks. They can be made without a runtime. A callback is called once, whatever happens: on
/// the connection's own task, which it must not block, or on the caller's thread where the outcome is known at once. One
/// that panics is logged.
impl TransportClient {
    /// Like [`fetch_chunk`](Self::fetch_chunk), but calls `done` with what it returns.
    pub fn fetch_chunk_with(
        &self,
        chunk: StreamChunkId,
        timeout: Option<Duration>,
        done: impl FnOnce(Result<Bytes, RequestError>) + Send + 'static,
    ) {
        call_with_response(self, self.begin_chunk(chunk, timeout), done);
    }

    /// Like [`upload`](Self::upload), but calls `done` with what it returns.
    pub fn upload_with(
        &self,
        meta: impl Into<Bytes>,
        body: impl Into<ManagedBuffer>,
        timeout: Option<Duration>,
        done: impl FnOnce(Result<Bytes, RequestError>) + Send + 'static,
    ) {
        call_with_response(self, self.begin_upload(meta.into(), body.into(), timeout), done);
    }

    /// Like [`open_stream`](Self::open_stream), but hands what comes to `sink`; `timeout` is for its beginning.
    pub fn stream_to(&self, name: &str, timeout: Option<Duration>, sink: impl StreamSink) {
        let client = self.clone();
        let sink = Box::new(sink);
        call_with(self, self.begin_stream(name, timeout), move |reply| match reply {
            Ok(Reply::Stream(body)) => pump(*body, sink),
            Ok(_) => sink.failed(client.wrong_answer()),
            Err(error) => sink.failed(error),
        });
    }
}

fn call_with_response(
    client: &TransportClient,
    begun: Result<Outstanding, SendError>,
    done: impl FnOnce(Result<Bytes, RequestError>) + Send + 'static,
) {
    let answered = client.clone();
    call_with(client, begun, move |reply| {
        done(match reply {
            Ok(Reply::Response(body)) => Ok(body),
            Ok(_) => Err(answered.wrong_answer()),
            Err(error) => Err(error),
        });
    });
}

fn call_with(
    client: &TransportClient,
    begun: Result<Outstanding, SendError>,
    done: impl FnOnce(Result<Reply, RequestError>) + Send + 'static,
) {
    match begun {
        Ok(outstanding) => {
            let waiting = Mutex::new(Some((outstanding, Box::new(done) as Done)));
            let client = client.clone();
            Arc::new(Call { client, waiting }).wake();
        }
        Err(error) => {
            guarded(client.peer(), "callback", || done(Err(error.into())));
        }
    }
}

fn pump(body: StreamBody, sink: Box<dyn StreamSink>) {
    let client = body.client().clone();
    let flowing = Mutex::new(Some((body, sink)));
    Arc::new(Pump { client, flowing }).wake();
}

type Done = Box<dyn FnOnce(Result<Reply, RequestError>) + Send>;

/// A request that waits for its answer. To wake it is to look for that, so the connection calls the callback where it
/// would otherwise wake a task.
struct Call {
    client: TransportClient,
    /// `None` once it has been called.
    waiting: Mutex<Option<(Outstanding, Done)>>,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut waiting = lock(&self.waiting);
        let Some((outstanding, _)) = &mut *waiting else {
            return;
        };
        let Poll::Ready(reply) = Pin::new(outstanding).poll(&mut Context::from_waker(&waker)) else {
            return;
        };
        let called = waiting.take();
        drop(waiting);
        if let Some((_, done)) = called {
            guarded(self.client.peer(), "callback", || done(reply));
        }
    }
}

/// A stream that is arriving, likewise.
struct Pump {
    client: TransportClient,
    /// `None` once it has ended.
    flowing: Mutex<Option<(StreamBody, Box<dyn StreamSink>)>>,
}

impl Wake for Pump {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut flowing = lock(&self.flowing);
        // While a sink is being called its place is empty, and no waker is with the connection.
        let Some((mut body, mut sink)) = flowing.take() else {
            return;
        };
        let peer = self.client.peer();
        loop {
            match body.poll_chunk(&mut Context::from_waker(&waker)) {
                Poll::Pending => {
                    *flowing = Some((body, sink));
                    return;
                }
                Poll::Ready(Ok(Some(piece))) => {
                    let wanted = guarded(peer, "stream sink", || sink.data(piece));
                    if wanted != Some(ControlFlow::Continue(())) {
                        return;
                    }
                }
                Poll::Ready(Ok(None)) => {
                    guarded(peer, "stream sink", || sink.complete());
                    return;
                }
                Poll::Ready(Err(cause)) => {
                    let lost = RequestError::Connection(cause);
                    guarded(peer, "stream sink", || sink.failed(lost));
                    return;
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
