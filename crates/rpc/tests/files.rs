//! Files that one env serves and another one reads.

mod support;

use std::fs;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use spark_rpc::config::{RpcConf, SparkConf, TransportConf};
use spark_rpc::security::{PeerIdentity, Secret, SecurityManager};
use spark_rpc::{FileError, FileServerError, RpcEnv};
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{Message, StreamRequest, StreamResponse};
use support::{Pair, client, network};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

/// Longer than all windows and queues on its way.
const LONG: usize = 24 << 20;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn with_secret() -> RpcConf {
    RpcConf::default().with_secret(Secret::new("good").unwrap())
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8 ^ (i >> 16) as u8).collect()
}

async fn read(env: &RpcEnv, uri: &str) -> Result<Vec<u8>, FileError> {
    let mut channel = env.open_channel(uri).await?;
    let mut content = Vec::new();
    while let Some(piece) = channel.chunk().await? {
        content.extend_from_slice(&piece);
    }
    assert_eq!(content.len() as u64, channel.length());
    Ok(content)
}

/// The server's words.
async fn refusal(env: &RpcEnv, uri: &str) -> String {
    match read(env, uri).await {
        Err(FileError::NotServed { text, .. }) => text,
        Err(error) => panic!("{uri}: {error}"),
        Ok(content) => panic!("{uri} was served: {:?}", String::from_utf8_lossy(&content)),
    }
}

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

/// FILES-01
#[tokio::test(start_paused = true)]
async fn nothing_outside_of_a_folder_is_served() {
    nothing_outside(Pair::new().await).await;
}

/// FILES-01
#[tokio::test(start_paused = true)]
async fn nothing_outside_of_a_folder_is_served_to_somebody_who_has_authenticated() {
    nothing_outside(Pair::with_conf(with_secret()).await).await;
}

