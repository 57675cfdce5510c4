use super::*;

type Asks = PendingAsks<&'static str, u32, &'static str>;

const SECOND: Duration = Duration::from_secs(1);

fn asks() -> (Asks, Instant) {
    let now = Instant::now();
    (PendingAsks::new(8, now), now)
}

fn expire(asks: &mut Asks, now: Instant) -> Vec<&'static str> {
    let mut woken = Vec::new();
    asks.expire(now, &mut woken);
    woken
}

fn fail_all(asks: &mut Asks, cause: &'static str) -> Vec<&'static str> {
    let mut woken = Vec::new();
    asks.fail_all(&cause, &mut woken);
    woken
}

// Replies and ids.

#[test]
fn a_reply_wakes_the_one_who_waits_and_is_taken_once() {
    let (mut asks, _) = asks();
    let a = asks.begin(None, Some("a")).unwrap().id;
    let b = asks.begin(None, Some("b")).unwrap().id;
    assert!(asks.is_waiting(a));
    assert_eq!(asks.complete(a, 1), Ok(Some("a")));
    assert!(!asks.is_waiting(a) && asks.is_waiting(b));
    assert_eq!(asks.waiting(), 1);
    assert_eq!(asks.poll(a, |_| unreachable!()), Some(Outcome::Reply(1)));
    assert_eq!(
        asks.poll(a, |_| unreachable!()),
        Some(Outcome::TimedOut),
        "taken before"
    );
}

#[test]
fn polling_early_remembers_the_latest_waker_and_shows_it_the_one_before() {
    let (mut asks, _) = asks();
    let id = asks.begin(None, None).unwrap().id;
    let first = asks.poll(id, |known| {
        assert_eq!(known, None);
        "first"
    });
    assert_eq!(first, None);
    let second = asks.poll(id, |known| {
        assert_eq!(known, Some("first"));
        "second"
    });
    assert_eq!(second, None);
    assert_eq!(asks.complete(id, 1), Ok(Some("second")));
}

#[test]
fn a_reply_before_anybody_polls_wakes_nobody_and_is_kept() {
    let (mut asks, _) = asks();
    let id = asks.begin(None, None).unwrap().id;
    assert_eq!(asks.complete(id, 1), Ok(None));
    assert!(!asks.is_empty(), "the outcome is not taken yet");
    assert_eq!(asks.waiting(), 0);
    assert_eq!(asks.poll(id, |_| unreachable!()), Some(Outcome::Reply(1)));
    assert!(asks.is_empty());
}

#[test]
fn a_second_reply_is_given_back() {
    let (mut asks, _) = asks();
    let id = asks.begin(None, None).unwrap().id;
    asks.complete(id, 1).unwrap();
    assert_eq!(asks.complete(id, 2), Err(2));
    assert_eq!(asks.poll(id, |_| unreachable!()), Some(Outcome::Reply(1)));
}

#[test]
fn a_late_reply_is_given_back() {
    let (mut asks, now) = asks();
    let first = asks.begin(Some(now + SECOND), Some("w")).unwrap();
    assert_eq!(expire(&mut asks, now + 2 * SECOND), ["w"]);
    assert_eq!(asks.complete(first.id, 7), Err(7));
    assert_eq!(asks.poll(first.id, |_| "w"), Some(Outcome::TimedOut));

    let second = asks.begin(None, None).unwrap();
    assert_eq!(second.id.slot(), first.id.slot(), "the slot is used again");
    assert_eq!(asks.complete(first.id, 7), Err(7), "under another id");
    assert_eq!(asks.complete(second.id, 8), Ok(None));
    assert_eq!(asks.poll(second.id, |_| "w"), Some(Outcome::Reply(8)));
    assert!(asks.is_empty());
}

#[test]
fn numbers_that_were_never_handed_out_are_unknown() {
    let (mut asks, _) = asks();
    let known = asks.begin(None, None).unwrap().id;
    let wire = known.to_wire();
    for number in [
        -1,
        i64::MIN,
        i64::MAX,
        wire + 1,
        wire | i64::MIN,
        wire + (1 << 32),
    ] {
        let id = AskId::from_wire(number);
        assert_eq!(asks.complete(id, 1), Err(1), "{number}");
        assert_eq!(asks.poll(id, |_| unreachable!()), Some(Outcome::TimedOut));
        assert!(!asks.cancel(id) && !asks.is_waiting(id));
    }
    assert_eq!(asks.complete(AskId::from_wire(wire), 1), Ok(None));
}

#[test]
fn ids_do_not_repeat_and_are_never_negative() {
    let (mut asks, _) = asks();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        let id = asks.begin(None, None).unwrap().id;
        assert!(id.to_wire() >= 0);
        assert!(seen.insert(id));
        asks.cancel(id);
    }
}

