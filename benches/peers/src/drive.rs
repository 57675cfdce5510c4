//! The loops that make work: the same for each peer that takes one call at a time.

use std::sync::Arc;
use std::time::Instant;

use crate::Outcome;
use crate::counter::Counter;
use crate::meter::Meter;
use crate::payload::Payload;

/// Asks one question after the other.
pub(crate) trait Asker: Clone + Send + 'static {
    fn ask(&mut self, payload: &Payload) -> impl Future<Output = Outcome<Payload>> + Send;
}

/// Sends one-way messages.
pub(crate) trait Sender: Clone + Send + 'static {
    /// Sends `count` messages as fast as the peer takes them.
    fn burst(&mut self, payload: &Payload, count: u64) -> impl Future<Output = Outcome<()>> + Send;
}

/// Starts `in_flight` tasks that ask until the meter says that it is over.
pub(crate) fn ask(asker: &impl Asker, payload: &Payload, in_flight: usize, meter: &Arc<Meter>) {
    for number in 0..in_flight {
        let (mut asker, payload, meter) = (asker.clone(), payload.clone(), Arc::clone(meter));
        // Not all of them time the same wave.
        let skip = number as u64 % TIMED_EVERY;
        tokio::spawn(async move {
            let outcome = ask_until_over(&mut asker, &payload, &meter, skip).await;
            meter.ended(outcome);
        });
    }
}

async fn ask_until_over(
    asker: &mut impl Asker,
    payload: &Payload,
    meter: &Meter,
    mut untimed: u64,
) -> Outcome<()> {
    loop {
        for _ in 0..untimed {
            asker.ask(payload).await?;
        }
        meter.add(untimed);
        if meter.is_over() {
            return Ok(());
        }
        let began = Instant::now();
        let reply = asker.ask(payload).await?;
        meter.record(began.elapsed());
        meter.add(1);
        if reply != *payload {
            return Err("a reply differs from what was asked".into());
        }
        // Reading the clock twice costs more than a tenth of a local ask.
        untimed = TIMED_EVERY - 1;
    }
}

/// Starts a task that sends until the meter says that it is over.
///
/// With `received`, for peers that bound nothing, it waits while too much is under way.
pub(crate) fn send(sender: &impl Sender, payload: &Payload, meter: &Arc<Meter>, received: Option<&Counter>) {
    let (mut sender, payload, meter) = (sender.clone(), payload.clone(), Arc::clone(meter));
    let received = received.cloned();
    tokio::spawn(async move {
        let outcome = send_until_over(&mut sender, &payload, &meter, received).await;
        meter.ended(outcome);
    });
}

async fn send_until_over(
    sender: &mut impl Sender,
    payload: &Payload,
    meter: &Meter,
    received: Option<Counter>,
) -> Outcome<()> {
    while !meter.is_over() {
        sender.burst(payload, BURST).await?;
        meter.add(BURST);
        tokio::task::yield_now().await;
        if let Some(received) = &received {
            while meter.done().saturating_sub(received.get()) > MOST_UNDER_WAY && !meter.is_over() {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(())
}

pub(crate) const TIMED_EVERY: u64 = 16;
/// Messages between two looks at the meter.
pub(crate) const BURST: u64 = 256;
const MOST_UNDER_WAY: u64 = 65_536;
