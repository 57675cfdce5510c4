//! `spark-rpc doctor`: what listens at an address, from outside.

use spark_rpc::{SocketName, TcpNetwork};
use spark_rpc_inspect::probe::{
    self, Engine, EngineVersion, Listening, ProbeError, Refused, SessionCipher, Target,
};

use crate::args::{Auth, DoctorArgs};
use crate::exit::{Exit, Failure};
use crate::{output, runtime};

mod report;
mod view;

use report::Report;

/// Runs the command.
pub(crate) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    runtime::small()?.block_on(doctor(args))
}

async fn doctor(args: &DoctorArgs) -> Result<Exit, Failure> {
    let conf = args.limit.conf.to_conf()?;
    let address = SocketName::new(args.address.host(), args.address.port());
    let mut target = Target::new(address, args.limit.patience(&conf));
    target.user.clone_from(&conf.security.user);
    target.secret.clone_from(&conf.security.secret);
    target.tls.clone_from(&conf.security.ssl);
    target.check_names = conf.security.check_names;
    target.engines = engines(args);
    target.sasl = conf.security.auth.sasl.is_some();
    let found = probe::examine(&TcpNetwork, &target).await;
    let found = found.map_err(|error| match error {
        ProbeError::Unreachable(_) | ProbeError::TimedOut(_) => {
            Failure::unreachable(format_args!("{}: {error}", args.address))
        }
        error => Failure::no(error),
    })?;
    let advice = probe::advice(&found);
    if args.json {
        let report = Report::new(&found, &advice);
        output::line(serde_json::to_string(&report).expect("a report is plain data"));
    } else {
        for line in view::lines(&found, &advice) {
            output::line(line);
        }
    }
    let refused = &found.authentication.refused;
    let answers = found.listening == Listening::Spark && matches!(refused, None | Some(Refused::NotShown));
    Ok(if answers { Exit::Done } else { Exit::No })
}

/// What `--auth` says goes first.
fn engines(args: &DoctorArgs) -> Vec<Engine> {
    let first = match args.limit.conf.auth {
        Some(Auth::Engine) => Engine::of(EngineVersion::V2, SessionCipher::AesGcm),
        _ => Engine::of(EngineVersion::V1, SessionCipher::AesCtr),
    };
    let others = Engine::ALL.into_iter().filter(|engine| *engine != first);
    std::iter::once(first).chain(others).collect()
}
