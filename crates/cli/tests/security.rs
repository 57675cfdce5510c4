//! Secrets, certificates, and a server that nobody protects.

mod command;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use command::{Server, command, run};

/// A folder of this test's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("spark-rpc-cli-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn serving_beyond_loopback_unprotected_explains_itself_and_ends_with_2() {
    let finished = run(&["serve", "--bind", "0.0.0.0"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(finished.stdout, "");
    for named in [
        "--bind 0.0.0.0",
        "spark.authenticate",
        "spark.ssl.rpc.enabled",
        "spark.rpc.security.allowUnprotected",
    ] {
        assert!(finished.stderr.contains(named), "{finished:?}");
    }
}

#[test]
fn with_the_same_secret_file_commands_reach_the_server_in_every_way_to_authenticate() {
    let folder = Folder::new();
    let good = folder.write("good", "swordfish\n");
    let wrong = folder.write("wrong", "herring\n");
    for auth in ["engine", "spark-engine", "sasl-encryption", "sasl"] {
        let server = Server::start(&["--secret-file", &good, "--auth", auth]);
        let ask = |secret: &[&str]| {
            let uri = server.uri("echo");
            let own = ["ask", &uri, "--text", "hello", "--log", "debug"];
            run(&[&own, secret].concat())
        };
        let asked = ask(&["--secret-file", &good, "--auth", auth]);
        assert_eq!(
            (asked.code, &*asked.stdout),
            (Some(0), "hello\n"),
            "{auth}: {asked:?}"
        );
        assert!(!asked.stderr.contains("swordfish"), "{asked:?}");
        let refused = ask(&["--secret-file", &wrong, "--auth", auth]);
        assert_eq!(refused.code, Some(3), "{auth}: {refused:?}");
        assert!(
            refused.stderr.contains("Authentication failed"),
            "{auth}: {refused:?}"
        );
        assert_ne!(ask(&[]).code, Some(0), "{auth}");
    }
}

#[test]
fn the_secret_may_come_from_the_environment_but_not_from_the_command_line() {
    let folder = Folder::new();
    let server = Server::start(&["--secret-file", &folder.write("good", "swordfish")]);
    let asked = command(&["ask", &server.uri("echo"), "--text", "hello", "--auth", "engine"])
        .env("_SPARK_AUTH_SECRET", "swordfish")
        .output()
        .unwrap();
    assert_eq!(asked.stdout, b"hello\n");

    for key in [
        "spark.authenticate.secret",
        "spark.ssl.rpc.keyStorePassword",
        "spark.ssl.privateKeyPassword",
    ] {
        let finished = run(&["serve", "--conf", &format!("{key}=swordfish")]);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("--secret-file"), "{finished:?}");
        assert!(!finished.stderr.contains("swordfish"), "{finished:?}");
    }
}

#[test]
fn arguments_about_security_that_make_no_sense_are_named() {
    let folder = Folder::new();
    let secret = folder.write("good", "swordfish");
    let empty = folder.write("empty", "");
    let both = folder.write(
        "spark.conf",
        "spark.authenticate true\nspark.authenticate.secret swordfish",
    );
    let bad: [(&[&str], &str); 6] = [
        (&["--secret-file", "/nowhere/secret"], "/nowhere/secret"),
        (&["--secret-file", &empty], "--secret-file"),
        (&["--auth", "engine"], "--secret-file"),
        (&["--tls-cert", "x.pem"], "--tls-key"),
        (
            &["--tls-cert", "/nowhere/x.pem", "--tls-key", "/nowhere/x.key"],
            "/nowhere/x.pem",
        ),
        (
            &["--secret-file", &secret, "--properties-file", &both],
            "spark.authenticate",
        ),
    ];
    for (args, named) in bad {
        let finished = command(&[&["serve"], args].concat())
            .env_remove("_SPARK_AUTH_SECRET")
            .output()
            .unwrap();
        let stderr = String::from_utf8(finished.stderr).unwrap();
        assert_eq!(finished.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(named), "{args:?}: {stderr}");
        assert!(!stderr.contains("swordfish"), "{stderr}");
    }
}

#[test]
fn commands_speak_tls_to_a_server_whose_certificate_they_trust() {
    let folder = Folder::new();
    let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let cert = folder.write("host.pem", &issued.cert.pem());
    let key = folder.write("host.key", &issued.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let other = folder.write("other.pem", &other.cert.pem());
    let server = Server::start(&["--tls-cert", &cert, "--tls-key", &key]);
    let ask = |tls: &[&str]| run(&[&["ask", &server.uri("echo"), "--text", "hello"], tls].concat());
    let asked = ask(&["--tls-ca", &cert]);
    assert_eq!((asked.code, &*asked.stdout), (Some(0), "hello\n"), "{asked:?}");
    assert_eq!(ask(&["--tls-ca", &other]).code, Some(3));
    assert_ne!(ask(&[]).code, Some(0));
}
