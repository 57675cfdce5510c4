//! `spark-rpc serve --files` and `spark-rpc get`.

mod command;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::{Finished, Server, command, nobody, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Folders and files of one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
        self.at(name)
    }

    fn dir(&self, name: &str) -> String {
        fs::create_dir_all(self.path(name)).unwrap();
        self.at(name)
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8 ^ (i >> 16) as u8).collect()
}

/// Runs `get` with a target.
fn get(uri: &str, target: &str) -> Finished {
    run(&["get", uri, "-o", target])
}

/// ENV-24
#[test]
fn everything_below_a_served_folder_is_fetched_by_its_name() {
    let folder = Folder::new();
    let long = pattern(5 << 20);
    let names = [
        ("words.txt", "words.txt", b"words".to_vec()),
        ("empty", "empty", Vec::new()),
        ("long", "long", long),
        ("a/b/c/deep", "a/b/c/deep", b"deep".to_vec()),
        ("two words", "two%20words", b"blank".to_vec()),
        ("50% off", "50%25%20off", b"percent".to_vec()),
        ("%41", "%2541", b"no A".to_vec()),
        (
            "größe/東京.txt",
            "gr%C3%B6%C3%9Fe/%E6%9D%B1%E4%BA%AC.txt",
            b"unicode".to_vec(),
        ),
        ("größe/raw", "größe/raw", b"not escaped".to_vec()),
        ("q?#&+=;", "q%3F%23&+=;", b"marks".to_vec()),
        (".hidden", ".hidden", b"hidden".to_vec()),
    ];
    for (name, _, content) in &names {
        folder.write(&format!("data/{name}"), content);
    }
    let here = folder.dir("here");
    let server = Server::start(&["--quiet", "--files", &folder.at("data")]);
    for (name, path, content) in &names {
        let uri = format!("spark://{}/data/{path}", server.address);
        let finished = get(&uri, &here);
        assert_eq!(finished.code, Some(0), "{uri}: {finished:?}");
        let last = name.rsplit('/').next().unwrap();
        assert_eq!(folder.names("here"), [last]);
        let fetched = folder.path("here").join(last);
        assert!(fs::read(&fetched).unwrap() == *content, "{uri}");
        fs::remove_file(fetched).unwrap();
    }
}