#[test]
fn generations_wrap_around_without_a_negative_id() {
    let (mut asks, _) = asks();
    let first = asks.begin(None, None).unwrap().id;
    asks.cancel(first);
    asks.slots[0].generation = GENERATIONS;
    let last = asks.begin(None, None).unwrap().id;
    assert_eq!(last.to_wire(), i64::from(GENERATIONS) << 32);
    asks.cancel(last);
    let wrapped = asks.begin(None, None).unwrap().id;
    assert_eq!(wrapped.to_wire(), first.to_wire());
    assert_eq!(asks.complete(last, 1), Err(1));
    assert_eq!(asks.complete(wrapped, 1), Ok(None));
}

#[test]
fn cancelling_forgets_a_request_in_whatever_state_it_is() {
    let (mut asks, now) = asks();
    let waiting = asks.begin(Some(now + SECOND), Some("w")).unwrap().id;
    let done = asks.begin(Some(now + SECOND), Some("d")).unwrap().id;
    asks.complete(done, 1).unwrap();
    for id in [waiting, done] {
        assert!(asks.cancel(id));
        assert!(!asks.cancel(id), "once");
        assert_eq!(asks.complete(id, 2), Err(2));
        assert_eq!(asks.poll(id, |_| unreachable!()), Some(Outcome::TimedOut));
    }
    assert!(asks.is_empty());
    assert_eq!((asks.waiting(), asks.timed), (0, 0));
    assert_eq!(expire(&mut asks, now + 2 * SECOND), [""; 0]);
}

#[test]
fn no_more_than_allowed_wait_at_once() {
    let mut asks: Asks = PendingAsks::new(2, Instant::now());
    let a = asks.begin(None, None).unwrap().id;
    asks.begin(None, None).unwrap();
    assert_eq!(asks.begin(None, None), Err(PendingError::TooMany { max: 2 }));
    asks.cancel(a);
    let c = asks.begin(None, None).unwrap().id;
    assert!(asks.begin(None, None).is_err());
    asks.complete(c, 1).unwrap();
    asks.begin(None, None).expect("an outcome does not wait");
    let mut closed_shop: Asks = PendingAsks::new(0, Instant::now());
    assert_eq!(
        closed_shop.begin(None, None),
        Err(PendingError::TooMany { max: 0 })
    );
}

// Failing together.

#[test]
fn failing_ends_those_who_wait_keeps_what_has_come_and_refuses_what_comes() {
    let (mut asks, now) = asks();
    let a = asks.begin(Some(now + SECOND), Some("a")).unwrap().id;
    let b = asks.begin(None, None).unwrap().id;
    let c = asks.begin(None, Some("c")).unwrap().id;
    asks.complete(c, 3).unwrap();
    assert_eq!(
        fail_all(&mut asks, "closed"),
        ["a"],
        "nobody to wake for the others"
    );
    assert_eq!(asks.begin(None, None), Err(PendingError::Closed("closed")));
    assert_eq!(asks.complete(a, 1), Err(1));
    assert_eq!(
        expire(&mut asks, now + 2 * SECOND),
        [""; 0],
        "it has failed already"
    );
    assert_eq!(asks.next_deadline(), None);
    assert_eq!(asks.waiting(), 0);
    assert_eq!(asks.poll(a, |_| unreachable!()), Some(Outcome::Failed("closed")));
    assert_eq!(asks.poll(b, |_| unreachable!()), Some(Outcome::Failed("closed")));
    assert_eq!(asks.poll(c, |_| unreachable!()), Some(Outcome::Reply(3)));
    assert!(asks.is_empty());
}

#[test]
fn the_first_cause_stays() {
    let (mut asks, _) = asks();
    assert_eq!(fail_all(&mut asks, "reset"), [""; 0]);
    assert_eq!(fail_all(&mut asks, "closed"), [""; 0]);
    assert_eq!(asks.begin(None, None), Err(PendingError::Closed("reset")));
}

// Time.

#[test]
fn nothing_times_out_before_its_deadline_and_everything_within_a_tick_after() {
    let (mut asks, now) = asks();
    for nanos in [1, 3_999_999, 4_000_000, 4_000_001, 1_000_000_007] {
        let deadline = now + Duration::from_nanos(nanos);
        let id = asks.begin(Some(deadline), Some("w")).unwrap().id;
        assert_eq!(
            expire(&mut asks, deadline - Duration::from_nanos(1)),
            [""; 0],
            "{nanos}"
        );
        assert_eq!(expire(&mut asks, deadline + TICK), ["w"], "{nanos}");
        asks.poll(id, |_| unreachable!());
        asks = PendingAsks::new(8, now);
    }
}

