//! Whether what was fetched is what the server has.

mod support;

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spark_rpc::config::RpcConf;
use spark_rpc::security::{PeerIdentity, SecurityManager};
use spark_rpc::{Fetched, FileError, FileServerError, RpcEnv};
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{Message, StreamFailure, StreamRequest, StreamResponse};
use support::files::Folder;
use support::{Pair, client, network, server};

/// Longer than all windows and queues on its way, and than what is examined in one go.
const LONG: usize = 24 << 20;
/// XXH3 with 128 bits of `abc`.
const OF_ABC: &str = "06b05ab6733a618578af5f94892f3950";

#[tokio::test(start_paused = true)]
async fn a_fetched_file_has_the_checksum_that_the_server_says() {
    let pair = Pair::new().await;
    let (there, here) = (Folder::new(), Folder::new());
    let uri = pair
        .server
        .file_server()
        .add_file(there.write("abc", "abc"))
        .await
        .unwrap();
    let fetched = pair.client.fetch_file(&uri, here.path("copy")).await.unwrap();
    assert_eq!(fetched.length, 3);
    assert_eq!(fetched.checksum.unwrap().to_string(), OF_ABC);
}

/// Fetches a long file, of which `change` is made something else when some of it has come, but not all of it has left.
async fn changed_half_way(
    change: impl FnOnce(&Folder) + Send,
) -> (Result<Fetched, FileError>, Folder, Folder) {
    let pair = Pair::new().await;
    let (there, here) = (Folder::new(), Folder::new());
    let uri = pair
        .server
        .file_server()
        .add_file(there.write("long", vec![7; LONG]))
        .await
        .unwrap();
    let mut change = Some(change);
    let fetched = pair
        .client
        .fetch_file_with(&uri, here.path("copy"), |done, _| {
            if done > 0
                && let Some(change) = change.take()
            {
                change(&there);
            }
        })
        .await;
    (fetched, there, here)
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_written_to_while_it_is_fetched_is_noticed() {
    // At its beginning, which has left already, and at its end, which has not.
    for at in [SeekFrom::Start(0), SeekFrom::End(-1)] {
        let (fetched, _, here) = changed_half_way(move |there| {
            let mut file = OpenOptions::new().write(true).open(there.path("long")).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(b"new").unwrap();
            file.seek(at).unwrap();
            file.write_all(b"!").unwrap();
        })
        .await;
        let error = fetched.unwrap_err();
        assert!(matches!(error, FileError::Damaged { .. }), "{error}");
        support::eventually("the part is removed", || here.names().is_empty()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_grows_is_fetched_as_far_as_it_went() {
    let (fetched, ..) = changed_half_way(|there| {
        let mut file = OpenOptions::new().append(true).open(there.path("long")).unwrap();
        file.write_all(b"more").unwrap();
    })
    .await;
    let fetched = fetched.unwrap();
    assert_eq!(fetched.length, LONG as u64);
    assert!(fetched.checksum.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_is_fetched_as_it_was() {
    let (fetched, _, here) = changed_half_way(|there| {
        fs::rename(there.write("other", "other"), there.path("long")).unwrap();
    })
    .await;
    assert!(fetched.unwrap().checksum.is_some());
    assert!(fs::read(here.path("copy")).unwrap() == vec![7; LONG]);
}

/// A server that answers a fetch of `/files/name` with `content`, and the question for the checksum as it likes.
struct Scripted {
    peer: Option<ScriptedPeer>,
}

const SUBJECT: &str = "/files/name";
const VERDICT: &str = "/.spark-rpc/checksum/files/name";

impl Scripted {
    fn peer(&mut self) -> &mut ScriptedPeer {
        self.peer.as_mut().expect("it is still there")
    }

    async fn expect(&mut self, name: &str) {
        let Message::StreamRequest(request) = self.peer().expect_frame().await else {
            panic!("it asks for a stream")
        };
        assert_eq!(request.stream_id, name);
    }

    async fn send(&mut self, name: &str, content: &str) {
        let response = StreamResponse {
            stream_id: name.to_owned(),
            byte_count: content.len() as i64,
        };
        self.peer().send(response).await;
        self.peer()
            .send_raw(Bytes::copy_from_slice(content.as_bytes()))
            .await;
    }

    async fn refuse(&mut self, name: &str) {
        let error = "java.lang.IllegalArgumentException: requirement failed: Invalid stream URI: .spark-rpc not found.";
        self.peer()
            .send(StreamFailure {
                stream_id: name.to_owned(),
                error: error.to_owned(),
            })
            .await;
    }
}

/// Lets a client fetch from a scripted server; also returns what is where the file should be.
async fn fetch_from(script: impl AsyncFnOnce(&mut Scripted)) -> (Result<Fetched, FileError>, String) {
    fetch_with(RpcConf::default(), script).await
}

async fn fetch_with(
    conf: RpcConf,
    script: impl AsyncFnOnce(&mut Scripted),
) -> (Result<Fetched, FileError>, String) {
    let net = MemoryNetwork::new(1);
    let options = spark_rpc::SocketOptions::default();
    let mut listener = spark_rpc::Network::bind(&net.host("server"), "server", 7077, &options)
        .await
        .unwrap();
    let client = client(&net.host("client"), conf).await;
    let folder = Folder::new();
    let target = folder.write("copy", "what was there before");
    let serving = async {
        let peer = ScriptedPeer::accept(&mut *listener).await;
        let mut scripted = Scripted { peer: Some(peer) };
        script(&mut scripted).await;
        scripted
    };
    let (fetched, _serving) = tokio::join!(
        client.fetch_file("spark://server:7077/files/name", &target),
        serving
    );
    support::eventually("nothing else is left", || folder.names() == ["copy"]).await;
    (fetched, fs::read_to_string(target).unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_was_damaged_on_its_way_is_not_placed() {
    let (fetched, there) = fetch_from(async |server| {
        server.expect(SUBJECT).await;
        server.send(SUBJECT, "abd").await;
        server.expect(VERDICT).await;
        server.send(VERDICT, &format!("xxh3-128 {OF_ABC}")).await;
    })
    .await;
    let error = fetched.unwrap_err();
    assert!(
        matches!(&error, FileError::Damaged { expected, .. } if expected.to_string() == OF_ABC),
        "{error}"
    );
    assert_eq!(there, "what was there before");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_has_changed_is_not_placed() {
    let (fetched, there) = fetch_from(async |server| {
        server.expect(SUBJECT).await;
        server.send(SUBJECT, "abc").await;
        server.expect(VERDICT).await;
        server.send(VERDICT, "changed").await;
    })
    .await;
    let error = fetched.unwrap_err();
    assert!(matches!(error, FileError::Changed { .. }), "{error}");
    assert_eq!(there, "what was there before");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_before_it_has_said_its_checksum_breaks_the_fetch_off() {
    let (fetched, there) = fetch_from(async |server| {
        server.expect(SUBJECT).await;
        server.send(SUBJECT, "abc").await;
        server.expect(VERDICT).await;
        server.peer = None;
    })
    .await;
    let error = fetched.unwrap_err();
    assert!(matches!(error, FileError::BrokenOff { .. }), "{error}");
    assert_eq!(there, "what was there before");
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_of_checksums_that_is_not_understood_checks_nothing() {
    for verdict in ["", "unknown", "sha-256 00", "xxh3-128 zz", &"long".repeat(100)] {
        let (fetched, there) = fetch_from(async |server| {
            server.expect(SUBJECT).await;
            server.send(SUBJECT, "abc").await;
            server.expect(VERDICT).await;
            server.send(VERDICT, verdict).await;
        })
        .await;
        assert_eq!(fetched.unwrap().checksum, None, "{verdict}");
        assert_eq!(there, "abc");
    }
}

#[tokio::test(start_paused = true)]
async fn a_jvm_refuses_once_and_is_not_asked_again() {
    let net = MemoryNetwork::new(1);
    let options = spark_rpc::SocketOptions::default();
    let mut listener = spark_rpc::Network::bind(&net.host("server"), "server", 7077, &options)
        .await
        .unwrap();
    let client = client(&net.host("client"), RpcConf::default()).await;
    let folder = Folder::new();
    let fetching = async {
        for _ in 0..3 {
            let fetched = client
                .fetch_file("spark://server:7077/files/name", folder.path("copy"))
                .await
                .unwrap();
            assert_eq!((fetched.length, fetched.checksum), (3, None));
        }
    };
    let serving = async {
        let peer = ScriptedPeer::accept(&mut *listener).await;
        let mut server = Scripted { peer: Some(peer) };
        server.expect(SUBJECT).await;
        server.send(SUBJECT, "abc").await;
        server.expect(VERDICT).await;
        server.refuse(VERDICT).await;
        for _ in 0..2 {
            server.expect(SUBJECT).await;
            server.send(SUBJECT, "abc").await;
        }
        server
    };
    let ((), _server) = tokio::join!(fetching, serving);
}

#[tokio::test(start_paused = true)]
async fn a_client_without_checksums_asks_for_none() {
    let conf = RpcConf::default().with_file_checksums(false);
    let (fetched, there) = fetch_with(conf, async |server| {
        server.expect(SUBJECT).await;
        server.send(SUBJECT, "abc").await;
        server.peer().expect_silence(Duration::from_secs(1)).await;
    })
    .await;
    let fetched = fetched.unwrap();
    assert_eq!((fetched.length, fetched.checksum), (3, None));
    assert_eq!(there, "abc");
}

/// Asks a server for streams, one after the other.
async fn ask_all(net: &MemoryNetwork, names: &[&str]) -> Vec<String> {
    let mut peer = ScriptedPeer::connect(&net.host("asker"), "server", 7077).await;
    let mut answers = Vec::new();
    for name in names {
        peer.send(StreamRequest {
            stream_id: (*name).to_owned(),
        })
        .await;
    }
    for _ in names {
        answers.push(match peer.expect_frame().await {
            Message::StreamFailure(failure) => format!("refused: {}", failure.error),
            Message::StreamResponse(_) => String::from_utf8(peer.expect_body().await.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        });
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn a_checksum_is_given_of_what_was_sent_last_and_once() {
    let pair = Pair::new().await;
    let folder = Folder::new();
    for name in ["name", "other"] {
        pair.server
            .file_server()
            .add_file(folder.write(name, "abc"))
            .await
            .unwrap();
    }
    let sum = format!("xxh3-128 {OF_ABC}");
    let answers = ask_all(
        &pair.net,
        &[
            VERDICT,
            SUBJECT,
            VERDICT,
            VERDICT,
            SUBJECT,
            "/files/other",
            VERDICT,
        ],
    )
    .await;
    let refused = [0, 3, 6];
    for (number, answer) in answers.iter().enumerate() {
        match number {
            2 => assert_eq!(*answer, sum),
            _ if refused.contains(&number) => assert!(answer.starts_with("refused: "), "{number}: {answer}"),
            _ => assert_eq!(answer, "abc"),
        }
    }
    let missing = ask_all(&pair.net, &["/files/nope", "/.spark-rpc/checksum/files/nope"]).await;
    assert!(
        missing.iter().all(|answer| answer.starts_with("refused: ")),
        "{missing:?}"
    );
    let dir = pair
        .server
        .file_server()
        .add_directory("/.spark-rpc", folder.root())
        .await;
    assert!(matches!(dir, Err(FileServerError::BadBase { .. })), "{dir:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_checksums_says_that_it_does_not_know() {
    let net = MemoryNetwork::new(1);
    let conf = RpcConf::default().with_file_checksums(false);
    let server = server(&net.host("server"), 7077, conf).await;
    let client = client(&net.host("client"), RpcConf::default()).await;
    let folder = Folder::new();
    let file = folder.write("name", "abc");
    let uri = server.file_server().add_file(&file).await.unwrap();
    // What was not sent is refused as ever.
    let answers = ask_all(&net, &[SUBJECT, VERDICT, VERDICT]).await;
    assert_eq!(answers[..2], ["abc", "unknown"]);
    assert!(answers[2].starts_with("refused: "), "{answers:?}");
    let fetched = client.fetch_file(&uri, folder.path("copy")).await.unwrap();
    assert_eq!((fetched.length, fetched.checksum), (3, None));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_by_another_before_it_is_examined_has_changed() {
    let pair = Pair::new().await;
    let folder = Folder::new();
    pair.server
        .file_server()
        .add_file(folder.write("name", "abc"))
        .await
        .unwrap();
    let mut peer = ScriptedPeer::connect(&pair.net.host("asker"), "server", 7077).await;
    let mut ask = async |name: &str| {
        peer.send(StreamRequest {
            stream_id: name.to_owned(),
        })
        .await;
        let frame = peer.expect_frame().await;
        assert!(matches!(frame, Message::StreamResponse(_)), "{frame:?}");
        peer.expect_body().await
    };
    assert_eq!(ask(SUBJECT).await, "abc");
    fs::rename(folder.write("next", "abc"), folder.path("name")).unwrap();
    assert_eq!(ask(VERDICT).await, "changed");
    assert_eq!(ask(SUBJECT).await, "abc");
    fs::write(folder.path("name"), "ab").unwrap();
    assert_eq!(ask(VERDICT).await, "changed");
}

/// Lets nobody read anything.
#[derive(Debug)]
struct Closed;

impl SecurityManager for Closed {
    fn may_fetch(&self, _: &PeerIdentity, path: &str) -> bool {
        assert_eq!(path, SUBJECT);
        false
    }

    fn uses_secrets(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_checksum_is_for_those_who_may_read_the_file() {
    let net = MemoryNetwork::new(1);
    let server = RpcEnv::builder("server")
        .network(network(&net.host("server")))
        .bind("server:7077")
        .security_manager(Arc::new(Closed));
    let server = server.start().await.unwrap();
    let folder = Folder::new();
    server
        .file_server()
        .add_file(folder.write("name", "abc"))
        .await
        .unwrap();
    let answers = ask_all(&net, &[VERDICT, SUBJECT]).await;
    assert!(
        answers.iter().all(|answer| answer.contains("access denied")),
        "{answers:?}"
    );
}
