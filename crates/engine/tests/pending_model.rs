//! Any sequence of operations leaves the table of pending asks where a map with exact deadlines stands.

#[path = "models/pending.rs"]
mod model;

use proptest::collection::vec;
use proptest::prelude::*;

use model::{Op, check};

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = any::<(u8, u8, u32)>().prop_map(|(kind, small, large)| Op::new(kind, small, large));
    vec(op, 0..400)
}

proptest! {
    #[test]
    fn the_table_behaves_like_a_map_with_exact_deadlines(max in 0_usize..60, ops in ops()) {
        check(max, ops);
    }

    #[test]
    fn a_table_that_stays_open_wakes_everybody_once_and_in_time(ops in ops()) {
        check(usize::MAX, ops.into_iter().filter(|op| !matches!(op, Op::FailAll)));
    }

    #[test]
    fn a_driver_that_looks_only_when_told_to_misses_no_deadline(ops in ops()) {
        let told = |op: &Op| !matches!(op, Op::FailAll | Op::Expire);
        check(usize::MAX, ops.into_iter().filter(told));
    }
}
