//! What the arguments about settings mean.

use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use spark_rpc::config::{RpcConf, SparkConf};
use spark_rpc::security::{
    AuthOptions, EngineOptions, EngineVersion, SaslOptions, Secret, SessionCipher, SslSettings,
};
use spark_rpc::{RpcAddress, StartError};
use tracing_subscriber::filter::LevelFilter;

use crate::args::{Auth, ConfArgs};
use crate::exit::Failure;
use crate::output;

impl ConfArgs {
    /// Translates Spark's keys: those of the file, then those of `--conf`, which win. Doubtful ones are told on standard
    /// error.
    pub(crate) fn to_conf(&self) -> Result<RpcConf, Failure> {
        let conf = self.translate()?;
        for warning in conf.warnings() {
            output::warning(warning);
        }
        Ok(conf)
    }

    /// Like [`to_conf`](Self::to_conf), for an env that will log what is doubtful when it starts.
    pub(crate) fn to_conf_to_be_logged(&self) -> Result<RpcConf, Failure> {
        if LevelFilter::current() >= LevelFilter::WARN {
            return self.translate();
        }
        self.to_conf()
    }

    fn translate(&self) -> Result<RpcConf, Failure> {
        let mut spark = match &self.properties_file {
            Some(file) => SparkConf::from_properties_file(file).map_err(|error| {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                let cause = cause.unwrap_or_default();
                Failure::usage(format_args!("--properties-file: {error}{cause}"))
            })?,
            None => SparkConf::new(),
        };
        for (key, value) in &self.conf {
            if is_secret(key) {
                return Err(Failure::usage(format_args!(
                    "--conf {key}: everybody on this machine can read a command line; use --secret-file, \
                     --properties-file or the environment"
                )));
            }
            spark.set(key, value);
        }
        let conf = RpcConf::from_spark(&spark).map_err(Failure::usage)?;
        let conf = self.secure(conf)?;
        for ignored in conf.ignored() {
            output::warning(ignored);
        }
        Ok(conf)
    }

    /// Whose fault it is that an env could not start, and which arguments say so.
    pub(crate) fn start_failed(&self, error: &StartError) -> Failure {
        let files = [
            ("--tls-cert", &self.tls_cert),
            ("--tls-key", &self.tls_key),
            ("--tls-ca", &self.tls_ca),
        ];
        let typed = files.iter().filter(|(_, file)| file.is_some());
        let typed: Vec<_> = typed.map(|(name, _)| *name).collect();
        match error {
            StartError::Ssl(_) | StartError::Tls(_) if !typed.is_empty() => {
                Failure::usage(format_args!("{}: {error}", typed.join(", ")))
            }
            StartError::Conf(_) | StartError::Transport(_) | StartError::Ssl(_) | StartError::Tls(_) => {
                Failure::usage(error)
            }
            _ => Failure::no(error),
        }
    }
}

/// Whether the value of a key is itself a secret, and not the name of a file that holds one.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == "spark.authenticate.secret" || (key.starts_with("spark.ssl.") && key.contains("password"))
}

impl ConfArgs {
    /// Adds what the arguments about security say.
    fn secure(&self, mut conf: RpcConf) -> Result<RpcConf, Failure> {
        if let Some(file) = &self.secret_file {
            if conf.security.secret.is_some() {
                return Err(Failure::usage(
                    "--secret-file contradicts spark.authenticate = true: there can be only one secret",
                ));
            }
            let secret = Secret::from_text_file(file)
                .map_err(|error| Failure::usage(format_args!("--secret-file: {error}")))?;
            conf = conf.with_secret(secret);
        }
        if let Some(auth) = self.auth {
            if conf.security.secret.is_none() {
                let name = Secret::SPARK_ENVIRONMENT_VARIABLE;
                let secret = Secret::from_environment_value(std::env::var_os(name).as_deref())
                    .map_err(|error| Failure::usage(format_args!("{name}: {error}")))?;
                let secret = secret.ok_or_else(|| {
                    Failure::usage(format_args!(
                        "--auth {}: there is no secret; use --secret-file or the environment variable {name}",
                        auth.name()
                    ))
                })?;
                conf = conf.with_secret(secret);
            }
            auth.choose(&mut conf.security.auth);
        }
        if self.tls_cert.is_some() || self.tls_ca.is_some() {
            let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
            let settings = SslSettings::from_spark(
                |key| match key {
                    "spark.ssl.rpc.enabled" => Some("true".to_owned()),
                    "spark.ssl.rpc.certChain" => path(&self.tls_cert),
                    "spark.ssl.rpc.privateKey" => path(&self.tls_key),
                    "spark.ssl.rpc.trustStore" => path(&self.tls_ca),
                    "spark.ssl.rpc.trustStoreReloadingEnabled" => Some("true".to_owned()),
                    _ => None,
                },
                |name| std::env::var(name).ok(),
            );
            conf = conf.with_tls(settings.map_err(Failure::usage)?);
            conf.security.check_names = self.tls_ca.is_some();
        }
        Ok(conf)
    }

