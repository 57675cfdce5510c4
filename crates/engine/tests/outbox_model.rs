//! Any sequence of operations leaves the outbox where an obvious model of it stands.

#[path = "models/outbox.rs"]
mod model;

use proptest::collection::vec;
use proptest::prelude::*;
use spark_rpc_engine::Bounds;

use model::{Op, check};

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = any::<(u8, u8, u32)>().prop_map(|(kind, small, large)| Op::new(kind, small, large));
    vec(op, 0..400)
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let bounded =
        (0_usize..40, 0_usize..800).prop_map(|(max_items, max_bytes)| Bounds { max_items, max_bytes });
    prop_oneof![1 => bounded, 3 => Just(Bounds::NONE)]
}

proptest! {
    #[test]
    fn an_outbox_behaves_like_its_model(bounds in bounds(), ops in ops()) {
        check(bounds, ops);
    }

    #[test]
    fn an_outbox_that_waits_for_its_connection_behaves_like_its_model(bounds in bounds(), ops in ops()) {
        // Without these two, queues grow long enough to be tidied up.
        check(bounds, ops.into_iter().filter(|op| !matches!(op, Op::Connected | Op::Fail)));
    }
}
