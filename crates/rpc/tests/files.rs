//! Files that one env serves and another one reads.

mod support;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::task::Poll;

use bytes::Bytes;
use spark_rpc::config::{RpcConf, SparkConf, TransportConf};
use spark_rpc::{FileError, FileServerError, RpcEnv};
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{Message, StreamResponse};
use support::files::{Folder, pattern, read, refusal, with_secret};
use support::{Pair, client};
use tokio::io::AsyncReadExt;

/// Longer than all windows and queues on its way.
const LONG: usize = 24 << 20;

/// Serves and fetches all that ENV-24 names.
async fn serve_and_fetch(server: &RpcEnv, client: &RpcEnv, long: usize) {
    let (there, here) = (Folder::new(), Folder::new());
    let files = server.file_server();
    let base = server.address().unwrap().to_spark_url();
    let long = pattern(long);
    there.write("dir1/file1", "in dir1");
    there.write("dir2/deep/file2", "in dir2");
    let mut wanted = vec![
        (format!("{base}/files/file"), b"a file".to_vec()),
        (format!("{base}/files/a%20file%20%25"), b"with blanks".to_vec()),
        (format!("{base}/files/empty"), Vec::new()),
        (format!("{base}/jars/jar"), b"a jar".to_vec()),
        (format!("{base}/files/long"), long),
    ];
    for (uri, content) in &wanted {
        let name = uri
            .rsplit('/')
            .next()
            .unwrap()
            .replace("%20", " ")
            .replace("%25", "%");
        let path = there.write(&name, content);
        let added = match uri.contains("/jars/") {
            true => files.add_jar(&path).await,
            false => files.add_file(&path).await,
        };
        assert_eq!(added.unwrap(), *uri);
    }
    for (name, folder) in [("dir1", "/dir1"), ("dir2", "dir2/")] {
        let uri = files.add_directory(folder, there.path(name)).await.unwrap();
        assert_eq!(uri, format!("{base}/{name}"));
    }
    wanted.push((format!("{base}/dir1/file1"), b"in dir1".to_vec()));
    wanted.push((format!("{base}/dir2/deep/file2"), b"in dir2".to_vec()));

    let mut channel = client.open_channel(&wanted[0].0).await.unwrap();
    let mut text = String::new();
    channel.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "a file");
    for (uri, content) in wanted {
        let target = here.path("copy");
        let mut told = Vec::new();
        let fetched = client.fetch_file_with(&uri, &target, |done, all| told.push((done, all)));
        let length = content.len() as u64;
        let fetched = fetched.await.unwrap();
        assert_eq!(fetched.length, length);
        assert!(fetched.checksum.is_some(), "{uri}");
        assert!(fs::read(&target).unwrap() == content, "{uri}");
        assert_eq!((told[0], told[told.len() - 1]), ((0, length), (length, length)));
        assert!(told.is_sorted());
        assert_eq!(here.names(), ["copy"]);
    }

    for missing in ["/files/doesNotExist", "/jars/doesNotExist", "/dir1/doesNotExist"] {
        let uri = format!("{base}{missing}");
        assert_eq!(
            refusal(client, &uri).await,
            format!("Stream '{missing}' was not found.")
        );
        let fetched = client.fetch_file(&uri, here.path("missing")).await;
        assert!(matches!(fetched, Err(FileError::NotServed { .. })));
        assert_eq!(here.names(), ["copy"]);
    }
    assert!(files.remove_file("file") && !files.remove_file("file") && files.remove_jar("jar"));
    for removed in ["files/file", "jars/jar"] {
        refusal(client, &format!("{base}/{removed}")).await;
    }
}

/// ENV-24
#[tokio::test(start_paused = true)]
async fn what_is_registered_is_fetched_unchanged_and_nothing_else() {
    let pair = Pair::new().await;
    serve_and_fetch(&pair.server, &pair.client, LONG).await;
}

/// ENV-24
#[tokio::test(start_paused = true)]
async fn files_come_over_authenticated_and_encrypted_connections() {
    let pair = Pair::with_conf(with_secret()).await;
    serve_and_fetch(&pair.server, &pair.client, 5 << 20).await;
    let stranger = client(&pair.net.host("stranger"), RpcConf::default()).await;
    let text = refusal(&stranger, "spark://server:7077/files/long").await;
    assert!(text.contains("Unauthenticated"), "{text}");
}

