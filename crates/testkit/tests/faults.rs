//! The in-memory network when things go wrong.

// tidy: allow-file(sleep): every runtime here starts with its clock paused, so a sleep only moves virtual time.

use std::io::ErrorKind;
use std::time::Duration;

use spark_rpc_net::{Listener, Network, SocketOptions, Stream};
use spark_rpc_testkit::{Crash, Happening, Host, Link, MemoryNetwork, MemorySettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

const HOUR: Duration = Duration::from_secs(3600);
const PORT: u16 = 7077;

struct Setup {
    net: MemoryNetwork,
    a: Host,
    b: Host,
    listener: Box<dyn Listener>,
    client: Box<dyn Stream>,
    server: Box<dyn Stream>,
}

/// Two hosts, `a` connected to `b`. Tests bind all of it, since what they leave out would be closed.
async fn setup(settings: MemorySettings) -> Setup {
    let net = MemoryNetwork::with_settings(1, settings);
    let (a, b) = (net.host("a"), net.host("b"));
    let mut listener = listen(&b).await;
    let client = connect(&a, &b).await.unwrap();
    let server = listener.accept().await.unwrap();
    Setup {
        net,
        a,
        b,
        listener,
        client,
        server,
    }
}

async fn listen(host: &Host) -> Box<dyn Listener> {
    host.bind(host.name(), PORT, &SocketOptions::default())
        .await
        .unwrap()
}

async fn connect(from: &Host, to: &Host) -> std::io::Result<Box<dyn Stream>> {
    from.connect(to.name(), PORT, &SocketOptions::default()).await
}

async fn read_error(stream: &mut Box<dyn Stream>) -> ErrorKind {
    stream.read_u8().await.unwrap_err().kind()
}

async fn is_silent(stream: &mut Box<dyn Stream>) -> bool {
    timeout(HOUR, stream.read_u8()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn a_partition_holds_bytes_back_until_it_heals() {
    let Setup {
        net,
        a,
        b,
        mut client,
        mut server,
        listener: _listener,
    } = setup(MemorySettings::default()).await;
    client.write_all(b"on its way").await.unwrap();
    net.partition(&[&a], &[&b]);
    client.write_all(b", and later").await.unwrap();
    client.shutdown().await.unwrap();
    server.write_all(b"back").await.unwrap();
    assert!(is_silent(&mut server).await);
    assert!(is_silent(&mut client).await);

    let healed = Instant::now();
    net.heal();
    let mut received = String::new();
    server.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "on its way, and later");
    client.read_exact(&mut [0; 4]).await.unwrap();
    assert!(
        (1..=5).contains(&healed.elapsed().as_millis()),
        "{:?}",
        healed.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_partition_leaves_others_alone() {
    let Setup {
        net,
        a,
        b,
        mut client,
        mut server,
        listener: _listener,
    } = setup(MemorySettings::default()).await;
    let c = net.host("c");
    net.partition(&[&a, &c], &[&c]);
    net.partition(&[&c], &[&b]);
    client.write_u8(1).await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), 1);
    assert!(timeout(HOUR, connect(&c, &b)).await.is_err());
    connect(&a, &b).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_partition_holds_connects_back_wherever_they_are() {
    let Setup {
        net,
        a,
        b,
        mut listener,
        client: _client,
        server: _server,
    } = setup(MemorySettings::default()).await;
    net.set_link(&a, &b, Link::fixed(Duration::from_secs(10)));
    // One whose answer is on its way, one that is on its way itself, and one that is asked for later.
    let start = || {
        let (a, b) = (a.clone(), b.clone());
        tokio::spawn(async move { connect(&a, &b).await })
    };
    let first = start();
    tokio::time::advance(Duration::from_secs(5)).await;
    let second = start();
    let _answered = listener.accept().await.unwrap();
    net.partition(&["a"], &["b"]);
    let third = start();
    tokio::time::advance(HOUR).await;
    assert!(!first.is_finished() && !second.is_finished() && !third.is_finished());

    net.heal();
    for connecting in [first, second, third] {
        connecting.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn connections_do_not_outlive_a_partition_if_so_asked() {
    let settings = MemorySettings {
        reset_on_heal: true,
        ..MemorySettings::default()
    };
    let Setup {
        net,
        a,
        b,
        mut client,
        mut server,
        listener: _listener,
    } = setup(settings).await;
    net.partition(&[&a], &[&b]);
    client.write_u8(1).await.unwrap();
    let connecting = tokio::spawn(async move { connect(&a, &b).await });
    assert!(is_silent(&mut server).await);

    net.heal();
    assert_eq!(read_error(&mut client).await, ErrorKind::ConnectionReset);
    assert_eq!(read_error(&mut server).await, ErrorKind::ConnectionReset);
    connecting
        .await
        .unwrap()
        .expect("a connect has nothing to lose yet");
}

#[tokio::test(start_paused = true)]
async fn a_cut_resets_reads_and_writes_that_wait_at_both_ends() {
    let settings = MemorySettings {
        send_buffer: 10,
        ..MemorySettings::default()
    };
    let Setup {
        net,
        a,
        b,
        mut client,
        mut server,
        listener: _listener,
    } = setup(settings).await;
    server.write_all(&[1; 10]).await.unwrap();
    let reading = tokio::spawn(async move { read_error(&mut server).await });
    let writing = tokio::spawn(async move { client.write_all(&[0; 100]).await.unwrap_err().kind() });
    net.cut(&b, &a);
    assert_eq!(reading.await.unwrap(), ErrorKind::ConnectionReset);
    assert_eq!(writing.await.unwrap(), ErrorKind::ConnectionReset);
    assert_eq!(net.open_connections(), 0);

    connect(&a, &b).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cut_loses_what_is_on_its_way_but_not_what_has_arrived() {
    let Setup {
        net,
        a,
        b,
        mut client,
        mut server,
        listener: _listener,
    } = setup(MemorySettings::default()).await;
    client.write_u8(1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await; // For the byte to arrive.
    client.write_u8(2).await.unwrap();
    net.cut(&a, &b);
    assert_eq!(server.read_u8().await.unwrap(), 1);
    assert_eq!(read_error(&mut server).await, ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn reset_on_drop_resets_a_read_that_waits() {
    let Setup {
        mut client,
        mut server,
        listener: _listener,
        ..
    } = setup(MemorySettings::default()).await;
    let reading = tokio::spawn(async move { read_error(&mut server).await });
    client.reset_on_drop().unwrap();
    drop(client);
    assert_eq!(reading.await.unwrap(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn when_a_process_crashes_its_machine_resets_and_refuses() {
    let Setup {
        net,
        a,
        b,
        mut listener,
        mut client,
        mut server,
    } = setup(MemorySettings::default()).await;
    net.crash(&b, Crash::PROCESS);
    assert_eq!(read_error(&mut client).await, ErrorKind::ConnectionReset);
    assert_eq!(
        connect(&a, &b).await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );

    // What is left of the process reaches nobody.
    assert_eq!(read_error(&mut server).await, ErrorKind::ConnectionAborted);
    assert_eq!(connect(&b, &a).await.unwrap_err().kind(), ErrorKind::NetworkDown);
    assert!(timeout(HOUR, listener.accept()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_reset_after_a_crash_comes_as_late_as_asked() {
    let Setup {
        net,
        b,
        mut client,
        listener: _listener,
        server: _server,
        ..
    } = setup(MemorySettings::default()).await;
    let crashed = Instant::now();
    net.crash(
        &b,
        Crash {
            peers_see_reset: Some(HOUR),
            ..Crash::POWER_LOSS
        },
    );
    net.restart(&b);
    assert_eq!(read_error(&mut client).await, ErrorKind::ConnectionReset);
    assert_eq!(crashed.elapsed(), HOUR);
}

#[tokio::test(start_paused = true)]
async fn after_a_power_loss_there_is_silence_until_the_machine_is_back() {
    let Setup {
        net,
        a,
        b,
        mut client,
        server,
        listener,
    } = setup(MemorySettings::default()).await;
    net.crash(&b, Crash::POWER_LOSS);
    drop((server, listener));
    client.write_u8(1).await.unwrap();
    let connecting = {
        let (a, b) = (a.clone(), b.clone());
        tokio::spawn(async move { connect(&a, &b).await })
    };
    assert!(is_silent(&mut client).await);
    assert!(!connecting.is_finished());

    let restarted = net.restart(&b);
    let mut listener = listen(&restarted).await;
    assert_eq!(read_error(&mut client).await, ErrorKind::ConnectionReset);
    connecting.await.unwrap().expect("its SYN was sent once more");
    listener.accept().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_peer_learns_of_a_restart_by_its_next_bytes() {
    let Setup {
        net,
        b,
        mut client,
        listener: _listener,
        server: _server,
        ..
    } = setup(MemorySettings::default()).await;
    net.crash(&b, Crash::POWER_LOSS);
    net.restart(&b);
    assert!(is_silent(&mut client).await);
    client.write_u8(1).await.unwrap();
    assert_eq!(read_error(&mut client).await, ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_host_before_its_restart_stays_dead() {
    let Setup {
        net,
        a,
        b,
        mut listener,
        client: _client,
        server: _server,
    } = setup(MemorySettings::default()).await;
    net.crash(&b, Crash::PROCESS);
    let restarted = net.restart(&b);
    assert_eq!(connect(&b, &a).await.unwrap_err().kind(), ErrorKind::NetworkDown);
    let bound = b.bind("b", PORT, &SocketOptions::default()).await;
    assert_eq!(bound.unwrap_err().kind(), ErrorKind::NetworkDown);

    let mut fresh = listen(&restarted).await;
    let _client = connect(&a, &restarted).await.unwrap();
    assert!(timeout(HOUR, listener.accept()).await.is_err());
    fresh.accept().await.unwrap();
    drop(listener);
    connect(&a, &restarted)
        .await
        .expect("the old listener takes only itself away");
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_connecting_fails_the_connect_and_orphans_the_other_side() {
    let Setup {
        net,
        a,
        b,
        mut listener,
        client: _client,
        server: _server,
    } = setup(MemorySettings::default()).await;
    net.set_link(&a, &b, Link::fixed(Duration::from_secs(10)));
    let connecting = {
        let (a, b) = (a.clone(), b.clone());
        tokio::spawn(async move { connect(&a, &b).await })
    };
    let mut orphan = listener.accept().await.unwrap();
    net.crash(&a, Crash::PROCESS);
    assert_eq!(
        connecting.await.unwrap().unwrap_err().kind(),
        ErrorKind::ConnectionAborted
    );
    assert_eq!(read_error(&mut orphan).await, ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_connect_whose_host_crashed_before_it_was_heard_of_is_forgotten() {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    net.partition(&[&a], &[&b]);
    let connecting = tokio::spawn(async move { connect(&a, &b).await });
    tokio::task::yield_now().await;
    net.crash("a", Crash::PROCESS);
    assert_eq!(
        connecting.await.unwrap().unwrap_err().kind(),
        ErrorKind::ConnectionAborted
    );
    net.heal();
    tokio::time::sleep(HOUR).await; // For its first segment to arrive and be refused.
    assert_eq!(net.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn connections_of_crashed_hosts_are_forgotten_once_nobody_holds_them() {
    let Setup {
        net,
        a,
        b,
        listener,
        client,
        server,
    } = setup(MemorySettings::default()).await;
    let _not_accepted = connect(&a, &b).await.unwrap();
    net.crash(&b, Crash::POWER_LOSS);
    net.crash(&a, Crash::POWER_LOSS);
    drop((client, _not_accepted));
    assert_eq!(net.open_connections(), 1);
    drop((server, listener));
    assert_eq!(net.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_trace_tells_what_happened_when() {
    let Setup {
        net,
        a,
        b,
        mut client,
        mut server,
        listener: _listener,
    } = setup(MemorySettings::default()).await;
    net.set_link(&a, &b, Link::fixed(HOUR));
    let before = net.trace().len();
    let started = net.trace()[before - 1].at;
    client.write_u8(1).await.unwrap();
    server.read_u8().await.unwrap();
    net.cut(&a, &b);

    let trace = net.trace().split_off(before);
    let (left, right): (std::sync::Arc<str>, std::sync::Arc<str>) = ("a".into(), "b".into());
    let expected = [
        Happening::Delivered {
            connection: 0,
            at: right.clone(),
            bytes: 1,
        },
        Happening::Cut {
            left: left.clone(),
            right: right.clone(),
        },
        Happening::Reset {
            connection: 0,
            at: left,
        },
        Happening::Reset {
            connection: 0,
            at: right,
        },
    ];
    assert_eq!(
        trace.iter().map(|event| event.what.clone()).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(trace[0].at, started + HOUR);
    assert_eq!((net.counters().resets, net.counters().bytes_delivered), (2, 1));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "no host \"nobody\" on this network")]
async fn a_fault_for_an_unknown_host_is_a_mistake_in_the_test() {
    MemoryNetwork::new(1).crash("nobody", Crash::PROCESS);
}
