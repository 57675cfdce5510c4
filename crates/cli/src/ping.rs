//! `spark-rpc ping`: does an endpoint exist, and how far away is it.

use std::time::{Duration, Instant};

use spark_rpc::{CheckExistence, RpcEndpointAddress, RpcEndpointRef, RpcEndpointVerifier};

use crate::args::PingArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, BOLD, GREEN, RED, short, styled};
use crate::stop::StopSignals;
use crate::{peer, runtime};

/// Runs the command.
pub(crate) fn run(args: &PingArgs) -> Result<Exit, Failure> {
    runtime::small()?.block_on(ping(args))
}

async fn ping(args: &PingArgs) -> Result<Exit, Failure> {
    let env = peer::client(&args.limit).await?;
    let address = args.uri.address().cloned();
    let verifier = env.endpoint_ref(RpcEndpointAddress::new(RpcEndpointVerifier::NAME, address));

    // The first question also opens the connection, so its time is told apart.
    let began = Instant::now();
    let mut exists = check(&verifier, args).await?;
    output::line(format_args!(
        "{}: connected in {}",
        args.uri,
        short(began.elapsed())
    ));

    let mut signals = StopSignals::listen()?;
    let mut round_trips = Vec::new();
    for number in 1..=args.count {
        let question = async {
            if number > 1 {
                tokio::time::sleep(args.interval).await;
            }
            let began = Instant::now();
            let exists = check(&verifier, args).await?;
            Ok((exists, began.elapsed()))
        };
        let took;
        (exists, took) = tokio::select! {
            answer = question => answer?,
            // Nobody wants the rest, but what there is.
            _ = signals.next() => break,
        };
        output::line(format_args!("{} {number}: {}", verdict(exists), short(took)));
        round_trips.push(took);
    }
    if !round_trips.is_empty() {
        output::line(summary(&mut round_trips));
    }
    Ok(if exists { Exit::Done } else { Exit::No })
}

async fn check(verifier: &RpcEndpointRef, args: &PingArgs) -> Result<bool, Failure> {
    let question = CheckExistence {
        name: args.uri.name().to_owned(),
    };
    let answer = verifier.ask(question).await;
    answer.map_err(|error| {
        let failure = peer::ask_failed(&error);
        // Whatever went wrong: nothing was learnt about the endpoint.
        Failure::unreachable(format_args!("{}: {}", args.uri, failure.text))
    })
}

fn verdict(exists: bool) -> String {
    if exists {
        styled(GREEN, "exists")
    } else {
        styled(RED, "does not exist")
    }
}

fn summary(round_trips: &mut [Duration]) -> String {
    round_trips.sort_unstable();
    let (count, middle) = (round_trips.len(), round_trips.len() / 2);
    let median = if count % 2 == 1 {
        round_trips[middle]
    } else {
        (round_trips[middle - 1] + round_trips[middle]) / 2
    };
    format!(
        "{count} round {}: min {}, {}, max {}",
        if count == 1 { "trip" } else { "trips" },
        short(round_trips[0]),
        styled(BOLD, format_args!("median {}", short(median))),
        short(round_trips[count - 1])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_min_median_and_max() {
        let mut times = [5, 1, 3, 2].map(Duration::from_millis);
        let plain = anstream::adapter::strip_str(&summary(&mut times)).to_string();
        assert_eq!(plain, "4 round trips: min 1.00 ms, median 2.50 ms, max 5.00 ms");
    }
}