#[test]
fn requests_without_a_deadline_need_no_timer_and_never_time_out() {
    let (mut asks, now) = asks();
    let begun = asks.begin(None, Some("w")).unwrap();
    assert!(!begun.rearm);
    assert_eq!(asks.next_deadline(), None);
    assert_eq!(expire(&mut asks, now + 1_000_000 * SECOND), [""; 0]);
    assert!(asks.is_waiting(begun.id));
}

#[test]
fn a_deadline_in_the_past_or_before_the_epoch_ends_with_the_next_tick() {
    let start = Instant::now();
    let mut asks: Asks = PendingAsks::new(8, start + SECOND);
    asks.begin(Some(start), Some("before the epoch")).unwrap();
    assert_eq!(
        expire(&mut asks, start),
        [""; 0],
        "time before the epoch is no time"
    );
    assert_eq!(expire(&mut asks, start + SECOND + TICK), ["before the epoch"]);

    let now = start + 10 * SECOND;
    assert_eq!(expire(&mut asks, now), [""; 0]);
    let late = asks.begin(Some(now - SECOND), Some("late")).unwrap();
    assert!(late.rearm);
    assert!(asks.next_deadline().unwrap() <= now + TICK);
    assert_eq!(expire(&mut asks, now + TICK), ["late"]);
}

#[test]
fn time_that_stands_still_or_goes_back_ends_nothing_twice() {
    let (mut asks, now) = asks();
    asks.begin(Some(now + SECOND), Some("a")).unwrap();
    asks.begin(Some(now + 3 * SECOND), Some("b")).unwrap();
    assert_eq!(expire(&mut asks, now + 2 * SECOND), ["a"]);
    assert_eq!(expire(&mut asks, now + 2 * SECOND), [""; 0]);
    assert_eq!(expire(&mut asks, now), [""; 0]);
    assert_eq!(expire(&mut asks, now + 3 * SECOND), ["b"]);
}

#[test]
fn a_gap_of_many_rounds_misses_nothing() {
    let (mut asks, now) = asks();
    let round = TICK * BUCKETS as u32;
    for (rounds, waker) in [(0, "a"), (1, "b"), (2, "c"), (30, "d")] {
        asks.begin(Some(now + round * rounds + 7 * TICK), Some(waker))
            .unwrap();
    }
    let mut woken = expire(&mut asks, now + round * 20);
    woken.sort_unstable();
    assert_eq!(woken, ["a", "b", "c"]);
    assert_eq!(expire(&mut asks, now + round * 1_000), ["d"]);
}

#[test]
fn a_gap_of_more_than_a_round_visits_every_bucket_once() {
    let now = Instant::now();
    let mut asks: PendingAsks<u64, u32, ()> = PendingAsks::new(usize::MAX, now);
    for tick in 1..=BUCKETS {
        asks.begin(Some(now + TICK * tick as u32), Some(tick)).unwrap();
    }
    let mut woken = Vec::new();
    asks.expire(now + 3 * TICK * BUCKETS as u32, &mut woken);
    woken.sort_unstable();
    assert!(woken.into_iter().eq(1..=BUCKETS));
    assert_eq!(asks.next_deadline(), None);
}

#[test]
fn neighbours_in_one_bucket_end_and_leave_independently() {
    let (mut asks, now) = asks();
    let round = TICK * BUCKETS as u32;
    let ids: Vec<AskId> = ["a", "b", "c", "d", "e"]
        .into_iter()
        .zip([0, 1, 0, 1, 0])
        .map(|(waker, rounds)| {
            asks.begin(Some(now + SECOND + round * rounds), Some(waker))
                .unwrap()
                .id
        })
        .collect();
    asks.cancel(ids[2]);
    asks.complete(ids[3], 4).unwrap();
    assert_eq!(expire(&mut asks, now + SECOND), ["e", "a"]);
    asks.cancel(ids[4]);
    assert_eq!(expire(&mut asks, now + SECOND + round), ["b"]);
    assert_eq!(asks.timed, 0);
}

#[test]
fn deadlines_far_beyond_one_round_of_the_wheel_are_kept() {
    let (mut asks, now) = asks();
    let far = asks.begin(Some(now + 120 * SECOND), Some("far")).unwrap();
    let mut woken = Vec::new();
    let mut looks = 0;
    while let Some(next) = asks.next_deadline() {
        asks.expire(next, &mut woken);
        looks += 1;
        if !woken.is_empty() {
            assert!(next >= now + 120 * SECOND);
            assert!(next <= now + 120 * SECOND + TICK);
        }
    }
    assert_eq!(woken, ["far"]);
    assert!(looks < 130, "one look for each round, {looks} made");
    assert_eq!(asks.poll(far.id, |_| "w"), Some(Outcome::TimedOut));
}

