use super::*;

const TIMEOUT: Duration = Duration::from_secs(2);

fn at(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

#[test]
fn silence_with_a_request_outstanding_means_death_at_the_timeout_and_not_before() {
    let start = Instant::now();
    let watch = IdleWatch::new(Some(TIMEOUT), false, start);
    assert_eq!(
        watch.check(at(start, 1_999), 1),
        IdleVerdict::LookAgain(start + TIMEOUT)
    );
    assert_eq!(
        watch.check(at(start, 2_000), 1),
        IdleVerdict::Dead { quiet: TIMEOUT }
    );
    assert_eq!(
        watch.check(at(start, 5_000), 3),
        IdleVerdict::Dead {
            quiet: Duration::from_secs(5)
        }
    );
}

/// FACTORY-05
#[test]
fn an_idle_connection_is_closed_without_any_request_where_the_context_wants_that() {
    let start = Instant::now();
    let watch = IdleWatch::new(Some(Duration::from_secs(1)), true, start);
    let IdleVerdict::LookAgain(then) = watch.check(start, 0) else {
        panic!("watched from the start")
    };
    assert_eq!(then, at(start, 1_000));
    assert_eq!(
        watch.check(then, 0),
        IdleVerdict::CloseIdle {
            quiet: Duration::from_secs(1)
        }
    );
}

#[test]
fn an_idle_connection_lives_for_ever_where_the_context_does_not_close_them() {
    let start = Instant::now();
    let mut watch = IdleWatch::new(Some(TIMEOUT), false, start);
    assert_eq!(watch.check(at(start, 1_000_000), 0), IdleVerdict::NotWatched);

    watch.request(at(start, 1_000_000));
    assert_eq!(
        watch.check(at(start, 1_000_000), 1),
        IdleVerdict::LookAgain(at(start, 1_002_000)),
        "the silence before the request does not count"
    );
}

/// TIMEOUT-03
#[test]
fn the_timeout_is_relative_to_the_last_request_sent() {
    let start = Instant::now();
    let mut watch = IdleWatch::new(Some(TIMEOUT), false, start);
    watch.request(start);
    assert_eq!(
        watch.check(at(start, 1_200), 1),
        IdleVerdict::LookAgain(at(start, 2_000))
    );
    watch.request(at(start, 1_200));

    // When the first has waited for longer than the timeout, both still live.
    assert_eq!(
        watch.check(at(start, 2_400), 2),
        IdleVerdict::LookAgain(at(start, 3_200))
    );
    // Then one verdict ends both.
    assert_eq!(
        watch.check(at(start, 3_200), 2),
        IdleVerdict::Dead { quiet: TIMEOUT }
    );
}

#[test]
fn traffic_in_either_direction_postpones_the_verdict() {
    let start = Instant::now();
    let mut watch = IdleWatch::new(Some(TIMEOUT), true, start);
    watch.request(start);
    watch.traffic(at(start, 1_500));
    for outstanding in [0, 1] {
        assert_eq!(
            watch.check(at(start, 2_500), outstanding),
            IdleVerdict::LookAgain(at(start, 3_500))
        );
    }
}

#[test]
fn notes_that_arrive_out_of_order_do_not_turn_time_back() {
    let start = Instant::now();
    let mut watch = IdleWatch::new(Some(TIMEOUT), false, start);
    watch.traffic(at(start, 900));
    watch.traffic(at(start, 100));
    assert_eq!(
        watch.check(start, 1),
        IdleVerdict::LookAgain(at(start, 2_900)),
        "also when the look itself is late"
    );
    watch.request(at(start, 1_900));
    watch.request(at(start, 200));
    assert_eq!(
        watch.check(at(start, 1_900), 1),
        IdleVerdict::LookAgain(at(start, 3_900))
    );
}

#[test]
fn a_connection_without_time_limit_is_never_judged() {
    let start = Instant::now();
    let watch = IdleWatch::new(None, true, start);
    for outstanding in [0, 1] {
        assert_eq!(
            watch.check(at(start, 1_000_000_000), outstanding),
            IdleVerdict::NotWatched
        );
    }
}

#[test]
fn a_limit_past_the_end_of_time_is_no_limit() {
    let start = Instant::now();
    let watch = IdleWatch::new(Some(Duration::MAX), true, start);
    assert_eq!(watch.check(start, 1), IdleVerdict::NotWatched);
    assert_eq!(watch.check(at(start, 1_000), 0), IdleVerdict::NotWatched);
}
