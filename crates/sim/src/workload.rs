//! What the nodes do: operations drawn from the seed, until the time is up.

use std::sync::Arc;
use std::time::Duration;

use spark_rpc::RpcMessage;
use spark_rpc_testkit::Rng;
use tokio::time::Instant;

use crate::life::{Life, TEMPORARY, Way, any_name};
use crate::messages::{Act, Beat, Note, Order, Unheard, Urgent, Work};
use crate::plan::{SERVERS, index, ms};

/// Begins operations on one life of a node until `until`. Each ends by itself.
pub(crate) async fn work(life: Arc<Life>, mut rng: Rng, until: Instant) {
    let busy = 5 + rng.below(120);
    loop {
        let next = Instant::now() + ms(1 + rng.below(busy));
        if next >= until || life.is_over() {
            return;
        }
        tokio::time::sleep_until(next).await;
        operate(&life, &mut rng);
    }
}

fn operate(life: &Arc<Life>, rng: &mut Rng) {
    match rng.below(100) {
        0..40 => ask(life, rng),
        40..80 => send(life, rng),
        80..88 => send_burst(life, rng),
        88..91 => send_when_room(life, rng),
        91..95 => look_up(life, rng),
        _ => stop_and_set_up_again(life, rng),
    }
}

fn ask(life: &Arc<Life>, rng: &mut Rng) {
    let limit = ms([20, 200, 1_000, 3_000][index(rng, 4)]);
    let way = match rng.below(20) {
        0 | 1 => Way::Urgent,
        2 => Way::Unheard,
        3 | 4 => Way::Retry,
        5 => Way::AbortAfter(rng.duration(&(Duration::ZERO..limit))),
        6 => Way::DropAfter(rng.duration(&(Duration::ZERO..limit))),
        _ => Way::Plain,
    };
    let act = act(rng);
    let back = matches!(act, Act::CallBack { .. }).then(|| life.own_reference("calls"));
    let fresh = rng.percent(30);
    let (node, name, filler) = (index(rng, SERVERS), any_name(rng), filler_len(rng));
    let asker = Arc::clone(life);
    // What waits for room may be overtaken; only where queues are long enough is the order of asks fixed.
    let ordered = !life.plan.tight;
    // Everything up to the first wait runs at once, in the order of these tasks.
    life.spawn(async move {
        let to = if fresh {
            asker.reference(node, name)
        } else {
            asker.kept_reference(node, name)
        };
        let Some(to) = to else { return };
        let mut order = match way {
            Way::Urgent => asker.order::<Urgent>(&to, act, filler, ordered),
            Way::Unheard => asker.order::<Unheard>(&to, act, filler, ordered),
            Way::Retry => asker.order::<Work>(&to, act, filler, false),
            _ => asker.order::<Work>(&to, act, filler, ordered),
        };
        order.back = back.flatten();
        asker.ask(to, order, way, limit).await;
    });
}

fn act(rng: &mut Rng) -> Act {
    match rng.below(20) {
        0..=8 => Act::Answer,
        9 | 10 => Act::Work {
            ms: 1 + rng.below(60),
        },
        11 => Act::Work {
            ms: 1 + rng.below(600),
        },
        12 | 13 => Act::Later {
            ms: 1 + rng.below(1_500),
        },
        14 => Act::Forget,
        15 => Act::Fail,
        16 => Act::Panic,
        17 => Act::Relay {
            node: index(rng, SERVERS),
            name: any_name(rng).to_owned(),
            limit_ms: 1 + rng.below(400),
        },
        _ => Act::CallBack { ask: rng.percent(50) },
    }
}

fn one_way_act(rng: &mut Rng) -> Act {
    match rng.below(20) {
        0 => Act::Work {
            ms: 1 + rng.below(40),
        },
        1 => Act::Fail,
        2 => Act::Panic,
        _ => Act::Answer,
    }
}

/// Mostly little; now and then more than a segment, a chunk of its own, or the socket's buffer.
fn filler_len(rng: &mut Rng) -> usize {
    match rng.below(30) {
        0 => 5_000 + index(rng, 3_000),
        1 => 30_000 + index(rng, 5_000),
        2 => 70_000,
        _ => index(rng, 200),
    }
}

fn send(life: &Arc<Life>, rng: &mut Rng) {
    let (node, name, filler) = (index(rng, SERVERS), any_name(rng), filler_len(rng));
    let act = one_way_act(rng);
    let control = rng.percent(10);
    let Some(to) = life.kept_reference(node, name) else {
        return;
    };
    let order: Order = if control {
        life.order::<Beat>(&to, act, filler, true)
    } else {
        life.order::<Note>(&to, act, filler, true)
    };
    life.send(&to, order, control);
}

fn send_burst(life: &Arc<Life>, rng: &mut Rng) {
    let (node, name) = (index(rng, SERVERS), any_name(rng));
    let Some(to) = life.kept_reference(node, name) else {
        return;
    };
    for _ in 0..rng.below(40) {
        let order = life.order::<Note>(&to, Act::Answer, index(rng, 50), true);
        life.send(&to, order, Note::CONTROL);
    }
}

fn send_when_room(life: &Arc<Life>, rng: &mut Rng) {
    let (node, name, filler) = (index(rng, SERVERS), any_name(rng), filler_len(rng));
    let sender = Arc::clone(life);
    life.spawn(async move {
        let Some(to) = sender.kept_reference(node, name) else {
            return;
        };
        let order = sender.order::<Note>(&to, Act::Answer, filler, false);
        sender.send_wait(&to, order).await;
    });
}

fn look_up(life: &Arc<Life>, rng: &mut Rng) {
    let (node, name) = (index(rng, SERVERS), any_name(rng));
    let asker = Arc::clone(life);
    life.spawn(async move { asker.look_up(node, name).await });
}

fn stop_and_set_up_again(life: &Arc<Life>, rng: &mut Rng) {
    if life.stop(TEMPORARY) && rng.percent(60) {
        return;
    }
    life.register(TEMPORARY, false, rng.below(30));
}
