use super::*;

type Asks = PendingAsks<&'static str, u32, &'static str>;

fn asks() -> (Asks, Instant) {
    let now = Instant::now();
    (PendingAsks::new(8, now), now)
}

#[test]
fn a_late_reply_is_given_back() {
    let (mut asks, now) = asks();
    let first = asks.begin(Some(now + Duration::from_secs(1)), Some("w")).unwrap();
    let mut woken = Vec::new();
    asks.expire(now + Duration::from_secs(2), &mut woken);
    assert_eq!(woken, ["w"]);
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
fn deadlines_far_beyond_one_round_of_the_wheel_are_kept() {
    let (mut asks, now) = asks();
    let far = asks
        .begin(Some(now + Duration::from_secs(120)), Some("far"))
        .unwrap();
    let mut woken = Vec::new();
    let mut looks = 0;
    while let Some(next) = asks.next_deadline() {
        asks.expire(next, &mut woken);
        looks += 1;
        if !woken.is_empty() {
            assert!(next >= now + Duration::from_secs(120));
            assert!(next <= now + Duration::from_secs(120) + TICK);
        }
    }
    assert_eq!(woken, ["far"]);
    assert!(looks < 60, "one look for each round, {looks} made");
    assert_eq!(asks.poll(far.id, |_| "w"), Some(Outcome::TimedOut));
}
