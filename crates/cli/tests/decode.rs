//! `spark-rpc decode`.

mod command;

use std::io::Write;
use std::process::Stdio;

use command::{Finished, command, run};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../inspect/tests/golden");

fn golden(name: &str) -> String {
    format!("{GOLDEN}/{name}.hex")
}

fn with_input(args: &[&str], input: &[u8]) -> Finished {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Finished {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test]
fn a_recorded_direction_is_told_frame_by_frame() {
    let finished = run(&["decode", &golden("3.5.9-ref-client-mode-server")]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for text in [
        "at 0: RpcResponse 8593353680255513431, 68 bytes: Boolean",
        "at 68: OneWayMessage, 58 bytes: String to cb",
        "callback:with-ref",
        "CarryRef",
    ] {
        assert!(finished.stdout.contains(text), "{text}: {}", finished.stdout);
    }
}

#[test]
fn json_is_an_object_a_line_and_the_filter_leaves_out_the_others() {
    let file = golden("3.5.9-ref-client-mode-client");
    let finished = run(&["decode", &file, "--json", "--filter", "endpoint=lab"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout.lines().count(), 1, "{finished:?}");
    let json: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(json["content"]["value"]["fields"]["note"], "with-ref");

    let finished = run(&["decode", &file, "--brief", "--filter", "class=CheckExistence"]);
    assert_eq!(finished.stdout.lines().count(), 1, "{finished:?}");
    assert!(finished.stderr.contains("1 frame "), "{finished:?}");
}

#[test]
fn bytes_and_digits_are_read_from_standard_input() {
    for (args, input) in [
        (&["decode", "-"][..], &b"\xac\xed\0\x05t\0\x05hello"[..]),
        (&["decode", "-"], b"aced 0005 7400\n0568656c6c6f\n"),
        (&["decode", "-", "--hex"], b"aced0005740005 68656c6c6f"),
    ] {
        let finished = with_input(args, input);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(finished.stdout.contains("\"hello\""), "{finished:?}");
    }
}

#[test]
fn bytes_that_make_no_sense_end_with_1_and_the_place() {
    for (input, told) in [
        (&b""[..], "there is nothing"),
        (b"\xac\xed\0\x05\x01", "at 4:"),
        (b"GET / HTTP/1.1\r\n", "HTTP/1"),
        (b"\0\0\0\0\0\0\0\x0b\x0dxx", "at 8: unknown message type 13"),
        (b"0a 0b 0c 0d 0x", "at 13: no hexadecimal digit"),
        (b"0a 0", "half a byte"),
    ] {
        let finished = with_input(&["decode", "-"], input);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        let all = finished.stdout + &finished.stderr;
        assert!(all.contains(told), "{told}: {all}");
    }
}

#[test]
fn arguments_that_make_no_sense_end_with_2_and_are_named() {
    let file = golden("3.5.9-ref-client-mode-client");
    for (args, named) in [
        (&["decode"][..], "<FILE>"),
        (&["decode", "/nowhere/at/all"], "/nowhere/at/all"),
        (&["decode", &file, "--filter", "type=Frob"], "--filter"),
        (&["decode", &file, "--json", "--brief"], "--brief"),
    ] {
        let finished = run(args);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains(named), "{named}: {finished:?}");
    }
}
