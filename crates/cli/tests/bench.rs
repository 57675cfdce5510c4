//! `spark-rpc bench`.

mod command;

use command::{Server, run};
use serde_json::Value;

/// Runs a work with `--json` and checks what all works have in common.
fn bench(args: &[&str]) -> Value {
    let finished = run(&[&["bench", "--json"], args].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let report: Value = serde_json::from_str(&finished.stdout).expect("one JSON object");
    assert_eq!(report["work"], args[0]);
    for (name, sound) in [
        ("in_flight", report["in_flight"].is_u64()),
        ("size", report["size"].is_u64()),
        ("seconds", report["seconds"].as_f64() > Some(0.0)),
        (
            "throughput_per_s",
            report["throughput_per_s"].as_f64() > Some(0.0),
        ),
        (
            "client",
            report["client"]["cpu_s"].is_f64() && report["client"]["rss_kib"].is_u64(),
        ),
    ] {
        assert!(sound, "{name}: {report}");
    }
    report
}

fn assert_latency(report: &Value) {
    let latency = ["p50", "p99", "p999"].map(|name| report["latency_us"][name].as_f64().expect(name));
    assert!(latency[0] > 0.0 && latency.is_sorted(), "{report}");
}

fn assert_server_used(report: &Value) {
    assert!(
        report["server"]["cpu_s"].is_f64() && report["server"]["rss_kib"].is_u64(),
        "{report}"
    );
}

#[test]
fn local_works_have_no_server() {
    for work in ["local-ask", "local-send"] {
        let report = bench(&[work, "--seconds", "0.3"]);
        assert!(report["server"]["cpu_s"].is_null(), "{report}");
    }
}

#[test]
fn asks_report_latency_and_both_processes() {
    for work in ["ask", "local-ask"] {
        let report = bench(&[work, "--seconds", "0.3", "--in-flight", "8", "--size", "100"]);
        assert_eq!((&report["in_flight"], &report["size"]), (&8.into(), &100.into()));
        assert_latency(&report);
        assert_eq!(report["intervals_per_s"].as_array().unwrap().len(), 5);
    }
    assert_server_used(&bench(&["ask", "--seconds", "0.3"]));
}

#[test]
fn sends_arrive_completely() {
    for work in ["send", "local-send"] {
        let report = bench(&[work, "--seconds", "0.3", "--in-flight", "2"]);
        assert!(report["sent"].as_u64() > Some(0), "{report}");
        assert_eq!(report["sent"], report["received"]);
        assert!(
            report["latency_us"]["p50"].is_null(),
            "nobody knows when a one-way message is handled"
        );
    }
}

#[test]
fn a_running_server_can_be_used() {
    let server = Server::start(&["--quiet"]);
    let report = bench(&["send", "--seconds", "0.3", "--connect", &server.address]);
    assert_server_used(&report);
    let counted = run(&["ask", &server.uri("sink"), "--text", "?"]);
    assert!(
        counted
            .stdout
            .starts_with(&format!("messages={} ", report["sent"])),
        "{counted:?}"
    );
}

#[test]
fn connections_report_what_each_costs_both_sides() {
    let report = bench(&["connections", "--count", "40"]);
    assert_eq!(report["connections"], 40);
    assert!(
        report["client_kib_each"].is_f64() && report["server_kib_each"].is_f64(),
        "{report}"
    );
    assert_latency(&report);
    assert_server_used(&report);
}

#[test]
fn endpoints_report_what_each_costs() {
    let report = bench(&["endpoints", "--count", "500"]);
    assert_eq!(report["endpoints"], 500);
    assert!(
        report["bytes_each"].is_f64() && report["setup_ns_each"].as_f64() > Some(0.0),
        "{report}"
    );
}

#[test]
fn starts_report_envs_and_processes() {
    let report = bench(&["start", "--count", "3"]);
    assert_eq!(report["starts"], 3);
    for name in ["envs_ms", "processes_ms", "server_process_ready_ms"] {
        assert!(report[name].as_f64() > Some(0.0), "{name}: {report}");
    }
    assert_latency(&report);
    assert_server_used(&report);
}

#[test]
#[cfg(target_os = "linux")]
fn both_sides_can_be_kept_on_a_cpu() {
    let report = bench(&[
        "ask",
        "--seconds",
        "0.3",
        "--server-cpu",
        "0",
        "--client-cpu",
        "0",
    ]);
    assert_server_used(&report);
}

#[test]
fn the_summary_for_people_has_the_same_numbers() {
    let finished = run(&["bench", "ask", "--seconds", "0.3"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for word in ["throughput", "p99", "client", "server", "MiB"] {
        assert!(finished.stdout.contains(word), "{word}: {}", finished.stdout);
    }
    assert_eq!(finished.stderr, "", "no progress where there is no terminal");
}

#[test]
fn arguments_that_do_not_go_together_are_named() {
    let bad: [(&[&str], &str); 16] = [
        (&["fly"], "<WORK>"),
        (&["ask", "--in-flight", "0"], "--in-flight"),
        (&["ask", "--seconds", "0"], "--seconds"),
        (&["ask", "--count", "5"], "--count"),
        (&["ask", "--chunk", "5"], "--chunk"),
        (&["chunks", "--chunk", "0"], "--chunk"),
        (&["stream", "--size", "0"], "--size"),
        (&["ask", "--size", "65m"], "--size"),
        (&["send", "--beside", "stream"], "--beside"),
        (&["local-ask", "--connect", "127.0.0.1:1024"], "--connect"),
        (&["local-send", "--server-cpu", "0"], "--server-cpu"),
        (&["ask", "--client-cpu", "1000000"], "--client-cpu"),
        (&["ask", "--server-cpu", "1000000"], "--server-cpu"),
        (&["ask", "--seconds", "-1"], "--seconds"),
        (&["ask", "--tls-ca", "/nowhere.pem"], "--tls-ca"),
        (
            &["ask", "--server-cpu", "0", "--connect", "127.0.0.1:1024"],
            "--connect",
        ),
    ];
    for (args, named) in bad {
        let finished = run(&[&["bench"], args].concat());
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        assert!(finished.stderr.contains(named), "{args:?}: {finished:?}");
    }
}

#[test]
fn a_server_that_is_not_there_ends_with_3() {
    let finished = run(&["bench", "ask", "--connect", &command::nobody()]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
}

#[test]
fn bulk_is_measured_in_turns_with_a_bare_loop() {
    for (work, more) in [
        ("stream", &["--in-flight", "2"][..]),
        ("chunks", &["--chunk", "64KiB"]),
    ] {
        let report = bench(&[&[work, "--size", "3MiB", "--seconds", "0.3"], more].concat());
        assert_eq!(report["size"], 3 << 20);
        assert!(report["ratio"].as_f64() > Some(0.0), "{report}");
        for way in ["ours", "bare"] {
            for figure in ["mb_per_s", "sender_s_per_gib", "receiver_s_per_gib"] {
                assert!(report[way][figure].is_f64(), "{way}.{figure}: {report}");
            }
        }
        assert_server_used(&report);
    }
}

#[test]
fn chunks_are_measured_behind_a_secret_and_tls_too() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        std::fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let secret = write("secret", "swordfish");
    let cert = write("host.pem", &issued.cert.pem());
    let key = write("host.key", &issued.signing_key.serialize_pem());
    let tls = ["--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &cert];
    for guards in [&["--secret-file", &secret][..], &tls] {
        let chunks = ["chunks", "--size", "3MiB", "--chunk", "64KiB", "--seconds", "0.3"];
        let report = bench(&[&chunks, guards].concat());
        assert!(report["ours"]["mb_per_s"].as_f64() > Some(0.0), "{report}");
    }
    // They guard: without a certificate for it, the server process does not start.
    let finished = run(&["bench", "chunks", "--size", "1", "--tls-ca", &cert]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("--tls-ca"), "{finished:?}");
}

/// A process that another one has started, and its arguments.
#[cfg(target_os = "linux")]
fn child_of(parent: u32) -> Option<(u32, Vec<String>)> {
    std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let of = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let arguments: Vec<_> = arguments.split_terminator('\0').map(ToOwned::to_owned).collect();
        // Between fork and exec it still has the arguments of its parent.
        (of.trim() == parent.to_string() && !arguments.contains(&"bench".to_owned()))
            .then_some((pid, arguments))
    })
}

#[test]
#[cfg(target_os = "linux")]
fn a_signal_leaves_neither_files_nor_processes() {
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let eventually = |what: &str, done: &mut dyn FnMut() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::yield_now();
        }
    };
    for (args, signal, name) in [
        (
            &["stream", "--size", "1MiB", "--seconds", "1000"][..],
            Signal::SIGTERM,
            "SIGTERM",
        ),
        (
            &["chunks", "--size", "1MiB", "--seconds", "1000"],
            Signal::SIGINT,
            "SIGINT",
        ),
        (
            &["downloads", "--size", "64MiB", "--clients", "500"],
            Signal::SIGTERM,
            "SIGTERM",
        ),
    ] {
        let mut bench = command::command(&["bench"]);
        bench.args(args).stderr(std::process::Stdio::piped());
        let bench = bench.spawn().unwrap();
        let mut server = None;
        eventually("a server is started", &mut || {
            server = child_of(bench.id());
            server.is_some()
        });
        let (server, arguments) = server.unwrap();
        let served: PathBuf = arguments
            .iter()
            .find_map(|argument| {
                let path = argument.strip_prefix("bench=").unwrap_or(argument);
                (path.starts_with('/') && path != arguments[0]).then(|| path.into())
            })
            .expect("it serves something");
        assert!(served.exists());
        kill(Pid::from_raw(bench.id().cast_signed()), signal).unwrap();
        let output = bench.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(
            stderr.contains(&format!("stopped by {name}")),
            "{args:?}: {stderr}"
        );
        assert!(!served.exists(), "{args:?}: {} is left", served.display());
        let process = Path::new("/proc").join(server.to_string());
        eventually("the server ends, too", &mut || !process.exists());
    }
}

#[test]
fn asks_are_measured_alone_and_beside_bulk() {
    for bulk in ["stream", "chunks"] {
        let report = bench(&["ask", "--beside", bulk, "--seconds", "0.3", "--in-flight", "4"]);
        assert_latency(&report);
        assert!(report["alone"]["p99_us"].as_f64() > Some(0.0), "{report}");
        assert!(report["bulk_mb_per_s"].as_f64() > Some(0.0), "{report}");
    }
}

#[test]
fn many_clients_download_at_once_and_the_server_tells_its_peak() {
    let report = bench(&["downloads", "--clients", "50", "--size", "300KiB"]);
    assert_eq!(report["clients"], 50);
    assert_eq!(report["failures"], 0);
    assert_eq!(report["size"], 300 << 10);
    assert_latency(&report);
    assert_server_used(&report);
    let kib = ["server_rss_kib_before", "server_rss_kib_peak"].map(|name| report[name].as_u64().expect(name));
    assert!(kib[0] > 0 && kib.is_sorted(), "{report}");
    let finished = run(&["bench", "downloads", "--connect", "127.0.0.1:1"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
}
