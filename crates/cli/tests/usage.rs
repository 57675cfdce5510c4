//! What the command says about itself, and about arguments that make no sense.

mod command;

use command::run;

#[test]
fn help_has_examples_and_the_exit_codes() {
    let finished = run(&["--help"]);
    assert_eq!(finished.code, Some(0));
    for word in ["Examples:", "Exit codes:", "unreachable"] {
        assert!(finished.stdout.contains(word), "{word}: {}", finished.stdout);
    }
    for verb in [
        "demo", "serve", "ping", "ask", "send", "get", "doctor", "status", "bench", "decode", "tap",
    ] {
        let finished = run(&[verb, "--help"]);
        assert_eq!(finished.code, Some(0), "{verb}");
        assert!(
            finished.stdout.contains("Examples:"),
            "{verb}: {}",
            finished.stdout
        );
        assert!(
            finished.stdout.contains("Exit codes:"),
            "{verb}: {}",
            finished.stdout
        );
    }
}

#[test]
fn bad_arguments_are_named_and_end_with_2() {
    let ping = ["ping", "spark://echo@127.0.0.1:1024"];
    let bad: [(&[&str], &str); 14] = [
        (&["--frob"], "--frob"),
        (&["--log", "loud", "serve"], "--log"),
        (&["serve", "--bind", "a b"], "--bind"),
        (&["serve", "--conf", "novalue"], "--conf"),
        (
            &["serve", "--properties-file", "/nowhere/spark.conf"],
            "--properties-file",
        ),
        (&[ping[0], ping[1], "-c", "0"], "--count"),
        (&[ping[0], ping[1], "--timeout", "0"], "--timeout"),
        (&[ping[0], ping[1], "--timeout", "-1"], "--timeout"),
        (&[ping[0], ping[1], "-i", "-1"], "--interval"),
        (&[ping[0], ping[1], "--tls-ca", "/nowhere.pem"], "--tls-ca"),
        (&["serve", "--tls-ca", "/nowhere.pem"], "--tls-cert"),
        (
            &["serve", "--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key"],
            "--tls-cert",
        ),
        (&["serve", "--files", "data="], "NAME=DIR"),
        (&["serve", "--cpu", "1000000"], "--cpu"),
    ];
    for (args, named) in bad {
        let finished = run(args);
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        assert!(finished.stderr.contains(named), "{args:?}: {finished:?}");
    }
}

#[test]
fn a_key_with_a_typing_error_is_told_with_the_right_one() {
    let finished = run(&[
        "ping",
        "spark://echo@127.0.0.1:1",
        "--conf",
        "spark.rpc.askTimeuot=1s",
    ]);
    assert!(
        finished.stderr.contains("did you mean spark.rpc.askTimeout?"),
        "{finished:?}"
    );
}

#[test]
fn a_key_that_means_nothing_is_told_once() {
    let conf = ["--conf", "spark.rpc.nothing=1", "--stop-with-stdin"];
    for log in [&[][..], &["--log", "error"]] {
        let finished = run(&[&["serve"], log, &conf].concat());
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let told = finished.stderr.matches("spark.rpc.nothing").count();
        assert_eq!(told, 1, "{log:?}: {}", finished.stderr);
    }
}

#[test]
fn a_text_may_be_a_negative_number() {
    let finished = run(&[
        "ask",
        &format!("spark://echo@{}", command::nobody()),
        "--text",
        "-5",
    ]);
    assert_eq!(finished.code, Some(3), "it is asked: {finished:?}");
}

#[test]
fn help_fits_a_terminal() {
    for verb in [
        "",
        "demo",
        "serve",
        "ping",
        "ask",
        "send",
        "get",
        "doctor",
        "status",
        "bench",
        "decode",
        "tap",
        "completions",
    ] {
        let finished = run(&[&[verb][usize::from(verb.is_empty())..], &["--help"]].concat());
        assert_eq!(finished.code, Some(0), "{verb}");
        let long = finished.stdout.lines().find(|line| line.chars().count() > 120);
        assert_eq!(long, None, "{verb}");
    }
}

#[test]
fn no_colours_where_there_is_no_terminal() {
    for args in [&["--help"][..], &["ping"], &["frob"]] {
        let finished = run(args);
        assert!(
            !finished.stdout.contains('\x1b') && !finished.stderr.contains('\x1b'),
            "{finished:?}"
        );
    }
}

#[test]
fn there_are_completions_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let finished = run(&["completions", shell]);
        assert_eq!(finished.code, Some(0), "{shell}");
        assert!(finished.stdout.contains("spark-rpc"), "{shell}");
        assert!(finished.stdout.contains("ping"), "{shell}");
        assert!(
            !finished.stdout.contains("demo-server"),
            "{shell}: a process of the demo is no command for people"
        );
    }
    assert_eq!(run(&["completions", "dos"]).code, Some(2));
}