async fn nothing_outside(pair: Pair) {
    let folder = Folder::new();
    folder.write("classes/real.txt", "real");
    folder.write("classes/sub/below.txt", "below");
    folder.write("classes2/sibling.txt", "secret");
    let secret = folder.write("secret.txt", "secret");
    let files = pair.server.file_server();
    let uri = files
        .add_directory("/classes", folder.path("classes"))
        .await
        .unwrap();
    files
        .add_file(folder.write("served.txt", "served"))
        .await
        .unwrap();
    let channel = pair
        .client
        .open_channel(&format!("{uri}/real.txt"))
        .await
        .unwrap();
    assert_eq!(channel.length(), 4);
    drop(channel);
    assert_eq!(
        read(&pair.client, &format!("{uri}/sub/below.txt")).await.unwrap(),
        b"below"
    );

    let secret = secret.to_str().unwrap();
    let here = folder.0.path().to_str().unwrap();
    for path in [
        "/classes/../secret.txt".to_owned(),
        "/classes/../../secret.txt".to_owned(),
        "/classes/sub/../../secret.txt".to_owned(),
        "/classes/../classes2/sibling.txt".to_owned(),
        "/classes/../classes/real.txt".to_owned(),
        "/classes/nope/../../secret.txt".to_owned(),
        format!("/classes{secret}"),
        format!("/classes/{secret}"),
        format!("/classes//{secret}"),
        "/classes//etc/passwd".to_owned(),
        "/classes/%2e%2e/secret.txt".to_owned(),
        "/classes/%2e%2e%2fsecret.txt".to_owned(),
        "/classes%2f..%2fsecret.txt".to_owned(),
        "/classes/%252e%252e/secret.txt".to_owned(),
        "/classes/..%5csecret.txt".to_owned(),
        "/classes/..%00/secret.txt".to_owned(),
        "/classes/real.txt%00".to_owned(),
        "/classes/real.txt/".to_owned(),
        "/classes/".to_owned(),
        "/classes/.".to_owned(),
        "/classes/..".to_owned(),
        "/classes/sub".to_owned(),
        "/classes".to_owned(),
        "/".to_owned(),
        "//classes/real.txt".to_owned(),
        "/../secret.txt".to_owned(),
        "/./classes/real.txt".to_owned(),
        "/classes/nope.txt".to_owned(),
        format!("/classes/{}", "long".repeat(2000)),
        "/files/../secret.txt".to_owned(),
        "/files/served.txt/".to_owned(),
        "/files/./served.txt".to_owned(),
        "/jars/served.txt".to_owned(),
        "/nope/real.txt".to_owned(),
    ] {
        let text = refusal(&pair.client, &format!("spark://server:7077{path}")).await;
        assert!(text.contains("not found"), "{path}: {text}");
        assert!(!text.replace(&path, "").contains(here), "{path}: {text}");
    }
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn links_are_followed_inside_of_a_folder_only() {
        let pair = Pair::new().await;
        let folder = Folder::new();
        folder.write("root/real.txt", "real");
        folder.write("outside/secret.txt", "secret");
        symlink("real.txt", folder.path("root/inside")).unwrap();
        symlink("../outside/secret.txt", folder.path("root/out")).unwrap();
        symlink(folder.path("outside/secret.txt"), folder.path("root/absolute")).unwrap();
        symlink("../outside", folder.path("root/folder")).unwrap();
        symlink("out", folder.path("root/twice")).unwrap();
        symlink("round", folder.path("root/round")).unwrap();
        symlink("/proc/self/root/etc/passwd", folder.path("root/proc")).unwrap();
        let uri = pair
            .server
            .file_server()
            .add_directory("/root", folder.path("root"))
            .await
            .unwrap();
        assert_eq!(
            read(&pair.client, &format!("{uri}/inside")).await.unwrap(),
            b"real"
        );
        for name in ["out", "absolute", "folder/secret.txt", "twice", "round", "proc"] {
            let text = refusal(&pair.client, &format!("{uri}/{name}")).await;
            assert_eq!(text, format!("Stream '/root/{name}' was not found."));
        }
        // The folder itself may be named by a link, which is resolved once.
        symlink("root", folder.path("link")).unwrap();
        let uri = pair
            .server
            .file_server()
            .add_directory("/link", folder.path("link"))
            .await
            .unwrap()
            + "/real.txt";
        fs::remove_file(folder.path("link")).unwrap();
        symlink("outside", folder.path("link")).unwrap();
        assert_eq!(read(&pair.client, &uri).await.unwrap(), b"real");
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_the_place_of_a_registered_file_is_served_only_if_it_is_a_file() {
        let pair = Pair::new().await;
        let folder = Folder::new();
        let path = folder.write("name", "first");
        folder.write("secret", "secret");
        let uri = pair.server.file_server().add_file(&path).await.unwrap();
        let next = folder.write("next", "second");
        fs::rename(&next, &path).unwrap();
        assert_eq!(read(&pair.client, &uri).await.unwrap(), b"second");
        fs::remove_file(&path).unwrap();
        refusal(&pair.client, &uri).await;
        symlink("secret", &path).unwrap();
        refusal(&pair.client, &uri).await;
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refusal(&pair.client, &uri).await;
    }

    #[tokio::test(start_paused = true)]
    async fn pipes_and_devices_are_not_served_and_hold_nothing_up() {
        let pair = Pair::new().await;
        let folder = Folder::new();
        let made = std::process::Command::new("mkfifo")
            .arg(folder.path("pipe"))
            .status();
        assert!(made.unwrap().success());
        let uri = pair
            .server
            .file_server()
            .add_directory("/root", folder.0.path())
            .await;
        let text = refusal(&pair.client, &(uri.unwrap() + "/pipe")).await;
        assert_eq!(text, "Stream '/root/pipe' was not found.");
        let devices = pair
            .server
            .file_server()
            .add_directory("/dev", "/dev")
            .await
            .unwrap();
        refusal(&pair.client, &format!("{devices}/zero")).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_swapped_for_a_link_while_it_is_read_leads_nowhere_else() {
        let pair = Pair::new().await;
        let folder = Folder::new();
        folder.write("root/sub/name", "inside");
        folder.write("outside/name", "secret");
        symlink("../outside", folder.path("root/link")).unwrap();
        let uri = pair
            .server
            .file_server()
            .add_directory("/root", folder.path("root"))
            .await
            .unwrap()
            + "/sub/name";
        let done = Arc::new(AtomicBool::new(false));
        let swapping = {
            let (done, root) = (Arc::clone(&done), folder.path("root"));
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    for (from, to) in [
                        ("sub", "spare"),
                        ("link", "sub"),
                        ("sub", "link"),
                        ("spare", "sub"),
                    ] {
                        fs::rename(root.join(from), root.join(to)).unwrap();
                    }
                }
            })
        };
        let (mut served, mut refused) = (0, 0);
        for _ in 0..3_000 {
            match read(&pair.client, &uri).await {
                Ok(content) => {
                    assert_eq!(content, b"inside");
                    served += 1;
                }
                Err(FileError::NotServed { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            if served >= 50 && refused >= 50 {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
        swapping.join().unwrap();
        assert!(served > 0 && refused > 0, "{served} served, {refused} refused");
    }
}

/// Lets everybody use everything but files, unless they lie below `/open/`.
#[derive(Debug)]
struct OpenOnly;

impl SecurityManager for OpenOnly {
    fn may_fetch(&self, _: &PeerIdentity, path: &str) -> bool {
        path.starts_with("/open/")
    }

    fn uses_secrets(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn the_security_manager_says_who_may_read_which_file() {
    let net = MemoryNetwork::new(1);
    let server = RpcEnv::builder("server")
        .network(network(&net.host("server")))
        .bind("server:7077")
        .security_manager(std::sync::Arc::new(OpenOnly));
    let server = server.start().await.unwrap();
    let client = client(&net.host("client"), RpcConf::default()).await;
    let folder = Folder::new();
    let closed = server
        .file_server()
        .add_file(folder.write("name", "text"))
        .await
        .unwrap();
    let open = server
        .file_server()
        .add_directory("/open", folder.0.path())
        .await
        .unwrap();
    for uri in [closed.as_str(), "spark://server:7077/files/nope"] {
        let error = read(&client, uri).await.unwrap_err();
        assert!(
            matches!(&error, FileError::Denied { uri: named } if named == uri),
            "{error}"
        );
    }
    assert_eq!(read(&client, &format!("{open}/name")).await.unwrap(), b"text");
}

/// Lets nobody read what lies below `/root/closed/`, and everybody the rest.
#[derive(Debug)]
struct NotClosed;

impl SecurityManager for NotClosed {
    fn may_fetch(&self, _: &PeerIdentity, path: &str) -> bool {
        !path.starts_with("/root/closed/")
    }

    fn uses_secrets(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_has_no_second_form_that_the_security_manager_does_not_know() {
    let net = MemoryNetwork::new(1);
    let server = RpcEnv::builder("server")
        .network(network(&net.host("server")))
        .bind("server:7077")
        .security_manager(std::sync::Arc::new(NotClosed));
    let server = server.start().await.unwrap();
    let folder = Folder::new();
    folder.write("open/name", "open");
    folder.write("closed/name", "closed");
    let files = server.file_server();
    files.add_directory("/root", folder.0.path()).await.unwrap();
    let mut peer = ScriptedPeer::connect(&net.host("client"), "server", 7077).await;
    let mut ask = async |stream_id: &str| {
        let stream_id = stream_id.to_owned();
        peer.send(StreamRequest { stream_id }).await;
        match peer.expect_frame().await {
            Message::StreamFailure(failure) => failure.error,
            Message::StreamResponse(_) => String::from_utf8(peer.expect_body().await.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    for closed in ["/root/closed/name", "root/closed/name"] {
        assert!(ask(closed).await.contains("access denied"), "{closed}");
    }
    for other in [
        "/root/open/../closed/name",
        "/root/closed/../open/name",
        "/root/./closed/name",
        "/root//closed/name",
        "/root/closed//name",
        "root/open/../closed/name",
        "/root/open/./name",
        "/root/open/name/",
        "/root/open/name/.",
        "//root/open/name",
    ] {
        let text = ask(other).await;
        assert!(
            text.contains("not found") || text.contains("denied"),
            "{other}: {text}"
        );
    }
    for open in ["/root/open/name", "root/open/name"] {
        assert_eq!(ask(open).await, "open", "{open}");
    }
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
        folder.0.path().to_owned(),
        PathBuf::from("/"),
    ] {
        let error = pair.client.fetch_file(&uri, &target).await.unwrap_err();
        assert!(matches!(error, FileError::Local { .. }), "{error}");
    }
    assert_eq!(folder.names(), ["name"]);
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
