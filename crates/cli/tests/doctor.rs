//! `spark-rpc doctor`, against our own server in every mode, and against what is no Spark at all.

mod command;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use command::{Finished, Server, nobody, run};
use serde_json::{Value, json};

/// A folder of this test's own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// What the command finds, and its exit code.
fn examine(address: &str, args: &[&str]) -> (Option<i32>, Value) {
    let finished = doctor(address, &[args, &["--json"]].concat());
    let report = serde_json::from_str(&finished.stdout);
    (
        finished.code,
        report.unwrap_or_else(|error| panic!("{error}: {finished:?}")),
    )
}

fn doctor(address: &str, args: &[&str]) -> Finished {
    run(&[&["doctor", address], args].concat())
}

fn advises(report: &Value, word: &str) -> bool {
    let advice = report["advice"].as_array().unwrap();
    advice.iter().any(|text| text.as_str().unwrap().contains(word))
}

#[test]
fn an_open_server_of_ours_is_found_out_and_warned_about() {
    let server = Server::start(&["--quiet"]);
    let (code, report) = examine(&format!("spark://{}", server.address), &[]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(
        (&report["listening"], &report["peer"]),
        (&json!("spark"), &json!("spark-rpc"))
    );
    assert_eq!(report["authentication"]["wanted"], false);
    assert_eq!((&report["spark"], &report["tls"]), (&Value::Null, &Value::Null));
    assert_eq!(report["endpoints"]["Master"], false);
    assert!(
        report["round_trip_us"]["median"].as_u64().unwrap() > 0,
        "{report}"
    );
    assert!(advises(&report, "Nobody has to authenticate"), "{report}");

    let text = doctor(&server.address, &[]);
    for words in [
        "Spark's RPC, by spark-rpc",
        "not wanted",
        "none of the well-known ones",
        "round trip min",
    ] {
        assert!(text.stdout.contains(words), "{words}: {text:?}");
    }
}

#[test]
fn each_way_to_authenticate_is_recognised_with_and_without_the_secret() {
    let folder = Folder::new();
    let good = folder.write("good", "swordfish\n");
    let wrong = folder.write("wrong", "herring\n");
    for (auth, mechanisms, proof, warning) in [
        (
            "engine",
            json!(["auth_engine"]),
            "auth engine 2, AES/GCM/NoPadding",
            None,
        ),
        (
            "spark-engine",
            json!(["auth_engine"]),
            "auth engine 1, AES/CTR/NoPadding",
            Some("AES-CTR"),
        ),
        (
            "sasl-encryption",
            json!(["sasl_digest_md5"]),
            "SASL DIGEST-MD5, encrypted",
            Some("weak"),
        ),
        (
            "sasl",
            json!(["sasl_digest_md5"]),
            "SASL DIGEST-MD5, ",
            Some("in the clear"),
        ),
    ] {
        let server = Server::start(&["--secret-file", &good, "--auth", auth, "--quiet"]);
        let (code, outside) = examine(&server.address, &[]);
        assert_eq!(
            (code, &outside["listening"]),
            (Some(0), &json!("spark")),
            "{auth}: {outside}"
        );
        assert_eq!(outside["authentication"]["wanted"], true, "{auth}: {outside}");
        assert_eq!(
            outside["authentication"]["mechanisms"], mechanisms,
            "{auth}: {outside}"
        );
        assert_eq!(
            outside["endpoints"],
            Value::Null,
            "strangers are told nothing: {outside}"
        );
        assert!(advises(&outside, "--secret-file"), "{outside}");

        let (code, inside) = examine(&server.address, &["--secret-file", &good, "--auth", auth]);
        assert_eq!(code, Some(0), "{auth}: {inside}");
        let succeeded = inside["authentication"]["succeeded"].as_str().unwrap_or_default();
        assert!(succeeded.starts_with(proof), "{auth}: {inside}");
        assert_eq!(
            (&inside["peer"], &inside["endpoints"]["Master"]),
            (&json!("spark-rpc"), &json!(false))
        );
        assert!(
            warning.is_none_or(|warning| advises(&inside, warning)),
            "{auth}: {inside}"
        );

        let (code, refused) = examine(&server.address, &["--secret-file", &wrong, "--auth", auth]);
        assert_eq!(code, Some(1), "{auth}: {refused}");
        assert!(
            refused["authentication"]["refused"].is_string(),
            "{auth}: {refused}"
        );
        assert!(!refused.to_string().contains("herring"));
    }
}

#[test]
fn a_secret_is_not_shown_to_those_who_can_only_sasl_unless_one_says_so() {
    let folder = Folder::new();
    let secret = folder.write("secret", "swordfish");
    let server = Server::start(&["--secret-file", &secret, "--auth", "sasl", "--quiet"]);
    let (code, report) = examine(&server.address, &["--secret-file", &secret]);
    assert_eq!(
        (code, &report["authentication"]["succeeded"]),
        (Some(0), &Value::Null),
        "{report}"
    );
    assert!(advises(&report, "--auth sasl"), "{report}");
    // Whatever `--auth` says of the engine, the version and the cipher that the server has are found.
    let server = Server::start(&["--secret-file", &secret, "--auth", "spark-engine", "--quiet"]);
    let (_, report) = examine(&server.address, &["--secret-file", &secret, "--auth", "engine"]);
    assert_eq!(
        report["authentication"]["succeeded"],
        "auth engine 1, AES/CTR/NoPadding"
    );
}

#[test]
fn a_server_that_falls_back_to_sasl_is_warned_about() {
    let folder = Folder::new();
    let settings = folder.write(
        "spark.conf",
        "spark.authenticate true\nspark.authenticate.secret swordfish\nspark.network.crypto.enabled true\n\
         spark.network.crypto.saslFallback true\n",
    );
    let server = Server::start(&["--properties-file", &settings, "--quiet"]);
    let (_, report) = examine(&server.address, &[]);
    let mechanisms = &report["authentication"]["mechanisms"];
    assert_eq!(mechanisms, &json!(["auth_engine", "sasl_digest_md5"]), "{report}");
    assert!(advises(&report, "saslFallback"), "{report}");
}

#[test]
fn tls_is_found_and_looked_into() {
    let folder = Folder::new();
    let certificate = |name: &str| {
        let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let cert = folder.write(&format!("{name}.pem"), &issued.cert.pem());
        (
            cert,
            folder.write(&format!("{name}.key"), &issued.signing_key.serialize_pem()),
        )
    };
    let (cert, key) = certificate("host");
    let (other, _) = certificate("other");
    let server = Server::start(&["--tls-cert", &cert, "--tls-key", &key, "--quiet"]);
    for (args, code, listening, trusted, peer) in [
        (vec![], 0, "spark", Value::Null, json!("spark-rpc")),
        (
            vec!["--tls-ca", &*cert],
            0,
            "spark",
            json!(true),
            json!("spark-rpc"),
        ),
        (vec!["--tls-ca", &*other], 1, "tls", json!(false), Value::Null),
    ] {
        let (found, report) = examine(&server.address, &args);
        assert_eq!(
            (found, &report["listening"]),
            (Some(code), &json!(listening)),
            "{args:?}: {report}"
        );
        assert_eq!(
            (&report["tls"]["trusted"], &report["peer"]),
            (&trusted, &peer),
            "{args:?}: {report}"
        );
        assert!(
            report["tls"]["protocol"].as_str().unwrap().contains("1.3"),
            "{report}"
        );
    }
}

#[test]
fn a_secret_inside_of_tls_is_proven_there() {
    let folder = Folder::new();
    let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let cert = folder.write("host.pem", &issued.cert.pem());
    let key = folder.write("host.key", &issued.signing_key.serialize_pem());
    let secret = folder.write("secret", "swordfish");
    let server = Server::start(&[
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--secret-file",
        &secret,
        "--quiet",
    ]);
    let (code, report) = examine(&server.address, &["--tls-ca", &cert, "--secret-file", &secret]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["tls"]["trusted"], true);
    assert_eq!(report["authentication"]["succeeded"], "auth engine inside of TLS");
    assert_eq!(report["peer"], "spark-rpc");
}

/// Serves every connection by `answer`, on a port of its own.
fn scripted(answer: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
    address
}

#[test]
fn what_is_no_spark_is_told_for_what_it_is() {
    /// Reads until an empty line, as web servers do.
    fn patient_web_server(mut stream: TcpStream) {
        let (mut all, mut space) = (Vec::new(), [0; 512]);
        while !all.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            match stream.read(&mut space) {
                Ok(count) if count > 0 => all.extend_from_slice(&space[..count]),
                _ => return,
            }
        }
        let _ = stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n");
    }
    fn says(mut stream: TcpStream, bytes: &[u8]) {
        let _ = stream.write_all(bytes);
        let mut scrap = Vec::new();
        let _ = stream.read_to_end(&mut scrap);
    }
    let strict_web_server = scripted(|mut stream| {
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    let patient_web_server = scripted(patient_web_server);
    let ssh = scripted(|stream| says(stream, b"SSH-2.0-OpenSSH_9.2p1\r\n"));
    let garbage = scripted(|stream| says(stream, b"\x7fELF\x1b[2J and more"));
    let closes = scripted(drop);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_address = silent.local_addr().unwrap().to_string();
    for (address, listening, advice) in [
        (&strict_web_server, "http", "web server"),
        (&patient_web_server, "http", "web server"),
        (&ssh, "ssh", "no port of Spark"),
        (&garbage, "unknown", "no port of Spark"),
        (&closes, "closes", "hangs up"),
        (&silent_address, "silent", "says nothing"),
    ] {
        let (code, report) = examine(address, &["--timeout", "0.2"]);
        assert_eq!(
            (code, &report["listening"]),
            (Some(1), &json!(listening)),
            "{report}"
        );
        assert!(advises(&report, advice), "{report}");
        let text = doctor(address, &["--timeout", "0.2"]);
        assert_eq!(text.code, Some(1), "{text:?}");
        assert!(!text.stdout.contains('\x1b'), "{text:?}");
    }
}

#[test]
fn nothing_at_all_ends_with_3_and_bad_arguments_with_2() {
    let address = nobody();
    let finished = doctor(&address, &[]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains(&address), "{finished:?}");
    assert_eq!(run(&["doctor", "spark://Master@127.0.0.1:7077"]).code, Some(2));
    assert_eq!(run(&["doctor"]).code, Some(2));
}
