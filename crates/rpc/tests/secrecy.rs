//! Secrets, passwords and keys stay inside: whatever is logged or printed is searched for them.

mod support;

use std::fmt::Debug;

use spark_rpc::RpcEnv;
use spark_rpc::config::{RpcConf, SparkConf};
use spark_rpc::security::Secret;
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{RequestId, RpcRequest};
use support::certificates::Certificates;
use support::lab::Lab;
use support::messages::*;
use support::observe::{Captured, capture};
use support::{client, server, settle};

/// Nobody writes these by chance. The first one is a user's, the second one somebody else's.
const SECRETS: [&str; 2] = ["swordfish-7391", "hedgehog-4482"];
const PASSWORD: &str = "porcupine-2216";

/// What has been printed and logged so far.
struct Output {
    printed: String,
    events: Captured,
}

impl Output {
    fn print(&mut self, value: &dyn Debug) {
        self.printed += &format!("{value:?}\n{value:#?}\n");
    }

    /// Searches for `secret` as it is and in the forms that bytes are written in.
    fn does_not_show(&self, secret: &str) {
        use std::fmt::Write as _;
        let bytes = secret.as_bytes();
        let mut hexadecimal = String::new();
        for byte in bytes {
            write!(hexadecimal, "{byte:02x}").unwrap();
        }
        let list = |separator: &str| {
            let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
            numbers.join(separator)
        };
        let base64 = base64(bytes);
        let all = format!("{}\n{}", self.printed, self.events.text());
        let forms = [
            secret.to_owned(),
            hexadecimal.to_uppercase(),
            hexadecimal,
            list(", "),
            list(",\n    "),
            base64.trim_end_matches('=').to_owned(),
        ];
        for form in forms {
            // Whatever stands around it, some part of it would be found.
            let part = &form[..form.len().min(24)];
            let found = all.lines().find(|line| line.contains(part));
            assert_eq!(found, None, "{secret} is shown as {part}");
            assert!(!all.contains(part), "{secret} is shown as {part}");
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let number =
            three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..=three.len() {
            out.push(char::from(DIGITS[(number >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    out
}

fn conf(secret: &str, more: &[(&str, &str)]) -> SparkConf {
    let own = [
        ("spark.authenticate", "true"),
        ("spark.authenticate.secret", secret),
    ];
    SparkConf::from_pairs([&own, more].concat())
}

async fn ask(env: &RpcEnv, output: &mut Output) -> bool {
    let found = env.setup_endpoint_ref("spark://lab@server:7077").await;
    output.print(&found);
    match found {
        Ok(lab) => lab.ask(Echo("hi".into())).await.is_ok(),
        Err(error) => {
            output.printed += &format!("{error}\n");
            false
        }
    }
}

#[tokio::test(start_paused = true)]
async fn neither_logs_nor_debug_output_show_a_secret_whatever_the_mechanism() {
    let (events, _guard) = capture();
    let mut output = Output {
        printed: String::new(),
        events,
    };
    for (number, more) in [
        &[][..],
        &[("spark.network.crypto.cipher", "AES/CTR/NoPadding")],
        &[("spark.network.crypto.saslFallback", "true")],
        &[("spark.authenticate.enableSaslEncryption", "true")],
        &[("spark.network.crypto.enabled", "false")],
    ]
    .into_iter()
    .enumerate()
    {
        let net = MemoryNetwork::new(number as u64);
        let [good, wrong] = SECRETS.map(|secret| conf(secret, more));
        output.print(&good);
        let [good, wrong] = [good, wrong].map(|conf| RpcConf::from_spark(&conf).unwrap());
        let env = server(&net.host("server"), 7077, good.clone()).await;
        env.setup_endpoint("lab", Lab::default()).unwrap();
        let (friend, stranger) = (
            client(&net.host("friend"), good.clone()).await,
            client(&net.host("stranger"), wrong).await,
        );
        assert!(ask(&friend, &mut output).await);
        assert!(!ask(&stranger, &mut output).await);
        // Somebody who sends the secret itself, as the name of a user and as a message.
        let mut peer = ScriptedPeer::connect(&net.host("other"), "server", 7077).await;
        peer.send(RpcRequest {
            request_id: RequestId(1),
            body: b"\xfb\0\0\0\x01x".to_vec().into(),
        })
        .await;
        settle().await;
        for value in [&good as &dyn Debug, &env, &friend, &env.stats(), &good.security] {
            output.print(value);
        }
        env.shutdown().await;
    }
    assert!(
        output.events.count("not authenticated") >= 5,
        "the log was looked at"
    );
    for secret in SECRETS {
        output.does_not_show(secret);
    }
}

#[tokio::test(start_paused = true)]
async fn neither_logs_nor_debug_output_show_a_key_or_its_password() {
    let (events, _guard) = capture();
    let mut output = Output {
        printed: String::new(),
        events,
    };
    let files = Certificates::new(&["server"]);
    let password = ("spark.ssl.rpc.privateKeyPassword", PASSWORD);
    let conf = files.conf(Some("server"), &[password]);
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, conf.clone()).await;
    env.setup_endpoint("lab", Lab::default()).unwrap();
    assert!(
        ask(
            &client(&net.host("friend"), files.conf(None, &[])).await,
            &mut output
        )
        .await
    );
    let other = Certificates::new(&["server"]);
    assert!(
        !ask(
            &client(&net.host("stranger"), other.conf(None, &[])).await,
            &mut output
        )
        .await
    );
    // Broken files are complained about.
    files.write("server.pem", files.read("server.key"));
    support::sleep_secs(11).await;
    for value in [&conf as &dyn Debug, &env, &env.stats(), &conf.security.ssl] {
        output.print(value);
    }
    assert!(output.events.count("cannot be used") > 0, "the log was looked at");
    output.does_not_show(PASSWORD);
    for line in files
        .read("server.key")
        .lines()
        .filter(|line| !line.starts_with('-'))
    {
        output.does_not_show(line);
    }
}

#[test]
fn errors_about_secrets_do_not_show_them() {
    let mut output = Output {
        printed: String::new(),
        events: Captured::default(),
    };
    for more in [
        &[("spark.authenticate.secret.file", "/nonexistent")][..],
        &[("spark.network.crypto.cipher", "rot13")],
        &[
            ("spark.network.crypto.enabled", "false"),
            ("spark.network.crypto.saslFallback", "false"),
        ],
        &[
            ("spark.ssl.rpc.enabled", "true"),
            ("spark.network.crypto.enabled", "true"),
        ],
    ] {
        let error = RpcConf::from_spark(&conf(SECRETS[0], more)).unwrap_err();
        output.printed += &format!("{error}\n");
        output.print(&error);
    }
    let secret = Secret::new(SECRETS[0]).unwrap();
    output.print(&secret);
    output.print(&RpcEnv::builder("x").secret(secret));
    output.does_not_show(SECRETS[0]);
}
