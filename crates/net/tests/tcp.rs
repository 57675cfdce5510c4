//! TCP over the loopback interface.

use std::io;

use socket2::SockRef;
use spark_rpc_net::{Listener, Network, SocketName, SocketOptions, Stream, TcpNetwork, is_address_collision};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LOOPBACK: &str = "127.0.0.1";

async fn listen(options: &SocketOptions) -> Box<dyn Listener> {
    TcpNetwork.bind(LOOPBACK, 0, options).await.unwrap()
}

/// A connected client and its server side.
async fn pair(options: &SocketOptions) -> (Box<dyn Stream>, Box<dyn Stream>) {
    let mut listener = listen(options).await;
    let client = TcpNetwork
        .connect(LOOPBACK, listener.port(), options)
        .await
        .unwrap();
    (client, listener.accept().await.unwrap())
}

#[tokio::test]
async fn both_ends_know_both_names() {
    let mut listener = listen(&SocketOptions::default()).await;
    let client = TcpNetwork
        .connect("localhost", listener.port(), &SocketOptions::default())
        .await
        .unwrap();
    let server = listener.accept().await.unwrap();

    assert_ne!(listener.port(), 0);
    assert_eq!(client.peer(), SocketName::new(LOOPBACK, listener.port()));
    assert_eq!(server.local(), client.peer());
    assert_eq!(server.peer(), client.local());
}

#[tokio::test]
async fn ending_one_direction_leaves_the_other_open() {
    let (mut client, mut server) = pair(&SocketOptions::default()).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();

    let mut received = Vec::new();
    server.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"question");

    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn vectored_writes_reach_the_socket_as_one() {
    let (mut client, mut server) = pair(&SocketOptions::default()).await;
    assert!(client.is_write_vectored());
    let parts = [io::IoSlice::new(b"header"), io::IoSlice::new(b"body")];
    assert_eq!(client.write_vectored(&parts).await.unwrap(), 10);

    let mut received = [0; 10];
    server.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"headerbody");
}