#[test]
fn a_table_that_lives_for_years_still_looks_ahead_and_not_back() {
    let (mut asks, start) = asks();
    // Past 2^32 ticks, which is about 199 days.
    let now = start + Duration::from_secs(10 * 365 * 86_400);
    assert_eq!(expire(&mut asks, now), [""; 0]);
    asks.begin(Some(now + SECOND), Some("w")).unwrap();
    let next = asks.next_deadline().unwrap();
    assert!(next >= now + SECOND && next <= now + SECOND + TICK);
    assert_eq!(expire(&mut asks, next), ["w"]);
}

#[test]
fn a_deadline_years_away_is_kept_and_does_not_panic() {
    let (mut asks, now) = asks();
    let years = Duration::from_secs(10 * 365 * 86_400);
    asks.begin(Some(now + years), Some("w")).unwrap();
    let next = asks.next_deadline().unwrap();
    assert!(next > now && next <= now + TICK * BUCKETS as u32);
    assert_eq!(expire(&mut asks, now + years - TICK), [""; 0]);
    assert_eq!(asks.next_deadline().unwrap(), now + years);
    assert_eq!(expire(&mut asks, now + years), ["w"]);
}

#[test]
fn the_end_of_time_neither_panics_nor_comes() {
    let (mut asks, now) = asks();
    let end = (0..=63).rev().fold(now, |end, bit| {
        end.checked_add(Duration::from_secs(1 << bit)).unwrap_or(end)
    });
    let id = asks.begin(Some(end), Some("end")).unwrap().id;
    assert!(asks.next_deadline().is_some());
    assert_eq!(expire(&mut asks, end), [""; 0], "no clock gets there");
    asks.next_deadline();
    assert!(asks.is_waiting(id));

    asks.begin(Some(now + SECOND), Some("late")).unwrap();
    assert_eq!(expire(&mut asks, end), [""; 0]);
    assert!(asks.cancel(id));
    assert_eq!(fail_all(&mut asks, "closed"), ["late"]);
}

#[test]
fn only_a_deadline_before_the_armed_one_asks_for_the_timer() {
    let (mut asks, now) = asks();
    // All of it within one round of the wheel, so that each deadline is named exactly.
    let step = SECOND / 10;
    assert!(
        asks.begin(Some(now + 2 * step), None).unwrap().rearm,
        "no timer is set yet"
    );
    assert!(
        asks.begin(Some(now + 3 * step), None).unwrap().rearm,
        "until the owner has asked for when"
    );
    assert_eq!(asks.next_deadline(), Some(now + 2 * step));
    assert!(!asks.begin(Some(now + 2 * step), None).unwrap().rearm);
    assert!(!asks.begin(Some(now + 4 * step), None).unwrap().rearm);
    assert!(asks.begin(Some(now + step), None).unwrap().rearm);
    assert_eq!(asks.next_deadline(), Some(now + step));

    expire(&mut asks, now + step);
    assert!(
        asks.begin(Some(now + 4 * step), None).unwrap().rearm,
        "the timer has fired"
    );
}

#[test]
fn a_timer_whose_request_is_gone_fires_for_nothing_and_then_rests() {
    let (mut asks, now) = asks();
    let id = asks.begin(Some(now + SECOND), None).unwrap().id;
    asks.next_deadline();
    asks.cancel(id);
    assert!(
        !asks.begin(Some(now + 2 * SECOND), Some("w")).unwrap().rearm,
        "the armed timer comes first anyway"
    );
    assert_eq!(expire(&mut asks, now + SECOND), [""; 0]);
    assert_eq!(asks.next_deadline(), Some(now + 2 * SECOND));
    assert_eq!(expire(&mut asks, now + 2 * SECOND), ["w"]);
    assert_eq!(asks.next_deadline(), None);
}

#[test]
fn a_burst_leaves_no_memory_behind_and_its_ids_stay_unknown() {
    let mut asks = Asks::new(usize::MAX, Instant::now());
    let burst = |asks: &mut Asks| -> Vec<AskId> {
        let begun = (0..2 * SLOTS_KEPT).map(|_| asks.begin(None, None).unwrap().id);
        begun.collect()
    };
    let old = burst(&mut asks);
    let (last, others) = old.split_last().unwrap();
    for id in others {
        assert!(asks.cancel(*id));
    }
    assert_eq!(asks.slots.len(), old.len(), "one is still held");
    asks.complete(*last, 1).unwrap();
    assert_eq!(asks.poll(*last, |_| unreachable!()), Some(Outcome::Reply(1)));
    assert_eq!(asks.slots.capacity(), 0);

    let new = burst(&mut asks);
    for id in old {
        assert_eq!(asks.complete(id, 2), Err(2), "a late reply");
    }
    assert_eq!(asks.waiting(), new.len());
}
