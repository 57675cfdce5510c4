//! Any sequence of operations leaves the inbox where an obvious model of it stands.

#[path = "models/inbox.rs"]
mod model;

use proptest::collection::vec;
use proptest::prelude::*;
use spark_rpc_engine::{Bounds, Delivery};

use model::{Op, check};

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = any::<(u8, u8, u32)>().prop_map(|(kind, small, large)| Op::new(kind, small, large));
    vec(op, 0..300)
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let bounded =
        (0_usize..12, 0_usize..200).prop_map(|(max_items, max_bytes)| Bounds { max_items, max_bytes });
    prop_oneof![3 => bounded, 1 => Just(Bounds::NONE)]
}

proptest! {
    #[test]
    fn a_serial_inbox_behaves_like_its_model(bounds in bounds(), ops in ops()) {
        check(Delivery::Serial, bounds, ops);
    }

    #[test]
    fn a_concurrent_inbox_behaves_like_its_model(bounds in bounds(), ops in ops()) {
        check(Delivery::Concurrent, bounds, ops);
    }
}
