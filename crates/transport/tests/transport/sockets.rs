//! The same over the kernel's sockets, with several threads and on real time.

use std::sync::Arc;

use spark_rpc_net::{Network, TcpNetwork};
use spark_rpc_transport::{ConnectError, ConnectionError, TransportConf, TransportContext};

use crate::support::{Handlers, Seen, secs, soon};

fn context(network: &Arc<dyn Network>, handlers: &Handlers) -> TransportContext {
    let conf = TransportConf {
        connection_timeout: Some(secs(30)),
        ..TransportConf::default()
    };
    TransportContext::new(conf, Arc::clone(network), Arc::new(handlers.clone())).unwrap()
}

/// Many tasks on many threads ask and send over a few connections; then everything ends in order.
async fn work_and_end(network: Arc<dyn Network>, host: &str) {
    let handlers = Handlers::echo();
    let serving = context(&network, &handlers);
    let server = serving.create_server(host, 0, Vec::new()).await.unwrap();
    let asking = context(&network, &Handlers::hello());
    let factory = Arc::new(asking.create_client_factory(Vec::new()));
    let port = server.port();
    let tasks: Vec<_> = (0..16u8)
        .map(|task| {
            let (factory, host) = (Arc::clone(&factory), host.to_owned());
            tokio::spawn(async move {
                for n in 0..50 {
                    let client = factory.create_client(&host, port).await.unwrap();
                    let body = vec![task; n * 97 + usize::from(n % 10 == 9) * 300_000];
                    client.send(&body).unwrap();
                    let answer = client.send_rpc(&body, Some(secs(30))).await.unwrap();
                    assert!(answer == body, "task {task}, round {n}");
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    assert_eq!(handlers.record.one_ways().len(), 16 * 50);
    assert_eq!((server.connections(), factory.connections()), (1, 1));

    let client = factory.create_client(host, port).await.unwrap();
    assert_eq!(factory.close(secs(10)).await, 0);
    let cause = soon(client.closed()).await;
    assert!(matches!(*cause, ConnectionError::ClosedHere { .. }), "{cause}");
    handlers.record.until_seen(Seen::Inactive).await;
    assert_eq!(handlers.record.count(|seen| matches!(seen, Seen::Caught(_))), 0);
    assert_eq!(server.close(secs(10)).await, 0);

    let refused = asking
        .create_client_factory(Vec::new())
        .create_client(host, port)
        .await
        .unwrap_err();
    assert!(matches!(refused, ConnectError::Network { .. }), "{refused}");
    for counters in [serving.counters(), asking.counters()] {
        assert_eq!(
            (counters.connections_opened(), counters.connections_open()),
            (1, 0)
        );
    }
    assert_eq!(serving.counters().bytes_read(), asking.counters().bytes_written());
    assert_eq!(
        serving.counters().frames_read(),
        asking.counters().frames_written()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_work_over_tcp_and_end_in_order() {
    work_and_end(Arc::new(TcpNetwork), "127.0.0.1").await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_work_over_unix_sockets_and_end_in_order() {
    let folder = Folder::new();
    work_and_end(Arc::new(spark_rpc_net::UnixNetwork::new(&folder.0)), "server").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_end_exactly_once_while_connections_break_over_tcp() {
    let network: Arc<dyn Network> = Arc::new(TcpNetwork);
    let handlers = Handlers::echo();
    let serving = context(&network, &handlers);
    let server = Arc::new(serving.create_server("127.0.0.1", 0, Vec::new()).await.unwrap());
    let asking = context(&network, &Handlers::hello());
    let factory = Arc::new(asking.create_client_factory(Vec::new()));
    let port = server.port();
    let tasks: Vec<_> = (0..8u8)
        .map(|task| {
            let factory = Arc::clone(&factory);
            tokio::spawn(async move {
                let (mut answered, mut failed) = (0, 0);
                for n in 0..200u16 {
                    let client = factory.create_client("127.0.0.1", port).await.unwrap();
                    if n % 50 == 49 {
                        client.abort();
                    }
                    // Without a limit of its own: only an answer or the connection's end ends it.
                    match tokio::time::timeout(secs(20), client.send_rpc(&[task], None)).await {
                        Ok(Ok(answer)) => {
                            assert_eq!(answer, [task][..]);
                            answered += 1;
                        }
                        Ok(Err(_)) => failed += 1,
                        Err(_) => panic!("task {task}, round {n}: lost"),
                    }
                }
                (answered, failed)
            })
        })
        .collect();
    let mut answered = 0;
    for task in tasks {
        let (good, bad) = soon(task).await.unwrap();
        assert_eq!(good + bad, 200);
        answered += good;
    }
    assert!(answered > 0);
    factory.close(secs(10)).await;
    server.close(secs(10)).await;
    let opened = |seen: &[Seen], what: &Seen| seen.iter().filter(|seen| *seen == what).count();
    let all = handlers.record.all();
    assert_eq!(opened(&all, &Seen::Active), opened(&all, &Seen::Inactive));
    for counters in [serving.counters(), asking.counters()] {
        assert_eq!(counters.connections_open(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_who_waits_for_room_is_forgotten_over_tcp() {
    let network: Arc<dyn Network> = Arc::new(TcpNetwork);
    let handlers = Handlers::echo();
    let server = context(&network, &handlers)
        .create_server("127.0.0.1", 0, Vec::new())
        .await
        .unwrap();
    let conf = TransportConf {
        write_queue_max_frames: 4,
        write_queue_max_bytes: 2000,
        ..TransportConf::default()
    };
    let asking = TransportContext::new(conf, network, Arc::new(Handlers::hello())).unwrap();
    let factory = asking.create_client_factory(Vec::new());
    let client = factory.create_client("127.0.0.1", server.port()).await.unwrap();
    let tasks: Vec<_> = (1..=8usize)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    while client.send(&vec![0; task * 150]).is_err() {
                        assert!(client.is_active());
                        client.wait_for_room().await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        tokio::time::timeout(secs(60), task)
            .await
            .expect("somebody waits for ever")
            .unwrap();
    }
    let all = |seen: &[Seen]| seen.iter().filter(|seen| matches!(seen, Seen::OneWay(_))).count() == 8 * 200;
    tokio::time::timeout(secs(60), handlers.record.until(all))
        .await
        .unwrap();
}

/// A folder that is removed with the test.
#[cfg(unix)]
struct Folder(std::path::PathBuf);

#[cfg(unix)]
impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("spark-rpc-transport-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

#[cfg(unix)]
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
