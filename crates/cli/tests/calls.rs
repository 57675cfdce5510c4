//! `spark-rpc ping`, `ask` and `send`.

mod command;

use command::{Server, nobody, run};

#[test]
fn ping_of_an_endpoint_that_exists_ends_with_0_and_a_summary() {
    let server = Server::start(&["--quiet"]);
    let finished = run(&["ping", &server.uri("echo"), "-c", "3", "-i", "0"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout.matches("exists").count(), 3, "{finished:?}");
    let summary = finished.stdout.lines().last().unwrap();
    for word in ["3 round trips", "min", "median", "max"] {
        assert!(summary.contains(word), "{summary}");
    }
}

#[test]
fn a_ping_that_is_stopped_tells_what_it_has_measured() {
    use std::io::{BufRead, BufReader};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let server = Server::start(&["--quiet"]);
    let mut ping = command::command(&["ping", &server.uri("echo"), "-c", "1000000", "-i", "0.01"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(ping.stdout.take().unwrap()).lines();
    // That it is connected, and the first answers.
    for _ in 0..4 {
        lines.next().unwrap().unwrap();
    }
    kill(Pid::from_raw(ping.id().cast_signed()), Signal::SIGINT).unwrap();
    let last = lines.last().unwrap().unwrap();
    assert!(last.contains(" round trips: min "), "{last}");
    assert_eq!(ping.wait().unwrap().code(), Some(0));
}

#[test]
fn ping_of_a_missing_endpoint_ends_with_1() {
    let server = Server::start(&["--quiet"]);
    let finished = run(&["ping", &server.uri("nobody"), "-c", "1"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains("does not exist"), "{finished:?}");
}

#[test]
fn ping_without_a_proper_uri_ends_with_2_and_names_the_argument() {
    let finished = run(&["ping", "echo@127.0.0.1:7077"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("<URI>"), "{finished:?}");
    assert!(finished.stderr.contains("spark://NAME@HOST:PORT"), "{finished:?}");
}

#[test]
fn ping_of_an_address_where_nobody_listens_ends_with_3() {
    let address = nobody();
    let finished = run(&["ping", &format!("spark://echo@{address}")]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains(&address), "{finished:?}");
}

#[test]
fn ping_of_a_peer_that_never_answers_ends_with_3_within_its_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("spark://echo@{}", silent.local_addr().unwrap());
    let finished = run(&["ping", &uri, "--timeout", "0.2"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("--timeout"), "{finished:?}");
}

#[test]
fn a_time_limit_from_the_settings_counts_where_none_is_typed() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("spark://echo@{}", silent.local_addr().unwrap());
    let finished = run(&["ask", &uri, "--text", "x", "--conf", "spark.rpc.askTimeout=1s"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("spark.rpc.askTimeout"), "{finished:?}");
}

#[test]
fn echo_answers_with_the_text() {
    let server = Server::start(&["--quiet"]);
    let finished = run(&["ask", &server.uri("echo"), "--text", "grüß dich"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout, "grüß dich\n");
}

#[test]
fn sink_counts_what_was_sent_and_says_so_when_asked() {
    let server = Server::start(&["--quiet"]);
    for text in ["one", "two"] {
        let sent = run(&["send", &server.uri("sink"), "--text", text]);
        assert_eq!((sent.code, sent.stdout.as_str()), (Some(0), ""), "{sent:?}");
    }
    let finished = run(&["ask", &server.uri("sink"), "--text", "how many?"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    // Version, length of the name, "Text", length of the text, the text.
    assert_eq!(
        finished.stdout,
        format!("messages=2 bytes={}\n", 2 * (1 + 1 + 4 + 1 + 3))
    );
}

#[test]
fn java_objects_are_asked_and_answered_as_trees() {
    let server = Server::start(&["--quiet"]);
    for (typed, told) in [
        ("string:grüß dich", "\"grüß dich\"\n"),
        ("int:7", "7\n"),
        ("null", "null\n"),
        ("bytes:cafe", "2 bytes cafe\n"),
        ("case-object:a.b.Kill$", "Kill\n"),
    ] {
        let finished = run(&["ask", &server.uri("echo"), "--java", typed]);
        assert_eq!(
            (finished.code, finished.stdout.as_str()),
            (Some(0), told),
            "{finished:?}"
        );
    }
}

#[test]
fn bodies_in_json_are_answered_in_json() {
    let server = Server::start(&["--quiet"]);
    let body = r#"{"class": "org.apache.spark.deploy.DeployMessages$KillExecutor", "fields":
        {"masterUrl": "spark://h:7077", "appId": "app-1", "execId": 3}}"#;
    let finished = run(&["ask", &server.uri("echo"), "--json", body]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let [typed, told] =
        [body, &finished.stdout].map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
    assert_eq!(typed, told, "what is printed can be typed again");
}

#[test]
fn java_objects_are_sent() {
    let server = Server::start(&["--quiet"]);
    for body in [["--java", "string:x"], ["--json", "[1, 2]"]] {
        let sent = run(&["send", &server.uri("sink"), body[0], body[1]]);
        assert_eq!((sent.code, sent.stdout.as_str()), (Some(0), ""), "{sent:?}");
    }
    let finished = run(&["ask", &server.uri("sink"), "--text", "how many?"]);
    assert!(finished.stdout.starts_with("messages=2 "), "{finished:?}");
}

#[test]
fn a_body_that_makes_no_sense_is_named_and_nobody_is_asked() {
    let uri = format!("spark://echo@{}", nobody());
    for verb in ["ask", "send"] {
        for (body, named) in [
            (&["--java", "hello"][..], "--java"),
            (&["--java", "int:x"], "--java"),
            (&["--json", "{"], "--json"),
            (&["--json", r#"{"class": "a.B"}"#], "--json"),
            (&["--java", "null", "--text", "x"], "--text"),
            (&[], "--java"),
        ] {
            let finished = run(&[&[verb, &uri], body].concat());
            assert_eq!(finished.code, Some(2), "{body:?}: {finished:?}");
            assert!(finished.stderr.contains(named), "{body:?}: {finished:?}");
        }
    }
}

#[test]
fn asks_and_sends_tell_missing_endpoints_from_missing_servers() {
    let server = Server::start(&["--quiet"]);
    for verb in ["ask", "send"] {
        let missing = run(&[verb, &server.uri("nobody"), "--text", "x"]);
        assert_eq!(missing.code, Some(1), "{missing:?}");
        assert!(missing.stderr.contains("nobody"), "{missing:?}");
        let unreachable = run(&[verb, &format!("spark://echo@{}", nobody()), "--text", "x"]);
        assert_eq!(unreachable.code, Some(3), "{unreachable:?}");
        let usage = run(&[verb, &server.uri("echo")]);
        assert_eq!(usage.code, Some(2), "{usage:?}");
        assert!(usage.stderr.contains("--text"), "{usage:?}");
    }
}