#[test]
fn a_closing_line_or_object_tells_what_has_come() {
    let folder = Folder::new();
    folder.write("data/file", pattern(3 << 20));
    let server = Server::start(&["--quiet", "--files", &folder.at("data")]);
    let uri = format!("spark://{}/data/file", server.address);

    let finished = get(&uri, &folder.at("copy"));
    assert_eq!(finished.stderr, "", "no bar where there is no terminal");
    let line = finished.stdout.strip_prefix(&folder.at("copy")).unwrap();
    assert!(
        line.starts_with(": 3.00 MiB in ") && line.ends_with("/s, checksum verified\n"),
        "{line}"
    );

    let finished = run(&["get", &uri, "-o", &folder.at("copy"), "--json"]);
    let object: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(object["uri"], uri);
    assert_eq!(object["path"], folder.at("copy"));
    assert_eq!(object["bytes"], 3 << 20);
    assert!(object["seconds"].as_f64().unwrap() > 0.0);
    assert!(object["bytes_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(object["xxh3_128"].as_str().unwrap().len(), 32);
}

#[test]
fn without_an_output_the_file_goes_to_the_current_folder() {
    let folder = Folder::new();
    folder.write("data/a name", "text");
    let here = folder.dir("here");
    let server = Server::start(&["--quiet", "--files", &folder.at("data")]);
    let uri = format!("spark://{}/data/a%20name", server.address);
    let output = command(&["get", &uri]).current_dir(here).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read(folder.path("here/a name")).unwrap(), b"text");
}

#[test]
fn a_file_that_is_there_is_replaced_only_by_a_whole_one() {
    let folder = Folder::new();
    folder.write("data/file", "new");
    let copy = folder.write("copy", "old");
    let server = Server::start(&["--quiet", "--files", &folder.at("data")]);
    let base = format!("spark://{}/data", server.address);
    assert_eq!(get(&format!("{base}/nope"), &copy).code, Some(1));
    assert_eq!(fs::read(&copy).unwrap(), b"old");
    assert_eq!(get(&format!("{base}/file"), &copy).code, Some(0));
    assert_eq!(fs::read(&copy).unwrap(), b"new");
}

/// Renaming would put a file in the place of `/dev/null`.
#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let folder = Folder::new();
    folder.write("data/file", "text");
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).unwrap();
    let server = Server::start(&["--quiet", "--files", &folder.at("data")]);
    let finished = get(
        &format!("spark://{}/data/file", server.address),
        &folder.at("socket"),
    );
    assert_eq!(finished.code, Some(2), "{finished:?}");
    for text in ["--output", "socket", "--output -"] {
        assert!(finished.stderr.contains(text), "{finished:?}");
    }
    let there = folder.path("socket").metadata().unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_socket(&there.file_type()));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_behind_standard_output_is_told() {
    let folder = Folder::new();
    folder.write("data/file", pattern(100_000));
    let server = Server::start(&["--quiet", "--files", &folder.at("data")]);
    let uri = format!("spark://{}/data/file", server.address);
    for args in [&["get", &uri, "-o", "-"][..], &["completions", "bash"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(args).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(
            stderr.contains("standard output cannot be written"),
            "{args:?}: {stderr}"
        );
    }
}

/// On a terminal, that is.
#[test]
fn a_bar_shows_how_far_a_long_fetch_is_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let server = HalfWay::new();
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut child = command(&["get", &server.uri(), "-o", &folder.at("copy")])
        .stdout(Stdio::null())
        .stderr(terminal.slave)
        .spawn()
        .unwrap();
    let stream = server.serve();
    let mut screen = fs::File::from(terminal.master);
    let mut shown = String::new();
    let mut piece = [0; 1000];
    // It is drawn after a second; half of the file is all that comes.
    while !shown.contains(" MiB of 4.00 MiB, ") {
        let n = screen.read(&mut piece).expect("it goes on drawing");
        shown.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
    assert!(shown.contains("get [####") && shown.contains(" %, "), "{shown:?}");
    drop(stream);
    // The end of a terminal is an error.
    while let Ok(n @ 1..) = screen.read(&mut piece) {
        shown.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let (bar, last) = shown.rsplit_once("\r\x1b[2K").unwrap();
    assert!(
        bar.contains('#') && last.contains("broke off") && !last.contains('#'),
        "{last:?}"
    );
}

#[test]
fn a_dash_is_standard_output() {
    let folder = Folder::new();
    let content: String = "text and more\n".repeat(300_000);
    folder.write("data/file", &content);
    let server = Server::start(&["--quiet", "--files", &folder.at("data")]);
    let uri = format!("spark://{}/data/file", server.address);
    let finished = get(&uri, "-");
    assert_eq!(finished.code, Some(0));
    assert!(finished.stdout == content, "the file and nothing else");
    assert!(finished.stderr.starts_with(&uri), "{}", finished.stderr);
    assert_eq!(run(&["get", &uri, "-o", "-", "--json"]).code, Some(2));
}

/// FILES-01
#[test]
fn nothing_beside_the_served_folders_is_fetched() {
    let folder = Folder::new();
    folder.write("data/sub/file", "served");
    folder.write("secret", "secret");
    folder.write("data2/secret", "secret");
    std::os::unix::fs::symlink(folder.path("secret"), folder.path("data/out")).unwrap();
    let here = folder.dir("here");
    let server = Server::start(&["--quiet", "--files", &folder.at("data")]);
    for path in [
        "/data/../secret".to_owned(),
        "/data/sub/../../secret".to_owned(),
        "/data/%2e%2e/secret".to_owned(),
        "/data/..%2Fsecret".to_owned(),
        "/data/../data2/secret".to_owned(),
        "/data2/secret".to_owned(),
        "/data/out".to_owned(),
        "/data/sub".to_owned(),
        "/data".to_owned(),
        format!("/data/{}", folder.at("secret")),
        "//etc/passwd".to_owned(),
        "/files/file".to_owned(),
        "/jars/file".to_owned(),
        "/data/nope".to_owned(),
    ] {
        let uri = format!("spark://{}{path}", server.address);
        // The target is named, so that it is the server who refuses.
        let finished = get(&uri, &folder.at("here/copy"));
        assert_eq!(finished.code, Some(1), "{path}: {finished:?}");
        assert!(finished.stderr.contains("is not served"), "{path}: {finished:?}");
    }
    assert_eq!(folder.names("here"), [""; 0], "{here}");
}

#[test]
fn folders_are_served_under_their_own_names_or_chosen_ones() {
    let folder = Folder::new();
    folder.write("one/data/file", "one");
    folder.write("two/data/file", "two");
    folder.write("100 % ä/file", "odd");
    let named = format!("other={}", folder.at("two/data"));
    let odd = format!("a b/c%={}", folder.at("100 % ä"));
    let mut server = Server::start(&[
        "--json",
        "--files",
        &folder.at("one/data/"),
        "--files",
        &named,
        "--files",
        &folder.at("100 % ä"),
    ]);
    let listening: serde_json::Value = serde_json::from_str(&server.next_line().unwrap()).unwrap();
    let uris: Vec<&str> = listening["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|uri| uri.as_str().unwrap())
        .collect();
    let base = format!("spark://{}", server.address);
    assert_eq!(
        uris,
        [
            format!("{base}/data"),
            format!("{base}/other"),
            format!("{base}/100%20%25%20%C3%A4")
        ]
    );
    for (uri, content) in uris.iter().zip(["one", "two", "odd"]) {
        let finished = get(&format!("{uri}/file"), "-");
        assert_eq!(finished.stdout, content, "{finished:?}");
    }
    // A slash before the equals sign: that is a path, which does not exist.
    assert_eq!(run(&["serve", "--files", &odd]).code, Some(2));
}

#[test]
fn folders_that_cannot_be_served_are_named_and_end_with_2() {
    let folder = Folder::new();
    let (one, two) = (folder.dir("one/data"), folder.dir("two/data"));
    let file = folder.write("file", "text");
    let named = |name: &str| format!("{name}={one}");
    let (files, jars, dots, own) = (named("files"), named("jars"), named(".."), named(".spark-rpc"));
    let bad: [(&[&str], &str); 9] = [
        (&["--files", &one, "--files", &two], "already registered"),
        (&["--files", &one, "--files", &one], "already registered"),
        (&["--files", &files], "/files"),
        (&["--files", &jars], "/jars"),
        (&["--files", &dots], ".."),
        (&["--files", &file], "is not a folder"),
        (&["--files", "/no/such/folder"], "/no/such/folder"),
        (&["--files", "/"], "NAME=DIR"),
        (&["--files", &own], ".spark-rpc cannot be used"),
    ];
    for (args, named) in bad {
        let finished = run(&[&["serve"], args].concat());
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        assert_eq!(finished.stdout, "", "{args:?}");
        for text in ["--files", named] {
            assert!(finished.stderr.contains(text), "{args:?}: {finished:?}");
        }
    }
}

#[test]
fn bad_arguments_of_get_are_named_and_end_with_2() {
    let folder = Folder::new();
    let inside = folder.at("no/such");
    let slash = folder.at("no/");
    let uri = "spark://127.0.0.1:1/data/file";
    let bad: [(&[&str], &str); 9] = [
        (&["http://127.0.0.1:1/data/file"], "http://127.0.0.1:1/data/file"),
        (&["spark://127.0.0.1/data/file"], "Port"),
        (&["spark://127.0.0.1:1/data/a b"], "%20"),
        (&["spark://127.0.0.1:1/data/%zz"], "hexadecimal"),
        (&["spark://127.0.0.1:1/data/"], "--output"),
        (&["spark://127.0.0.1:1/data/..%2Ffile"], "--output"),
        (&[uri, "-o", &inside], "--output"),
        (&[uri, "-o", &slash], "--output"),
        (&[uri, "--timeout", "x"], "--timeout"),
    ];
    for (args, named) in bad {
        let finished = command(&[&["get"], args].concat())
            .current_dir(folder.path(""))
            .output()
            .unwrap();
        let stderr = String::from_utf8(finished.stderr).unwrap();
        assert_eq!(finished.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(named), "{args:?}: {stderr}");
    }
    assert_eq!(folder.names(""), [""; 0]);
}

#[test]
fn get_from_an_address_where_nobody_listens_ends_with_3() {
    let folder = Folder::new();
    let finished = get(&format!("spark://{}/data/a", nobody()), &folder.at("a"));
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert_eq!(folder.names(""), [""; 0]);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    let folder = Folder::new();
    folder.write("data/file", "text");
    let server = Server::start(&["--quiet", "--files", &folder.at("data")]);
    // A name that is too long for any file system.
    let target = folder.at(&"long".repeat(100));
    let finished = get(&format!("spark://{}/data/file", server.address), &target);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("cannot be written"), "{finished:?}");
    assert_eq!(folder.names(""), ["data"]);
}

#[test]
fn files_are_fetched_by_those_who_know_the_secret_only() {
    let folder = Folder::new();
    folder.write("data/file", pattern(200_000));
    let (good, wrong) = (
        folder.write("good", "swordfish"),
        folder.write("wrong", "herring"),
    );
    let target = folder.at("copy");
    for auth in ["engine", "spark-engine", "sasl-encryption", "sasl"] {
        let server = Server::start(&[
            "--quiet",
            "--files",
            &folder.at("data"),
            "--secret-file",
            &good,
            "--auth",
            auth,
        ]);
        let uri = format!("spark://{}/data/file", server.address);
        let get = |secret: &[&str]| run(&[&["get", &uri, "-o", &target], secret].concat());
        let finished = get(&["--secret-file", &good, "--auth", auth]);
        assert_eq!(finished.code, Some(0), "{auth}: {finished:?}");
        assert!(fs::read(&target).unwrap() == pattern(200_000), "{auth}");
        fs::remove_file(&target).unwrap();
        let refused = get(&["--secret-file", &wrong, "--auth", auth]);
        assert_eq!(refused.code, Some(3), "{auth}: {refused:?}");
        assert_ne!(get(&[]).code, Some(0), "{auth}");
        assert!(!folder.path("copy").exists());
    }
}

#[test]
fn files_are_fetched_over_tls() {
    let folder = Folder::new();
    folder.write("data/file", pattern(2 << 20));
    let issue = || rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (issued, other) = (issue(), issue());
    let cert = folder.write("host.pem", issued.cert.pem());
    let key = folder.write("host.key", issued.signing_key.serialize_pem());
    let other = folder.write("other.pem", other.cert.pem());
    let secret = folder.write("secret", "swordfish");
    for with_secret in [&[][..], &["--secret-file", &secret]] {
        let served = [
            "--quiet",
            "--files",
            &folder.at("data"),
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
        ];
        let server = Server::start(&[&served, with_secret].concat());
        let uri = format!("spark://{}/data/file", server.address);
        let target = folder.at("copy");
        let get = |tls: &[&str]| run(&[&["get", &uri, "-o", &target], tls, with_secret].concat());
        let finished = get(&["--tls-ca", &cert]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(fs::read(&target).unwrap() == pattern(2 << 20));
        fs::remove_file(&target).unwrap();
        assert_eq!(get(&["--tls-ca", &other]).code, Some(3));
        assert_ne!(get(&[]).code, Some(0));
        assert!(!folder.path("copy").exists());
    }
}

/// Begins to serve 4 MiB and stops half-way.
struct HalfWay {
    listener: TcpListener,
}

impl HalfWay {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { listener }
    }

    fn uri(&self) -> String {
        format!("spark://{}/data/file", self.listener.local_addr().unwrap())
    }

    fn serve(&self) -> TcpStream {
        let (mut stream, _) = self.listener.accept().unwrap();
        let name = b"/data/file";
        let mut request = vec![0; 8 + 1 + 4 + name.len()];
        stream.read_exact(&mut request).unwrap();
        assert!(request.ends_with(name), "{request:?}");
        // Length of the frame, type 7, the name, the length of the body.
        let mut answer = (8 + 1 + 4 + name.len() as u64 + 8).to_be_bytes().to_vec();
        answer.push(7);
        answer.extend((name.len() as u32).to_be_bytes());
        answer.extend(name);
        answer.extend((4_u64 << 20).to_be_bytes());
        answer.resize(answer.len() + (2 << 20), 7);
        stream.write_all(&answer).unwrap();
        stream
    }
}

fn start_get(uri: &str, target: &str) -> Child {
    let mut command: Command = command(&["get", uri, "-o", target]);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_server_that_goes_half_way_ends_with_3_and_leaves_nothing() {
    let folder = Folder::new();
    let copy = folder.write("here/copy", "old");
    let server = HalfWay::new();
    let child = start_get(&server.uri(), &copy);
    drop(server.serve());
    let (code, stderr) = end(child);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(
        stderr.contains("broke off") && stderr.contains("begins anew"),
        "{stderr}"
    );
    assert_eq!(folder.names("here"), ["copy"]);
    assert_eq!(fs::read(copy).unwrap(), b"old");
}

#[test]
fn what_a_server_says_does_not_steer_the_terminal() {
    let folder = Folder::new();
    let server = HalfWay::new();
    let child = start_get(&server.uri(), &folder.at("copy"));
    let (mut stream, _) = server.listener.accept().unwrap();
    let (name, text) = (b"/data/file", b"no\n\x1b]0;owned\x07");
    let mut answer = (8 + 1 + 4 + name.len() as u64 + 4 + text.len() as u64)
        .to_be_bytes()
        .to_vec();
    answer.push(8);
    for part in [&name[..], text] {
        answer.extend((part.len() as u32).to_be_bytes());
        answer.extend(part);
    }
    stream.write_all(&answer).unwrap();
    let (code, stderr) = end(child);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("no\n\u{fffd}]0;owned\u{fffd}"), "{stderr:?}");
}

#[test]
fn a_signal_half_way_leaves_nothing() {
    for (signal, name) in [(Signal::SIGINT, "SIGINT"), (Signal::SIGTERM, "SIGTERM")] {
        let folder = Folder::new();
        let here = folder.dir("here");
        let server = HalfWay::new();
        let child = start_get(&server.uri(), &here);
        let stream = server.serve();
        let deadline = Instant::now() + Duration::from_secs(20);
        // Nobody tells when the part is there.
        while folder.names("here").is_empty() {
            assert!(Instant::now() < deadline, "no part is written");
            std::thread::yield_now();
        }
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        let (code, stderr) = end(child);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains(name) && stderr.contains("as it was before"),
            "{stderr}"
        );
        assert_eq!(folder.names("here"), [""; 0]);
        drop(stream);
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("spark://{}/data/file", listener.local_addr().unwrap());
    let finished = run(&["get", &uri, "-o", &folder.at("copy"), "--timeout", "0.3"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("--timeout"), "{finished:?}");
    assert_eq!(folder.names(""), [""; 0]);
}