#[tokio::test]
async fn files_come_over_sockets() {
    let server = RpcEnv::builder("server")
        .bind("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let client = RpcEnv::builder("client").client_mode().start().await.unwrap();
    serve_and_fetch(&server, &client, LONG).await;
    client.shutdown().await;
    server.shutdown().await;
}

/// ENV-24
#[tokio::test(start_paused = true)]
async fn names_and_bases_are_taken_once() {
    let pair = Pair::new().await;
    let files = pair.server.file_server();
    let folder = Folder::new();
    let one = folder.write("one/name", "1");
    let two = folder.write("two/name", "2");
    let uri = files.add_file(&one).await.unwrap();
    assert_eq!(files.add_file(folder.path("two/../one/name")).await.unwrap(), uri);
    let error = files.add_file(&two).await.unwrap_err();
    assert!(matches!(&error, FileServerError::NameTaken { name, .. } if name == "name"));
    assert!(
        error
            .to_string()
            .contains("was already registered with a different path (old path = ")
    );
    assert_eq!(read(&pair.client, &uri).await.unwrap(), b"1");
    files.add_jar(&two).await.unwrap();

    let dir = folder.path("one");
    for base in [
        "/files",
        "/jars",
        "/files/",
        "//jars",
        "/x/../files",
        "/%66iles",
        "",
        "/",
        "/a/b",
        "/..",
    ] {
        let error = files.add_directory(base, &dir).await.unwrap_err();
        assert!(
            matches!(error, FileServerError::BadBase { .. }),
            "{base}: {error}"
        );
    }
    for base in ["/dir1", "/dir2"] {
        files.add_directory(base, &dir).await.unwrap();
    }
    for base in ["/dir1/././", "/dir2/../dir2/", "dir1"] {
        let error = files.add_directory(base, &dir).await.unwrap_err();
        assert!(
            matches!(error, FileServerError::BaseTaken { .. }),
            "{base}: {error}"
        );
    }
    let kept = files.add_directory_if_absent("/dir1", folder.path("two")).await;
    assert_eq!(
        read(&pair.client, &(kept.unwrap() + "/name")).await.unwrap(),
        b"1"
    );
    let error = files.add_file(&dir).await.unwrap_err();
    assert!(matches!(error, FileServerError::Kind { .. }), "{error}");
    let error = files.add_directory("/new", &one).await.unwrap_err();
    assert!(matches!(error, FileServerError::Kind { .. }), "{error}");
    let error = files.add_file(folder.path("nope")).await.unwrap_err();
    assert!(matches!(error, FileServerError::Unreadable { .. }), "{error}");
    let error = pair.client.file_server().add_file(&one).await.unwrap_err();
    assert!(matches!(error, FileServerError::NoAddress));
}

#[tokio::test(start_paused = true)]
async fn bad_uris_and_unreachable_servers_are_told_apart() {
    let pair = Pair::new().await;
    for uri in [
        "",
        "files/a",
        "spark://server/files/a",
        "spark://server:7077",
        "spark://x@server:7077/a",
    ] {
        let error = pair.client.open_channel(uri).await.unwrap_err();
        assert!(matches!(error, FileError::BadUri { .. }), "{uri}: {error}");
    }
    let error = pair
        .client
        .open_channel("spark://nowhere:1/files/a")
        .await
        .unwrap_err();
    assert!(matches!(error, FileError::Connect(_)), "{error}");
    let folder = Folder::new();
    let uri = pair
        .server
        .file_server()
        .add_file(folder.write("name", "text"))
        .await
        .unwrap();
    for target in [
        folder.path("no/such/folder"),
        folder.root().to_owned(),
        PathBuf::from("/"),
    ] {
        let error = pair.client.fetch_file(&uri, &target).await.unwrap_err();
        assert!(matches!(error, FileError::Local { .. }), "{error}");
    }
    assert_eq!(folder.names(), ["name"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;

        // Renaming would replace it, as it would replace `/dev/null`.
        let socket = folder.path("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = pair.client.fetch_file(&uri, &socket).await.unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        assert!(socket.metadata().unwrap().file_type().is_socket());
        fs::remove_file(socket).unwrap();
    }
    pair.client.shutdown().await;
    let error = pair.client.open_channel(&uri).await.unwrap_err();
    assert!(matches!(error, FileError::EnvStopped), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_half_way_leaves_no_part_behind() {
    let net = MemoryNetwork::new(1);
    let mut listener = spark_rpc::Network::bind(
        &net.host("server"),
        "server",
        7077,
        &spark_rpc::SocketOptions::default(),
    )
    .await
    .unwrap();
    let client = client(&net.host("client"), RpcConf::default()).await;
    let folder = Folder::new();
    let target = folder.write("name", "what was there before");
    let fetching = client.fetch_file("spark://server:7077/files/name", &target);
    let serving = async {
        let mut peer = ScriptedPeer::accept(&mut *listener).await;
        let Message::StreamRequest(request) = peer.expect_frame().await else {
            panic!("it asks for a stream")
        };
        let body = Bytes::from(vec![7; 3 << 20]);
        let response = StreamResponse {
            stream_id: request.stream_id,
            byte_count: 4 << 20,
        };
        peer.send(response).await;
        peer.send_raw(body).await;
        peer.close();
    };
    let (fetched, ()) = tokio::join!(fetching, serving);
    let error = fetched.unwrap_err();
    assert!(matches!(error, FileError::BrokenOff { .. }), "{error}");
    assert_eq!(fs::read(&target).unwrap(), b"what was there before");
    support::eventually("the part is removed", || folder.names() == ["name"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_is_dropped_leaves_no_part_behind() {
    let pair = Pair::new().await;
    let (there, here) = (Folder::new(), Folder::new());
    let uri = pair
        .server
        .file_server()
        .add_file(there.write("long", pattern(LONG)))
        .await
        .unwrap();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let target = here.path("copy");
    let fetching = pair.client.fetch_file_with(&uri, &target, |done, _| {
        if done > 0
            && let Some(begun) = begun.take()
        {
            begun.send(()).unwrap();
        }
    });
    tokio::select! {
        biased;
        begun = has_begun => begun.unwrap(),
        fetched = fetching => panic!("{fetched:?}"),
    }
    support::eventually("the part is removed", || here.names().is_empty()).await;
    let fetched = pair.client.fetch_file(&uri, &target).await.unwrap();
    assert_eq!(fetched.length, LONG as u64);
}

/// Polls `work` so many times, with a turn for everybody else in between, and drops it; `None` if it was not done by then.
async fn give_up_after<F: Future>(polls: usize, work: F) -> Option<F::Output> {
    let mut work = std::pin::pin!(work);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        if let Poll::Ready(done) = polled {
            return Some(done);
        }
        // Time passes only when nobody has anything to do, threads that write to disks included.
        tokio::time::sleep(std::time::Duration::from_micros(500)).await; // tidy: allow(sleep): virtual time
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_fetch_can_be_given_up_at_every_point() {
    const SIZE: usize = 1_500_000;
    let pair = Pair::new().await;
    let (there, here) = (Folder::new(), Folder::new());
    let content = pattern(SIZE);
    let files = pair.server.file_server();
    let uri = files.add_file(there.write("long", &content)).await.unwrap();
    let target = here.path("copy");
    let mut given_up = 0;
    for polls in 0.. {
        let fetched = give_up_after(polls, pair.client.fetch_file(&uri, &target)).await;
        let done = fetched.is_some();
        if let Some(fetched) = fetched {
            assert_eq!(fetched.unwrap().length, SIZE as u64);
        }
        support::eventually("no part is left", || {
            here.names().iter().all(|name| name == "copy")
        })
        .await;
        // Its last step may have been under way, which is all or nothing.
        if target.exists() {
            assert!(fs::read(&target).unwrap() == content, "after {polls} polls");
            fs::remove_file(&target).unwrap();
        }
        if done {
            break;
        }
        given_up += 1;
    }
    assert!(given_up > 5, "{given_up}");
    assert_eq!(
        pair.client.fetch_file(&uri, &target).await.unwrap().length,
        SIZE as u64
    );
    support::eventually("connections that nobody needs are gone", || {
        pair.net.open_connections() <= 1
    })
    .await;
}

/// The file takes seconds, and an answer behind it would come when it has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_beside_a_file_of_10_gib_are_answered_while_it_comes() {
    const ASKS: usize = 300;
    let server = RpcEnv::builder("server")
        .bind("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let client = RpcEnv::builder("client").client_mode().start().await.unwrap();
    server
        .setup_endpoint("lab", support::lab::Lab::default())
        .unwrap();
    let lab = client
        .setup_endpoint_ref_at(server.address().unwrap(), "lab")
        .await
        .unwrap();
    let there = Folder::new();
    let path = there.write("sparse", "");
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(10 << 30).unwrap();
    let uri = server.file_server().add_file(&path).await.unwrap();
    let mut channel = client.open_channel(&uri).await.unwrap();
    let (tell, told) = tokio::sync::watch::channel(0);
    let downloading = tokio::spawn(async move {
        while channel.chunk().await.unwrap().is_some() {
            tell.send_replace(channel.length() - channel.remaining());
        }
    });
    let mut took = Vec::new();
    let before = *told.borrow();
    for _ in 0..ASKS {
        let began = std::time::Instant::now();
        let echo = lab.ask(support::messages::Echo("here".into())).await;
        assert_eq!(echo.unwrap(), "here");
        took.push(began.elapsed());
    }
    let after = *told.borrow();
    assert!(!downloading.is_finished(), "it is to be running all the time");
    assert!(after > before, "it is to get on");
    took.sort();
    let p99 = took[ASKS * 99 / 100];
    assert!(p99 < std::time::Duration::from_secs(1), "{p99:?}");
    downloading.abort();
    client.shutdown().await;
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_holds_up_neither_messages_nor_other_files() {
    let pair = Pair::new().await;
    let folder = Folder::new();
    let files = pair.server.file_server();
    let long = files.add_file(folder.write("long", pattern(LONG))).await.unwrap();
    let short = files.add_file(folder.write("short", "short")).await.unwrap();
    pair.server
        .setup_endpoint("lab", support::lab::Lab::default())
        .unwrap();
    let lab = pair.far("lab").await;
    let mut unread = pair.client.open_channel(&long).await.unwrap();
    for _ in 0..20 {
        assert_eq!(read(&pair.client, &short).await.unwrap(), b"short");
        let echo = lab.ask(support::messages::Echo("here".into())).await;
        assert_eq!(echo.unwrap(), "here");
    }
    assert_eq!(
        pair.net.open_connections(),
        3,
        "messages, the long file, and one for all short ones"
    );
    let mut content = Vec::new();
    unread.read_to_end(&mut content).await.unwrap();
    assert!(content == pattern(LONG));
}

#[tokio::test(start_paused = true)]
async fn an_idle_download_connection_is_closed_and_the_next_file_opens_another() {
    let pairs = [("spark.files.io.connectionTimeout", "5s")];
    let conf = RpcConf::from_spark(&SparkConf::from_pairs(pairs)).unwrap();
    let files = conf.files.as_ref().unwrap();
    assert_eq!((&*files.module, files.close_idle_connections), ("files", true));
    let pair = Pair::with_conf(conf).await;
    let folder = Folder::new();
    let uri = pair
        .server
        .file_server()
        .add_file(folder.write("name", "text"))
        .await
        .unwrap();
    assert_eq!(read(&pair.client, &uri).await.unwrap(), b"text");
    assert_eq!(pair.net.open_connections(), 1);
    // tidy: allow(sleep): virtual time, in which the limit passes.
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    assert_eq!(pair.net.open_connections(), 0);
    assert_eq!(read(&pair.client, &uri).await.unwrap(), b"text");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_breaks_off_says_so_through_async_read() {
    let pair = Pair::new().await;
    let folder = Folder::new();
    let uri = pair
        .server
        .file_server()
        .add_file(folder.write("long", pattern(LONG)))
        .await
        .unwrap();
    let mut channel = pair.client.open_channel(&uri).await.unwrap();
    pair.net.cut("server", "client");
    let error = channel.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
}

#[test]
fn download_settings_are_those_of_messages_unless_they_are_set() {
    let bad = RpcConf {
        files: Some(TransportConf {
            stream_window: 0,
            ..TransportConf::default()
        }),
        ..RpcConf::default()
    };
    assert!(bad.validate().is_err());
    assert_eq!(RpcConf::from_spark(&SparkConf::new()).unwrap().files, None);
}

#[tokio::test]
async fn a_file_longer_than_4_gib_is_announced_whole_and_can_be_left() {
    let server = RpcEnv::builder("server").bind("127.0.0.1:0").start().await;
    let client = RpcEnv::builder("client").client_mode().start().await;
    let (server, client) = (server.unwrap(), client.unwrap());
    let (there, here) = (Folder::new(), Folder::new());
    let length = (5 << 30) + 7;
    let path = there.write("sparse", "beginning");
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length)
        .unwrap();
    let uri = server.file_server().add_file(&path).await.unwrap();
    let mut channel = client.open_channel(&uri).await.unwrap();
    assert_eq!((channel.length(), channel.remaining()), (length, length));
    let mut beginning = [0; 9];
    channel.read_exact(&mut beginning).await.unwrap();
    assert_eq!(&beginning, b"beginning");
    assert_eq!(channel.remaining(), length - 9);
    drop(channel);
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let target = here.path("copy");
    let fetching = client.fetch_file_with(&uri, &target, |done, all| {
        assert_eq!(all, length);
        if done > 0
            && let Some(begun) = begun.take()
        {
            begun.send(()).unwrap();
        }
    });
    tokio::select! {
        biased;
        begun = has_begun => begun.unwrap(),
        fetched = fetching => panic!("{fetched:?}"),
    }
    support::eventually("nothing is left of it", || here.names().is_empty()).await;
    let uri = server
        .file_server()
        .add_file(there.write("short", "short"))
        .await
        .unwrap();
    assert_eq!(read(&client, &uri).await.unwrap(), b"short");
    assert!(client.shutdown().await.is_clean());
    server.shutdown().await;
}
