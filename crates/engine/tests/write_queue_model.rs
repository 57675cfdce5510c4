//! Any sequence of operations leaves the write queue where an obvious model of it stands.

#[path = "models/write_queue.rs"]
mod model;

use proptest::collection::vec;
use proptest::prelude::*;
use spark_rpc_engine::{Bounds, CHUNK};

use model::{Op, check};

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = any::<(u8, u8, u32)>().prop_map(|(kind, small, large)| Op::new(kind, small, large));
    vec(op, 0..100)
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let bounded =
        (0_usize..30, 0..4 * CHUNK).prop_map(|(max_items, max_bytes)| Bounds { max_items, max_bytes });
    prop_oneof![1 => bounded, 1 => Just(Bounds::NONE)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_write_queue_behaves_like_its_model(bounds in bounds(), ops in ops()) {
        check(bounds, ops);
    }
}