#[tokio::test]
async fn reset_on_drop_resets_the_peer() {
    let (mut client, mut server) = pair(&SocketOptions::default()).await;
    client.reset_on_drop().unwrap();
    drop(client);
    assert_eq!(
        server.read_u8().await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn a_taken_port_is_an_address_collision_that_names_it() {
    let listener = listen(&SocketOptions::default()).await;
    let error = TcpNetwork
        .bind(LOOPBACK, listener.port(), &SocketOptions::default())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(is_address_collision(&error));
    let address = format!("cannot listen on {LOOPBACK}:{}: ", listener.port());
    assert!(error.to_string().starts_with(&address), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_an_address_collision() {
    // TEST-NET-1 (RFC 5737) is nobody's.
    let error = TcpNetwork
        .bind("192.0.2.1", 0, &SocketOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(is_address_collision(&error));
}

#[tokio::test]
async fn a_port_is_free_again_although_its_connections_linger() {
    let options = SocketOptions::default();
    let mut listener = listen(&options).await;
    let port = listener.port();
    let mut client = TcpNetwork.connect(LOOPBACK, port, &options).await.unwrap();
    let server = listener.accept().await.unwrap();
    // The side that closes first keeps the port in TIME_WAIT.
    drop((server, listener));
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    drop(client);

    assert_eq!(
        TcpNetwork.bind(LOOPBACK, port, &options).await.unwrap().port(),
        port
    );
}

#[tokio::test]
async fn connecting_to_a_port_without_a_server_is_refused_with_its_name() {
    let listener = listen(&SocketOptions::default()).await;
    let port = listener.port();
    drop(listener);

    let error = TcpNetwork
        .connect(LOOPBACK, port, &SocketOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot connect to {LOOPBACK}:{port}: ")),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_that_cannot_be_resolved_is_named_in_the_error() {
    // Longer than a label may be (RFC 1035 §2.3.4), so that no name server is asked.
    let host = "x".repeat(70);
    let error = TcpNetwork
        .connect(&host, 7077, &SocketOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&format!("{host}:7077")), "{error}");
}

#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    // Where "localhost" comes first as ::1, that address refuses and the next one accepts.
    let mut listener = listen(&SocketOptions::default()).await;
    TcpNetwork
        .connect("localhost", listener.port(), &SocketOptions::default())
        .await
        .unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn ipv6_hosts_may_stand_in_brackets() {
    let options = SocketOptions::default();
    let mut listener = match TcpNetwork.bind("[::1]", 0, &options).await {
        Ok(listener) => listener,
        Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable || e.kind() == io::ErrorKind::Unsupported => {
            println!("skipped: this machine has no ::1 ({e})");
            return;
        }
        Err(e) => panic!("{e}"),
    };
    for host in ["[::1]", "::1"] {
        let client = TcpNetwork.connect(host, listener.port(), &options).await.unwrap();
        assert_eq!(client.peer(), SocketName::new("::1", listener.port()));
        assert_eq!(listener.accept().await.unwrap().peer(), client.local());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn accepted_connections_have_what_was_asked_for_and_outgoing_ones_what_spark_gives_them() {
    let asked = SocketOptions {
        keep_alive: true,
        no_delay: false,
        ..SocketOptions::default()
    };
    for options in [SocketOptions::default(), asked] {
        let (client, server) = pair(&options).await;
        let client = client.as_fd().unwrap();
        assert!(SockRef::from(&client).tcp_nodelay().unwrap());
        assert!(SockRef::from(&client).keepalive().unwrap());

        let server = server.as_fd().unwrap();
        assert_eq!(SockRef::from(&server).tcp_nodelay().unwrap(), options.no_delay);
        assert_eq!(SockRef::from(&server).keepalive().unwrap(), options.keep_alive);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn buffer_sizes_hold_on_both_ends() {
    let small = SocketOptions {
        receive_buffer: Some(16 << 10),
        send_buffer: Some(16 << 10),
        ..SocketOptions::default()
    };
    let (client, server) = pair(&small).await;
    for stream in [client, server] {
        let fd = stream.as_fd().unwrap();
        // Linux doubles what it is asked for, to cover its own bookkeeping.
        for size in [
            SockRef::from(&fd).recv_buffer_size(),
            SockRef::from(&fd).send_buffer_size(),
        ] {
            assert!((16 << 10..=32 << 10).contains(&size.unwrap()));
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn congestion_control_holds_on_both_ends() {
    let reno = SocketOptions {
        congestion: Some("reno".into()),
        ..SocketOptions::default()
    };
    let (client, server) = pair(&reno).await;
    for stream in [client, server] {
        let name = SockRef::from(&stream.as_fd().unwrap()).tcp_congestion().unwrap();
        assert!(name.starts_with(b"reno"), "{}", name.escape_ascii());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unknown_congestion_control_is_named_in_the_error() {
    let unknown = SocketOptions {
        congestion: Some("no-such-cc".into()),
        ..SocketOptions::default()
    };
    let error = TcpNetwork.bind(LOOPBACK, 0, &unknown).await.unwrap_err();
    assert!(error.to_string().contains("no-such-cc"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_raw_write_waits_for_room() {
    use std::future::poll_fn;

    let (client, mut server) = pair(&SocketOptions::default()).await;
    let mut blocked = 0;
    let mut sent = 0usize;
    const TOTAL: usize = 32 << 20;
    let sending = async {
        while sent < TOTAL {
            let chunk = vec![7u8; (TOTAL - sent).min(1 << 20)];
            sent += poll_fn(|cx| {
                client.poll_write_fd(cx, &mut |fd| {
                    let result = SockRef::from(&fd).send(&chunk);
                    blocked += u32::from(result.is_err());
                    result
                })
            })
            .await
            .unwrap();
        }
        drop(client);
    };
    let receiving = async {
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap()
    };
    let ((), received) = tokio::join!(sending, receiving);
    assert_eq!(received, TOTAL);
    assert!(
        blocked > 0,
        "the socket never was full, so nothing was waited for"
    );
}

/// The system chooses a port for the calling end, and now and then the very one that is being called.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_caller_of_a_port_where_nobody_listens_never_gets_itself() {
    let options = SocketOptions::default();
    // Listeners and callers are given odd and even ports each.
    let port = listen(&options).await.port() ^ 1;
    for _ in 0..30_000 {
        match TcpNetwork.connect(LOOPBACK, port, &options).await {
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}"),
            Ok(stream) => {
                assert_ne!(stream.local(), stream.peer());
                // Somebody listens there after all.
                break;
            }
        }
    }
}
