use super::*;

const WINDOW: Duration = Duration::from_millis(4_750);

fn pool(slots: usize) -> (ClientPool<u32>, Instant) {
    (ClientPool::new(slots, WINDOW), Instant::now())
}

/// FACTORY-01
#[test]
fn a_pool_never_makes_more_connections_than_it_has_slots() {
    for slots in 1..=4 {
        let (mut pool, now) = pool(slots);
        assert_eq!(pool.held().count(), 0);
        let mut made = 0;
        for call in 0..10 * slots {
            // Every slot is asked in turn, and in between out of turn, as random picks would.
            for slot in [call % slots, (call * 7 + 3) % slots] {
                match pool.pick(slot, false, now) {
                    Pick::Connect => {
                        pool.connected(slot, made);
                        made += 1;
                    }
                    Pick::Reuse(client) => assert!(client < made),
                    other => panic!("nobody else is at it, yet {other:?}"),
                }
            }
        }
        assert_eq!(made as usize, slots);
        assert_eq!(pool.held().count(), slots);
    }
}

/// FACTORY-01, from many callers at once
#[test]
fn while_one_caller_connects_a_slot_the_others_wait_and_then_share() {
    let (mut pool, now) = pool(2);
    assert_eq!(pool.pick(0, false, now), Pick::Connect);
    for _ in 0..20 {
        assert_eq!(pool.pick(0, false, now), Pick::Wait);
    }
    assert_eq!(pool.pick(1, false, now), Pick::Connect, "slots are independent");
    pool.connected(0, 7);
    for _ in 0..20 {
        assert_eq!(pool.pick(0, false, now), Pick::Reuse(7));
        assert_eq!(pool.pick(1, false, now), Pick::Wait);
    }
}

#[test]
fn a_failed_attempt_lets_the_next_caller_try() {
    let (mut pool, now) = pool(1);
    assert_eq!(pool.pick(0, false, now), Pick::Connect);
    pool.failed(0, true, now);
    assert_eq!(pool.pick(0, false, now), Pick::Connect);
}

/// FACTORY-03
#[test]
fn a_dead_connection_is_discarded_and_replaced() {
    let (mut pool, now) = pool(1);
    pool.pick(0, false, now);
    pool.connected(0, 1);
    pool.discard(0, |client| *client == 1);
    assert_eq!(pool.pick(0, false, now), Pick::Connect);
    pool.connected(0, 2);
    assert_eq!(pool.pick(0, false, now), Pick::Reuse(2));
}

#[test]
fn discarding_late_spares_the_successor_and_the_attempt() {
    let (mut pool, now) = pool(1);
    pool.discard(0, |_| unreachable!("an empty slot holds nothing to recognise"));
    pool.pick(0, false, now);
    pool.discard(0, |_| unreachable!("nor does one that is being filled"));
    assert_eq!(pool.pick(0, false, now), Pick::Wait);

    pool.connected(0, 2);
    pool.discard(0, |client| *client == 1);
    assert_eq!(pool.pick(0, false, now), Pick::Reuse(2));
}

/// FACTORY-07
#[test]
fn after_a_network_failure_those_who_ask_for_it_fail_at_once_within_the_window() {
    let (mut pool, start) = pool(2);
    assert_eq!(pool.pick(0, true, start), Pick::Connect, "nothing has failed yet");
    pool.failed(0, true, start);

    let within = start + WINDOW - Duration::from_millis(1);
    for slot in [0, 1] {
        assert_eq!(
            pool.pick(slot, true, within),
            Pick::FailFast {
                since: WINDOW - Duration::from_millis(1),
                window: WINDOW
            },
            "the window is the pool's, not the slot's"
        );
    }
    assert_eq!(
        pool.pick(1, false, within),
        Pick::Connect,
        "others do not fail fast"
    );
    assert_eq!(
        pool.pick(0, true, start + WINDOW),
        Pick::Connect,
        "the window is over"
    );
}

/// FACTORY-07
#[test]
fn failing_fast_leaves_connections_and_attempts_alone() {
    let (mut pool, now) = pool(3);
    pool.pick(0, false, now);
    pool.connected(0, 1);
    pool.pick(1, false, now);
    pool.pick(2, false, now);
    pool.failed(2, true, now);
    assert_eq!(pool.pick(0, true, now), Pick::Reuse(1));
    assert_eq!(pool.pick(1, true, now), Pick::Wait);
    assert!(matches!(pool.pick(2, true, now), Pick::FailFast { .. }));
}

/// FACTORY-07
#[test]
fn each_failure_opens_the_window_anew_and_a_success_shuts_it() {
    let (mut pool, start) = pool(2);
    pool.failed(0, true, start);
    let later = start + WINDOW;
    pool.failed(0, true, later);
    assert!(matches!(
        pool.pick(0, true, later + WINDOW / 2),
        Pick::FailFast { .. }
    ));
    pool.connected(1, 1);
    assert_eq!(pool.pick(0, true, later + WINDOW / 2), Pick::Connect);
}

/// FACTORY-07
#[test]
fn a_failed_bootstrap_does_not_open_the_window() {
    let (mut pool, now) = pool(1);
    pool.pick(0, true, now);
    pool.failed(0, false, now);
    assert_eq!(pool.pick(0, true, now), Pick::Connect);
}

#[test]
fn a_look_from_before_the_failure_counts_as_within_the_window() {
    let (mut pool, start) = pool(1);
    pool.failed(0, true, start + WINDOW);
    assert_eq!(
        pool.pick(0, true, start),
        Pick::FailFast {
            since: Duration::ZERO,
            window: WINDOW
        }
    );
}

#[test]
fn a_window_of_nothing_never_fails_fast_and_an_endless_one_always() {
    let now = Instant::now();
    let mut never = ClientPool::<u32>::new(1, Duration::ZERO);
    never.failed(0, true, now);
    assert_eq!(never.pick(0, true, now), Pick::Connect);

    let mut always = ClientPool::<u32>::new(1, Duration::MAX);
    always.failed(0, true, now);
    let years = now + Duration::from_secs(10 * 365 * 86_400);
    assert!(matches!(always.pick(0, true, years), Pick::FailFast { .. }));
}

/// FACTORY-04
#[test]
fn draining_gives_out_every_connection_once() {
    let (mut pool, now) = pool(4);
    for slot in [0, 2] {
        pool.pick(slot, false, now);
        pool.connected(slot, slot as u32);
    }
    assert_eq!(pool.drain(), [0, 2]);
    assert_eq!(pool.drain(), []);
    assert_eq!(pool.pick(0, false, now), Pick::Connect);
}

#[test]
fn draining_does_not_let_a_second_attempt_begin_beside_the_first() {
    let (mut pool, now) = pool(1);
    assert_eq!(pool.pick(0, false, now), Pick::Connect);
    assert_eq!(pool.drain(), []);
    assert_eq!(pool.pick(0, false, now), Pick::Wait);
    pool.connected(0, 1);
    assert_eq!(pool.drain(), [1], "its connection is not lost either");
}

#[test]
#[should_panic(expected = "a pool without slots")]
fn a_pool_without_slots_is_a_mistake() {
    let _ = ClientPool::<u32>::new(0, WINDOW);
}

#[test]
#[should_panic(expected = "index out of bounds")]
fn picking_a_slot_that_does_not_exist_is_a_mistake() {
    let (mut pool, now) = pool(2);
    pool.pick(2, false, now);
}