    /// The same arguments, for another process.
    pub(crate) fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        for (key, value) in &self.conf {
            arguments.extend(["--conf".into(), format!("{key}={value}").into()]);
        }
        for (name, file) in [
            ("--properties-file", &self.properties_file),
            ("--secret-file", &self.secret_file),
            ("--tls-cert", &self.tls_cert),
            ("--tls-key", &self.tls_key),
            ("--tls-ca", &self.tls_ca),
        ] {
            if let Some(file) = file {
                arguments.extend([name.into(), file.into()]);
            }
        }
        if let Some(auth) = self.auth {
            arguments.extend(["--auth".into(), auth.name().into()]);
        }
        arguments
    }
}

impl Auth {
    fn choose(self, options: &mut AuthOptions) {
        let sasl = |encrypt| SaslOptions {
            encrypt,
            always_encrypt: encrypt,
            ..SaslOptions::default()
        };
        (options.engine, options.sasl) = match self {
            Self::Engine => (Some(EngineOptions::default()), None),
            Self::SparkEngine => {
                let as_in_spark = EngineOptions {
                    version: EngineVersion::V1,
                    cipher: Some(SessionCipher::AesCtr),
                };
                (Some(as_in_spark), None)
            }
            Self::SaslEncryption => (None, Some(sasl(true))),
            Self::Sasl => (None, Some(sasl(false))),
        };
    }
}

/// Reads `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as spark.rpc.askTimeout=30s".to_owned()),
    }
}

/// Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`; without a port it is 0, any free one.
pub(crate) fn bind_address(text: &str) -> Result<RpcAddress, String> {
    let bare_host = !text.contains(':') || text.ends_with(']') || text.parse::<Ipv6Addr>().is_ok();
    if !bare_host {
        return text.parse().map_err(|_| BIND_EXPECTED.to_owned());
    }
    let address = RpcAddress::new(text, 0);
    // Written and read once more, so that a host that cannot be is refused here.
    address.to_string().parse().map_err(|_| BIND_EXPECTED.to_owned())
}

/// Reads seconds, such as `5` or `0.2`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    if !(0.0..=MOST_SECONDS).contains(&number) {
        return Err(format!("expected 0 to {MOST_SECONDS} seconds"));
    }
    Ok(Duration::from_secs_f64(number))
}

/// Reads seconds, but not 0.
pub(crate) fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("expected more than 0 seconds".to_owned()),
        time => Ok(time),
    }
}

/// Reads a number of at least 1.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a whole number of at least 1".to_owned()),
    }
}

/// Reads a number of bytes, which may be followed by KiB, MiB or GiB, or short by k, m or g.
pub(crate) fn byte_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match &text[digits.len()..].to_ascii_lowercase()[..] {
        "" => Some(0),
        "k" | "kib" => Some(10),
        "m" | "mib" => Some(20),
        "g" | "gib" => Some(30),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .zip(shift)
        .and_then(|(number, shift)| number.checked_mul(1 << shift))
        .ok_or_else(|| "expected a number of bytes, such as 65536, 64KiB or 1g".to_owned())
}

const BIND_EXPECTED: &str = "expected HOST or HOST:PORT, such as 127.0.0.1 or 127.0.0.1:7077";
/// One day.
const MOST_SECONDS: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(byte_size("65536"), Ok(65_536));
        assert_eq!(byte_size("64KiB"), Ok(65_536));
        assert_eq!(byte_size("4m"), Ok(4 << 20));
        assert_eq!(byte_size("1g"), Ok(1 << 30));
        for wrong in ["", "k", "1 k", "1.5m", "1kb", "-1", "99999999999g"] {
            assert!(byte_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_to_bind_may_lack_its_port() {
        let read = |text: &str| bind_address(text).unwrap().to_string();
        assert_eq!(read("127.0.0.1"), "127.0.0.1:0");
        assert_eq!(read("127.0.0.1:7077"), "127.0.0.1:7077");
        assert_eq!(read("::1"), "[::1]:0");
        assert_eq!(read("[::1]"), "[::1]:0");
        assert_eq!(read("[::1]:7077"), "[::1]:7077");
        for wrong in ["", "a b", "h:x", "h:70000", "h:", "[x]", "spark://a@b:1"] {
            assert!(bind_address(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn seconds_may_have_a_fraction_but_no_sign() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for wrong in ["", "x", "-1", "nan", "inf", "1e9"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
        assert!(some_seconds("0").is_err());
    }

    #[test]
    fn a_setting_is_a_key_and_a_value_that_may_hold_equals_signs() {
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(key_value("a="), Ok(("a".into(), String::new())));
        assert!(key_value("=b").is_err());
        assert!(key_value("a").is_err());
    }
}
