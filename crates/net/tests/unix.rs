//! Unix sockets behind host and port.
#![cfg(unix)]

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use spark_rpc_net::{Network, SocketName, SocketOptions, UnixNetwork, is_address_collision};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A directory of this test's own, short enough for socket paths, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("spark-rpc-net-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn network(&self) -> UnixNetwork {
        UnixNetwork::new(&self.0)
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Leaves behind what a server leaves that was killed: a socket file that nobody listens on.
fn leave_dead_socket(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert!(path.exists());
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_direction_ends_on_its_own() {
    let dir = Dir::new("bytes");
    let options = SocketOptions {
        send_buffer: Some(8 << 10),
        ..SocketOptions::default()
    };
    let mut listener = dir.network().bind("host-a", 7077, &options).await.unwrap();
    let mut client = dir.network().connect("host-a", 7077, &options).await.unwrap();
    let mut server = listener.accept().await.unwrap();

    assert!(client.is_write_vectored());
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
async fn a_server_tells_its_callers_apart_by_number() {
    let dir = Dir::new("names");
    let options = SocketOptions::default();
    let mut listener = dir.network().bind("host-a", 7077, &options).await.unwrap();
    for number in 1..=2 {
        let client = dir.network().connect("host-a", 7077, &options).await.unwrap();
        let server = listener.accept().await.unwrap();
        assert_eq!(client.peer(), SocketName::new("host-a", 7077));
        assert_eq!(server.local(), client.peer());
        assert_eq!(server.peer(), SocketName::new("unix", number));
        assert!(client.as_fd().is_some());
    }
}

#[tokio::test]
async fn port_zero_chooses_free_ports() {
    let dir = Dir::new("zero");
    let options = SocketOptions::default();
    let first = dir.network().bind("a", 0, &options).await.unwrap();
    let second = dir.network().bind("a", 0, &options).await.unwrap();
    assert_ne!(first.port(), 0);
    assert_ne!(first.port(), second.port());
    for port in [first.port(), second.port()] {
        dir.network().connect("a", port, &options).await.unwrap();
    }
}

#[tokio::test]
async fn a_live_server_keeps_its_port() {
    let dir = Dir::new("live");
    let options = SocketOptions::default();
    let mut live = dir.network().bind("a", 7077, &options).await.unwrap();
    let error = dir.network().bind("b", 7077, &options).await.unwrap_err();

    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(is_address_collision(&error));
    assert!(error.to_string().contains("b:7077"), "{error}");
    assert_eq!(
        dir.files(),
        ["7077.sock"],
        "the failed attempt leaves nothing behind"
    );

    live.accept().await.unwrap(); // The other one knocked to see whether anybody is there.
    dir.network().connect("a", 7077, &options).await.unwrap();
    live.accept().await.unwrap();
}

#[tokio::test]
async fn a_dead_servers_socket_is_replaced() {
    let dir = Dir::new("dead");
    let options = SocketOptions::default();
    leave_dead_socket(&dir.0.join("7077.sock"));
    let refused = dir.network().connect("a", 7077, &options).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

    let mut listener = dir.network().bind("a", 7077, &options).await.unwrap();
    dir.network().connect("a", 7077, &options).await.unwrap();
    listener.accept().await.unwrap();
    assert_eq!(dir.files(), ["7077.sock"]);
}

#[tokio::test]
async fn of_many_servers_after_one_dead_socket_exactly_one_gets_the_port() {
    let dir = Dir::new("race");
    leave_dead_socket(&dir.0.join("7077.sock"));
    let bind = || async { dir.network().bind("a", 7077, &SocketOptions::default()).await };
    let (a, b, c, d) = tokio::join!(bind(), bind(), bind(), bind());
    let results = [a, b, c, d];
    assert_eq!(
        results.iter().filter(|result| result.is_ok()).count(),
        1,
        "{results:?}"
    );
    dir.network()
        .connect("a", 7077, &SocketOptions::default())
        .await
        .unwrap();
    assert_eq!(dir.files(), ["7077.sock"]);
}

#[tokio::test]
async fn the_file_goes_with_the_listener_and_the_port_then_refuses() {
    let dir = Dir::new("gone");
    let options = SocketOptions::default();
    drop(dir.network().bind("a", 7077, &options).await.unwrap());
    assert_eq!(dir.files(), [""; 0]);

    let error = dir.network().connect("a", 7077, &options).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("a:7077"), "{error}");
}

#[tokio::test]
async fn a_listener_leaves_a_file_that_is_no_longer_its_own() {
    let dir = Dir::new("foreign");
    let options = SocketOptions::default();
    let listener = dir.network().bind("a", 7077, &options).await.unwrap();
    std::fs::remove_file(dir.0.join("7077.sock")).unwrap();
    let successor = dir.network().bind("a", 7077, &options).await.unwrap();
    drop(listener);
    assert_eq!(dir.files(), ["7077.sock"]);
    drop(successor);
}

#[tokio::test]
async fn a_missing_directory_is_made_for_its_owner_only() {
    let dir = Dir::new("mode");
    let inner = dir.0.join("x/y");
    let _listener = UnixNetwork::new(&inner)
        .bind("a", 1, &SocketOptions::default())
        .await
        .unwrap();
    assert_eq!(
        std::fs::metadata(inner).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[tokio::test]
async fn a_path_beyond_the_systems_limit_is_an_error_that_names_it() {
    let dir = Dir::new("long");
    let network = UnixNetwork::new(dir.0.join("x".repeat(200)));
    let error = network
        .bind("a", 7077, &SocketOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("7077.sock"), "{error}");
}
