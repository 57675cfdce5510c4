//! All peers, turn by turn, so that a change of the machine's mood meets all of them.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::args::AllArgs;
use crate::peers::Peer;
use crate::work::Work;
use crate::{Outcome, table};

/// The kinds of work, each with its number in flight.
const PLAN: [(Work, usize); 7] = [
    (Work::Ask, 1),
    (Work::Ask, 64),
    (Work::Ask, 1024),
    (Work::Send, 1),
    (Work::LocalAsk, 1),
    (Work::LocalAsk, 64),
    (Work::LocalSend, 1),
];

/// Runs all that is wanted; each run is a process of its own. Returns whether none of them failed.
pub(crate) fn run(args: &AllArgs) -> Outcome<bool> {
    let wanted: Vec<_> = PLAN
        .into_iter()
        .filter(|(work, in_flight)| {
            (args.work.is_empty() || args.work.contains(work))
                && (args.in_flight.is_empty() || args.in_flight.contains(in_flight))
        })
        .collect();
    let peers: Vec<_> = Peer::ALL
        .into_iter()
        .filter(|peer| args.peer.is_empty() || args.peer.contains(peer))
        .collect();
    for peer in &peers {
        let mut told: Vec<Work> = Vec::new();
        for (work, _) in &wanted {
            if let (Some(why), false) = (peer.cannot(*work), told.contains(work)) {
                eprintln!("left out: {} of {}: {why}", work.name(), peer.name());
                told.push(*work);
            }
        }
    }
    let mut runs = Vec::new();
    let mut good = true;
    for round in 1..=args.rounds {
        for (work, in_flight) in &wanted {
            for peer in peers.iter().filter(|peer| peer.cannot(*work).is_none()) {
                let line = format!(
                    "round {round}: {} of {}, {in_flight} in flight",
                    work.name(),
                    peer.name()
                );
                match one(args, *work, *peer, *in_flight) {
                    Ok(run) => {
                        eprintln!(
                            "{line}: {:.0}/s",
                            run["throughput_per_s"].as_f64().unwrap_or_default()
                        );
                        if args.json {
                            println!("{run}");
                        }
                        runs.push(run);
                    }
                    Err(why) => {
                        eprintln!("{line}: {why}");
                        good = false;
                    }
                }
            }
        }
    }
    if !args.json {
        print!("{}", table::render(&runs));
    }
    Ok(good)
}

fn one(args: &AllArgs, work: Work, peer: Peer, in_flight: usize) -> Outcome<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([work.name(), peer.name()]);
    let options = [
        ("--in-flight", Some(in_flight.to_string())),
        ("--size", Some(args.size.to_string())),
        ("--seconds", Some(args.seconds.as_secs_f64().to_string())),
        (
            "--server-cpu",
            args.server_cpu
                .filter(|_| work.is_remote())
                .map(|cpu| cpu.to_string()),
        ),
        ("--client-cpu", args.client_cpu.map(|cpu| cpu.to_string())),
    ];
    for (name, value) in options {
        command.args(value.iter().flat_map(|value| [name, value]));
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
