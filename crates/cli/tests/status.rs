//! `spark-rpc status`, against a Master of our own that answers as a real one has.

mod command;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use bytes::Bytes;
use command::{Finished, Server, command, nobody, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use spark_rpc::javaobj::{FromJava, Limits, from_bytes};
use spark_rpc::{RpcEnv, rpc_endpoint};
use spark_rpc_standalone::{
    BoundPorts, BoundPortsRequest, DriverStatus, MasterState, RequestDriverStatus, RequestMasterState,
};

/// What a Master of Spark 4.1.4 has sent.
const RECORDED: &str = include_str!("../../standalone/tests/data/master-4.1.4.txt");
/// What its web server said a little later, as far as it is looked at.
const WEB: &str = r#"{"workers": [{"id": "worker-20261121152830-127.0.0.1-46315", "state": "ALIVE", "coresused": 3,
    "memoryused": 1112, "lastheartbeat": 1795274971083}],
    "activeapps": [{"id": "app-20261121152835-0000", "cores": 2, "state": "RUNNING", "duration": 646039},
    {"id": "app-20261121152933-0002", "cores": 0, "state": "WAITING", "duration": 588126}]}"#;

fn recorded<T: FromJava>(name: &str) -> T {
    let mut rows = RECORDED.lines().filter_map(|line| line.split_once(' '));
    let (_, hex) = rows.find(|(found, _)| *found == name).expect("it is recorded");
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes: Bytes = hex.as_bytes().chunks(2).map(byte).collect();
    from_bytes(&bytes, &Limits::default()).unwrap()
}

struct Master {
    web_ui_port: i32,
}

#[rpc_endpoint]
impl Master {
    async fn state(&mut self, _: RequestMasterState) -> MasterState {
        recorded("master-state")
    }

    async fn ports(&mut self, _: BoundPortsRequest) -> BoundPorts {
        BoundPorts {
            web_ui_port: self.web_ui_port,
            ..recorded("bound-ports")
        }
    }

    async fn driver(&mut self, _: RequestDriverStatus) -> DriverStatus {
        recorded("driver-known")
    }
}

/// Runs `test` with the address of a Master.
fn with_master(web_ui_port: i32, test: impl FnOnce(&str)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let env = runtime.block_on(async {
        let env = RpcEnv::builder("sparkMaster")
            .bind("127.0.0.1:0")
            .start()
            .await
            .unwrap();
        env.setup_endpoint("Master", Master { web_ui_port }).unwrap();
        env
    });
    test(&env.address().unwrap().to_string());
    runtime.block_on(env.shutdown());
}

/// Answers one request like a Master's web server and returns its port.
fn web_server() -> i32 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let count = stream.read(&mut request).unwrap();
            assert!(request[..count].starts_with(b"GET /json/ "));
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/json\r\n\r\n{WEB}").unwrap();
        }
    });
    i32::from(port)
}

fn said(finished: &Finished, words: &[&str]) {
    for word in words {
        assert!(finished.stdout.contains(word), "{word} in {finished:?}");
    }
}

#[test]
fn workers_applications_and_drivers_stand_in_tables() {
    with_master(web_server(), |address| {
        let finished = run(&["status", &format!("spark://{address}")]);
        assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{finished:?}");
        said(
            &finished,
            &[
                "alive  1 worker, cores: 3 of 4 in use, memory: 1.1 GiB of 2 GiB in use\n",
                "ID                                     STATE   CORES            MEMORY  RESOURCES",
                "worker-20261121152830-127.0.0.1-46315  alive  3 of 4  1.1 GiB of 2 GiB  2 gpu",
                "sleepy  root  running  2 of 2      512 MiB",
                "dr      root  waiting  0 of 1        1 GiB",
                "short   root  ended         1      600 MiB",
                "driver-20261121152917-0000  Sleepy  running      1  600 MiB",
            ],
        );
    });
}

#[test]
fn json_has_the_same_and_null_for_what_a_master_does_not_tell() {
    with_master(0, |address| {
        let finished = run(&["status", address, "--json"]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let report: Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(report["master"]["state"], "alive");
        assert_eq!(report["master"]["web_ui_answered"], false);
        let worker = &report["workers"][0];
        assert_eq!(
            (&worker["cores"], &worker["memory_mib"]),
            (&4.into(), &2048.into())
        );
        assert_eq!(worker["resources"]["gpu"], serde_json::json!(["0", "1"]));
        assert_eq!(
            (&worker["state"], &worker["cores_used"]),
            (&Value::Null, &Value::Null)
        );
        let app = &report["applications"][1];
        assert_eq!(
            (&app["name"], &app["active"], &app["cores_wanted"]),
            (&"dr".into(), &true.into(), &1.into())
        );
        assert_eq!(report["applications"][2]["active"], false);
        let driver = &report["drivers"][0];
        assert_eq!(
            (&driver["state"], &driver["main_class"]),
            (&"running".into(), &"Sleepy".into())
        );
        assert!(driver["worker"].as_str().unwrap().starts_with("worker-"));
        let text = run(&["status", address]);
        said(&text, &["states and use are not known", "?", "active"]);
    });
}

#[test]
fn watching_repeats_itself_and_ends_in_order_at_ctrl_c() {
    with_master(0, |address| {
        let mut child = command(&["status", address, "--watch", "--interval", "0.05", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..3 {
            let line = lines.next().unwrap().unwrap();
            let report: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(report["workers"][0]["cores"], 4);
        }
        let pid = i32::try_from(child.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        // Until it has noticed it may go on writing.
        for line in lines {
            line.unwrap();
        }
        assert_eq!(child.wait().unwrap().code(), Some(0));
    });
}

#[test]
fn what_is_no_master_is_told_apart() {
    let server = Server::start(&["--quiet"]);
    let other = run(&["status", &server.address]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stderr.contains("no Master"), "{other:?}");

    let address = nobody();
    let nobody = run(&["status", &address]);
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
    assert!(nobody.stderr.contains(&address), "{nobody:?}");

    let wrong = run(&["status", "spark://Master@127.0.0.1:7077"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let bad = run(&["status", "127.0.0.1:7077", "--interval", "1"]);
    assert_eq!(bad.code, Some(2), "--interval is of --watch: {bad:?}");
}

#[test]
fn a_server_that_wants_authentication_is_named_as_such() {
    let file = std::env::temp_dir().join(format!("spark-rpc-status-{}", std::process::id()));
    std::fs::write(&file, "swordfish").unwrap();
    let server = Server::start(&["--secret-file", file.to_str().unwrap()]);
    let finished = run(&["status", &server.address]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("authentication"), "{finished:?}");
    assert!(finished.stderr.contains("--secret-file"), "{finished:?}");
}
