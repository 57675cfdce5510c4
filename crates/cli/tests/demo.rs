//! `spark-rpc demo`.

mod command;

use command::run;

#[test]
fn every_step_of_the_demo_does_what_it_should() {
    let finished = run(&["demo"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let (good, bad) = (
        finished.stdout.matches('✓').count(),
        finished.stdout.matches('✗').count(),
    );
    assert_eq!((good, bad), (14, 0), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("all 14 steps did what they should"),
        "{}",
        finished.stdout
    );
}

/// The processes are told by their standard input, which ends when the demo dies.
#[test]
fn processes_of_the_demo_end_with_their_standard_input() {
    let server = run(&["demo-server"]);
    assert_eq!(server.code, Some(0), "{server:?}");
    let client = run(&["demo-client", "--server", &command::nobody()]);
    assert_eq!(client.code, Some(0), "{client:?}");
}
