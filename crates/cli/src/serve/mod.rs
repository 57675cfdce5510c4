//! `spark-rpc serve`: an env with the endpoints `echo` and `sink`, and files if wanted, until it is told to stop.

use std::net::IpAddr;

use spark_rpc::{RpcAddress, RpcEnv, StartError};

use crate::args::ServeArgs;
use crate::exit::{Exit, Failure};
use crate::stop::StopSignals;
use crate::{output, process, runtime};

mod connection_log;
mod echo;
mod events;
mod folder;
mod sink;

pub(crate) use echo::Echo;
pub(crate) use events::Events;
pub(crate) use folder::{ServedFolder, served_folder};
pub(crate) use sink::Sink;

use connection_log::ConnectionLog;

/// Runs the command.
pub(crate) fn run(args: &ServeArgs) -> Result<Exit, Failure> {
    let conf = args.conf.to_conf_to_be_logged()?;
    if args.conf.tls_ca.is_some() && args.conf.tls_cert.is_none() {
        return Err(Failure::usage(
            "--tls-ca: a server also needs a certificate of its own; give --tls-cert and --tls-key",
        ));
    }
    if let Some(cpu) = args.cpu {
        // Before the runtime, whose threads inherit it.
        process::pin_to(cpu, "--cpu")?;
    }
    process::raise_open_files();
    let runtime = runtime::full()?;
    let exit = runtime.block_on(serve(args, conf));
    // A thread may still wait for standard input; it ends with the process.
    runtime.shutdown_background();
    exit
}

async fn serve(args: &ServeArgs, conf: spark_rpc::config::RpcConf) -> Result<Exit, Failure> {
    let told_to_stop = Reasons::new(args.stop_with_stdin)?;
    let events = Events::new(args.json, args.quiet);
    let mut builder = RpcEnv::builder("serve").conf(conf).bind(args.bind.to_string());
    if let Some(host) = &args.advertise {
        builder = builder.advertise(host);
    }
    let started = builder.start().await;
    let env = started.map_err(|error| match error {
        StartError::Port { .. } | StartError::Address(_) | StartError::Unprotected { .. } => {
            Failure::usage(format_args!("--bind {}: {error}", args.bind))
        }
        StartError::Bind { .. } => Failure::no(format_args!("--bind {}: {error}", args.bind)),
        _ => args.conf.start_failed(&error),
    })?;
    let setup = || {
        env.setup_endpoint("echo", Echo)?;
        env.setup_endpoint("sink", Sink::new(events))?;
        if !args.quiet {
            env.setup_endpoint("connection-log", ConnectionLog::new(events))?;
        }
        Ok(())
    };
    setup().map_err(|error: spark_rpc::SetupError| Failure::no(error))?;
    let mut folders = Vec::new();
    for folder in &args.files {
        folders.push(folder.add_to(&env.file_server()).await?);
    }
    let address = env.address().expect("an env in server mode has an address");
    output::line(address.to_spark_url());
    events.listening(address, &folders);
    if !is_protected(env.conf()) && !is_loopback(&args.bind) {
        output::warning(
            "everybody who reaches this address may connect, as spark.rpc.security.allowUnprotected says",
        );
    }

    let reason = told_to_stop.wait().await;
    events.draining(reason);
    let report = tokio::select! {
        report = env.shutdown() => report,
        _ = told_to_stop.again() => return Err(Failure::no("stopped at once by a second signal")),
    };
    events.shut_down(&report);
    Ok(if report.is_clean() { Exit::Done } else { Exit::No })
}

fn is_protected(conf: &spark_rpc::config::RpcConf) -> bool {
    conf.security.secret.is_some() || conf.security.ssl.is_some()
}

pub(crate) fn is_loopback(address: &RpcAddress) -> bool {
    let host = address.host().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What ends the server: SIGINT, SIGTERM, or the end of standard input where that was asked for.
struct Reasons {
    received: tokio::sync::watch::Receiver<Vec<&'static str>>,
}

impl Reasons {
    /// Listens from now on, so that no signal is missed.
    fn new(with_stdin: bool) -> Result<Self, Failure> {
        let mut signals = StopSignals::listen()?;
        let (send, received) = tokio::sync::watch::channel(Vec::new());
        if with_stdin {
            let send = send.clone();
            // A plain thread: the runtime would wait for one of its own that is stuck in a read.
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
                send.send_modify(|seen| seen.push("end of standard input"));
            });
        }
        tokio::spawn(async move {
            loop {
                let name = signals.next().await;
                send.send_modify(|seen| seen.push(name));
            }
        });
        Ok(Self { received })
    }

    async fn wait(&self) -> &'static str {
        let mut received = self.received.clone();
        // The sender lives as long as the runtime.
        let seen = received.wait_for(|seen| !seen.is_empty()).await;
        seen.ok()
            .and_then(|seen| seen.first().copied())
            .unwrap_or("nothing")
    }

    async fn again(&self) {
        let mut received = self.received.clone();
        let _ = received.wait_for(|seen| seen.len() > 1).await;
    }
}
