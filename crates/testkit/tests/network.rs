//! The in-memory network when nothing goes wrong.

use std::io;
use std::time::Duration;

use spark_rpc_net::{Listener, Network, SocketName, SocketOptions, Stream, is_address_collision};
use spark_rpc_testkit::{Host, Link, MemoryNetwork, MemorySettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

const HOUR: Duration = Duration::from_secs(3600);

async fn listen(host: &Host, port: u16) -> Box<dyn Listener> {
    host.bind(host.name(), port, &SocketOptions::default())
        .await
        .unwrap()
}

async fn connect(from: &Host, to: &Host, port: u16) -> io::Result<Box<dyn Stream>> {
    from.connect(to.name(), port, &SocketOptions::default()).await
}

async fn pair(from: &Host, to: &Host) -> (Box<dyn Stream>, Box<dyn Stream>) {
    let mut listener = listen(to, 0).await;
    let client = connect(from, to, listener.port()).await.unwrap();
    (client, listener.accept().await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways_and_each_direction_ends_on_its_own() {
    let net = MemoryNetwork::new(1);
    let (mut client, mut server) = pair(&net.host("a"), &net.host("b")).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();

    let mut received = Vec::new();
    server.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"question");
    assert_eq!(
        client.write(b"more").await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );

    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");

    drop(client);
    assert_eq!(net.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn both_ends_know_both_names_and_ports_are_given_out_in_order() {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    let mut listener = listen(&b, 0).await;
    assert_eq!(listener.port(), 49152);
    for port in [49152, 49153] {
        let client = connect(&a, &b, 49152).await.unwrap();
        let server = listener.accept().await.unwrap();
        assert_eq!(client.local(), SocketName::new("a", port));
        assert_eq!(client.peer(), SocketName::new("b", 49152));
        assert_eq!((server.local(), server.peer()), (client.peer(), client.local()));
        assert!(client.as_fd().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_knows_itself_by_the_usual_names() {
    let net = MemoryNetwork::new(1);
    let a = net.host("a");
    let options = SocketOptions::default();
    let mut listener = a.bind("0.0.0.0", 7077, &options).await.unwrap();
    for name in ["a", "localhost", "127.0.0.1"] {
        let client = a.connect(name, 7077, &options).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().peer(), client.local());
        assert_eq!(client.peer(), SocketName::new("a", 7077));
    }
}

#[tokio::test(start_paused = true)]
async fn a_taken_port_and_a_foreign_name_are_address_collisions() {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    let listener = listen(&a, 7077).await;
    let taken = a
        .bind("localhost", 7077, &SocketOptions::default())
        .await
        .unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(
        taken.to_string(),
        "a: cannot listen on localhost:7077: address in use"
    );

    let foreign = a.bind("b", 7077, &SocketOptions::default()).await.unwrap_err();
    assert_eq!(foreign.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(is_address_collision(&taken) && is_address_collision(&foreign));

    listen(&b, 7077).await;
    drop(listener);
    listen(&a, 7077).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_listener_refuses_and_an_unknown_one_is_not_found() {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    let refused = connect(&a, &b, 7077).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(
        refused.to_string(),
        "a: cannot connect to b:7077: connection refused"
    );

    let unknown = a.connect("c", 7077, &SocketOptions::default()).await.unwrap_err();
    assert_eq!(unknown.kind(), io::ErrorKind::NotFound);
    assert_eq!(net.open_connections(), 0);
    assert_eq!((net.counters().connects, net.counters().refused), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn latency_passes_on_the_virtual_clock_only() {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    net.set_link(&a, &b, Link::fixed(HOUR));
    let really = std::time::Instant::now();

    let started = Instant::now();
    let (mut client, mut server) = pair(&a, &b).await;
    assert_eq!(started.elapsed(), 2 * HOUR, "there and back");

    client.write_u8(1).await.unwrap();
    assert_eq!(
        started.elapsed(),
        2 * HOUR,
        "a write does not wait for its arrival"
    );
    server.read_u8().await.unwrap();
    assert_eq!(started.elapsed(), 3 * HOUR);
    assert!(really.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_host_reaches_itself_without_latency() {
    let net = MemoryNetwork::new(1);
    let a = net.host("a");
    let started = Instant::now();
    let (mut client, mut server) = pair(&a, &a).await;
    client.write_u8(1).await.unwrap();
    server.read_u8().await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_is_shared_by_its_connections_but_not_by_its_directions() {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    let (mut one, mut one_server) = pair(&a, &b).await;
    let (mut two, mut two_server) = pair(&a, &b).await;
    net.set_link(
        &a,
        &b,
        Link {
            bytes_per_second: Some(1000),
            ..Link::INSTANT
        },
    );

    let started = Instant::now();
    one.write_all(&[1; 1000]).await.unwrap();
    two.write_all(&[2; 1000]).await.unwrap();
    one_server.write_all(&[3; 1000]).await.unwrap();
    let mut buf = [0; 1000];
    one.read_exact(&mut buf).await.unwrap();
    one_server.read_exact(&mut buf).await.unwrap();
    assert_eq!(started.elapsed().as_secs_f64().round(), 1.0);
    two_server.read_exact(&mut buf).await.unwrap();
    assert_eq!(started.elapsed().as_secs_f64().round(), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_while_its_peer_does_not_read() {
    let settings = MemorySettings {
        send_buffer: 100,
        ..MemorySettings::default()
    };
    let net = MemoryNetwork::with_settings(1, settings);
    let (mut client, mut server) = pair(&net.host("a"), &net.host("b")).await;

    assert_eq!(client.write(&[1; 70]).await.unwrap(), 70);
    assert_eq!(client.write(&[1; 70]).await.unwrap(), 30, "no more than fits");
    assert!(
        timeout(HOUR, client.write(&[1; 70])).await.is_err(),
        "full for as long as nobody reads"
    );

    server.read_exact(&mut [0; 60]).await.unwrap();
    let started = Instant::now();
    assert_eq!(client.write(&[1; 70]).await.unwrap(), 60);
    assert!(
        started.elapsed() >= Duration::from_millis(1),
        "word of the room travels, too"
    );
}

#[tokio::test(start_paused = true)]
async fn bulk_passes_through_a_small_buffer_unharmed() {
    for send_buffer in [1, 2, 1000] {
        let settings = MemorySettings {
            send_buffer,
            ..MemorySettings::default()
        };
        let net = MemoryNetwork::with_settings(7, settings);
        let (mut client, mut server) = pair(&net.host("a"), &net.host("b")).await;
        let sent: Vec<u8> = (0..2000u32).map(|n| n as u8).collect();
        let mut received = Vec::new();
        let (wrote, read) = tokio::join!(
            async {
                client.write_all(&sent).await?;
                client.shutdown().await
            },
            server.read_to_end(&mut received)
        );
        wrote.unwrap();
        read.unwrap();
        assert_eq!(received, sent);
    }
}

#[tokio::test(start_paused = true)]
async fn vectored_writes_are_taken_as_one() {
    let net = MemoryNetwork::new(1);
    let (mut client, mut server) = pair(&net.host("a"), &net.host("b")).await;
    assert!(client.is_write_vectored());
    let parts = [io::IoSlice::new(b"header"), io::IoSlice::new(b"body")];
    assert_eq!(client.write_vectored(&parts).await.unwrap(), 10);
    let mut received = [0; 10];
    server.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"headerbody");
}

#[tokio::test(start_paused = true)]
async fn writes_arrive_in_pieces() {
    let net = MemoryNetwork::new(1);
    let (mut client, mut server) = pair(&net.host("a"), &net.host("b")).await;
    client.write_all(&[1; 1000]).await.unwrap();
    let first = server.read(&mut [0; 1000]).await.unwrap();
    assert!(first < 1000, "{first}");
    server.read_exact(&mut vec![0; 1000 - first]).await.unwrap();
    assert_eq!(net.counters().bytes_delivered, 1000);
    assert!(net.counters().segments_delivered > 1);
}

#[tokio::test(start_paused = true)]
async fn connects_beyond_the_backlog_wait_for_an_accept() {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    let options = SocketOptions {
        backlog: Some(1),
        ..SocketOptions::default()
    };
    let mut listener = b.bind("b", 7077, &options).await.unwrap();
    let _first = connect(&a, &b, 7077).await.unwrap();
    let mut second = tokio::spawn(async move { connect(&a, &b, 7077).await });
    assert!(timeout(HOUR, &mut second).await.is_err());

    let _first = listener.accept().await.unwrap();
    second.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_a_listener_resets_what_it_has_not_accepted() {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    let listener = listen(&b, 7077).await;
    let mut client = connect(&a, &b, 7077).await.unwrap();
    drop(listener);
    assert_eq!(
        client.read_u8().await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
    drop(client);
    assert_eq!(net.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_is_given_up_leaves_nothing_behind() {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    let mut listener = listen(&b, 7077).await;
    net.set_link(&a, &b, Link::fixed(Duration::from_secs(10)));

    // Before the peer has heard of it, and while its answer is on its way.
    assert!(
        timeout(Duration::from_secs(5), connect(&a, &b, 7077))
            .await
            .is_err()
    );
    assert_eq!(net.open_connections(), 0);
    assert!(
        timeout(Duration::from_secs(15), connect(&a, &b, 7077))
            .await
            .is_err()
    );
    let mut orphan = listener.accept().await.unwrap();
    assert_eq!(
        orphan.read_u8().await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
    drop(orphan);
    assert_eq!(net.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn writing_to_a_peer_that_has_closed_ends_in_a_reset() {
    let net = MemoryNetwork::new(1);
    let (mut client, server) = pair(&net.host("a"), &net.host("b")).await;
    drop(server);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    client.write_u8(1).await.unwrap();
    assert_eq!(
        wait_for_write_error(&mut client).await.kind(),
        io::ErrorKind::ConnectionReset
    );
    drop(client);
    assert_eq!(net.open_connections(), 0);
}

/// Fills the buffer, waits, and returns what the wait came to.
async fn wait_for_write_error(stream: &mut Box<dyn Stream>) -> io::Error {
    loop {
        if let Err(e) = stream.write(&[0; 1 << 16]).await {
            return e;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn closing_with_unread_bytes_resets_the_peer() {
    let net = MemoryNetwork::new(1);
    let (mut client, mut server) = pair(&net.host("a"), &net.host("b")).await;
    client.write_all(&[1; 100]).await.unwrap();
    server.read_u8().await.unwrap();
    drop(server);
    assert_eq!(
        client.read_u8().await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

#[tokio::test(start_paused = true)]
async fn the_network_goes_on_for_as_long_as_anything_of_it_is_left() {
    let net = MemoryNetwork::new(1);
    let (mut client, mut server) = pair(&net.host("a"), &net.host("b")).await;
    drop(net);
    client.write_u8(1).await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), 1);
}
