use super::*;

const SMALL: Bounds = Bounds {
    max_items: 2,
    max_bytes: 10,
};

fn load(items: usize, bytes: usize) -> Load {
    Load { items, bytes }
}

#[test]
fn what_fits_exactly_is_admitted() {
    assert_eq!(SMALL.admit(load(0, 0), 10), Ok(()));
    assert_eq!(SMALL.admit(load(1, 4), 6), Ok(()));
}

#[test]
fn one_item_or_one_byte_too_many_is_refused_with_the_facts() {
    for (held, bytes) in [(load(2, 2), 1), (load(1, 4), 7), (load(1, 10), 1)] {
        let full = SMALL.admit(held, bytes).unwrap_err();
        assert_eq!(
            full,
            Full {
                load: held,
                bounds: SMALL
            }
        );
    }
}

#[test]
fn an_oversized_item_is_admitted_only_when_nothing_else_waits() {
    assert_eq!(SMALL.admit(load(0, 0), 1_000), Ok(()));
    assert!(SMALL.admit(load(1, 0), 11).is_err());
    assert!(
        SMALL.admit(load(1, 1_000), 0).is_err(),
        "behind the oversized one even nothing fits"
    );
}

#[test]
fn a_bound_of_no_items_admits_nothing() {
    let none = Bounds {
        max_items: 0,
        max_bytes: usize::MAX,
    };
    assert!(none.admit(load(0, 0), 0).is_err());
}

#[test]
fn sums_beyond_the_range_of_usize_are_refused_and_do_not_panic() {
    let bounds = Bounds {
        max_items: 9,
        max_bytes: usize::MAX - 1,
    };
    assert!(bounds.admit(load(1, usize::MAX - 1), usize::MAX).is_err());
}

#[test]
fn an_account_stays_exact_beyond_the_range_of_usize() {
    let mut account = Load::default();
    let first = account.add(usize::MAX - 1);
    let second = account.add(5);
    assert_eq!((first, second), (usize::MAX - 1, 1));
    account.remove(1, first);
    assert_eq!(account, load(1, 1));
    account.remove(1, second);
    assert_eq!(account, Load::default());
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "more removed than added"))]
fn removing_more_than_was_added_panics_in_debug_builds_and_else_stops_at_zero() {
    let mut account = load(1, 1);
    account.remove(2, 2);
    assert_eq!(account, Load::default());
}

#[test]
fn full_says_which_bound_was_reached() {
    let by_count = SMALL.admit(load(2, 3), 1).unwrap_err();
    assert_eq!(by_count.to_string(), "full: 2 items of at most 2");
    let by_bytes = SMALL.admit(load(1, 9), 2).unwrap_err();
    assert_eq!(by_bytes.to_string(), "full: 9 bytes of at most 10");
}
