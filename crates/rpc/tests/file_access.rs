//! Files that an env does not serve, or not to everybody.

mod support;

use std::sync::{Arc, Mutex};

use spark_rpc::config::RpcConf;
use spark_rpc::security::{PeerIdentity, SecurityManager};
use spark_rpc::{FileError, RpcEnv};
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{Message, StreamRequest};
use support::files::{Folder, read, refusal, with_secret};
use support::{Pair, client, network};

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
    let here = folder.root().to_str().unwrap();
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
    use std::fs;
    use std::os::unix::fs::symlink;
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
            .add_directory("/root", folder.root())
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
        .security_manager(Arc::new(OpenOnly));
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
        .add_directory("/open", folder.root())
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

/// Writes down what it is asked about.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<String>>);

impl SecurityManager for Asked {
    fn may_fetch(&self, _: &PeerIdentity, path: &str) -> bool {
        self.0.lock().unwrap().push(path.to_owned());
        true
    }

    fn uses_secrets(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn the_security_manager_is_asked_about_paths_of_one_form_only() {
    let net = MemoryNetwork::new(1);
    let asked = Arc::new(Asked::default());
    let server = RpcEnv::builder("server")
        .network(network(&net.host("server")))
        .bind("server:7077")
        .security_manager(asked.clone());
    let _server = server.start().await.unwrap();
    let mut peer = ScriptedPeer::connect(&net.host("client"), "server", 7077).await;
    for stream_id in [
        "/../name",
        "..//name",
        "/./name",
        "//name",
        "///",
        "/.spark-rpc/checksum/../name",
        "/root/name",
    ] {
        let stream_id = stream_id.to_owned();
        peer.send(StreamRequest { stream_id }).await;
        peer.expect_frame().await;
    }
    assert_eq!(*asked.0.lock().unwrap(), ["/root/name"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_has_no_second_form_that_the_security_manager_does_not_know() {
    let net = MemoryNetwork::new(1);
    let server = RpcEnv::builder("server")
        .network(network(&net.host("server")))
        .bind("server:7077")
        .security_manager(Arc::new(NotClosed));
    let server = server.start().await.unwrap();
    let folder = Folder::new();
    folder.write("open/name", "open");
    folder.write("closed/name", "closed");
    let files = server.file_server();
    files.add_directory("/root", folder.root()).await.unwrap();
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
