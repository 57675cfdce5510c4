//! From Spark's keys of authentication and encryption to typed settings.
//!
//! What is weak is used only where a key names it: DIGEST-MD5 by `saslFallback = true`, by a key of SASL encryption or
//! by `crypto.enabled = false`; AES-CTR and the engine's version 1 by their own keys.

use std::ffi::OsString;
use std::path::Path;

use spark_rpc_transport::auth::Secret;
use spark_rpc_transport::auth::engine::{EngineVersion, SessionCipher};
use spark_rpc_transport::auth::tls::{SslSettings, SslSettingsError};
use spark_rpc_transport::security::{AuthOptions, EngineOptions, SaslOptions};

use super::error::{ConfError, REDACTED, Written};
use super::notes::ConfWarning;
use super::security::{
    AUTH_TIMEOUT, AUTHENTICATE, CIPHER, CRYPTO, DEFAULT_TIMEOUT, DEFAULTS, ENGINE_VERSION, RELOAD_INTERVAL,
    SASL_ALWAYS, SASL_BLOCK, SASL_ENCRYPTION, SASL_FALLBACK, SSL, SecurityConf,
};
use super::spark_conf::SparkConf;
use super::units::{SizeUnit, TimeUnit};

/// Reads what concerns security; `environment` looks up a variable.
pub(super) fn security(
    spark: &SparkConf,
    environment: impl Fn(&str) -> Option<OsString>,
    warnings: &mut Vec<ConfWarning>,
) -> Result<SecurityConf, ConfError> {
    let flag = |key| spark.boolean(key);
    let authenticate = flag(AUTHENTICATE)?.unwrap_or(false);
    let ssl = ssl(spark, &environment)?;
    let auth = mechanisms(spark, authenticate, ssl.is_some(), warnings)?;
    let mut conf = SecurityConf {
        secret: authenticate.then(|| secret(spark, &environment)).transpose()?,
        auth,
        ssl,
        check_names: flag("spark.rpc.security.checkNames")?.unwrap_or(false),
        client_certificates: flag("spark.rpc.security.clientCertificates")?.unwrap_or(false),
        allow_unprotected: flag("spark.rpc.security.allowUnprotected")?.unwrap_or(false),
        ..SecurityConf::default()
    };
    if let Some(interval) = spark.time(RELOAD_INTERVAL, TimeUnit::Seconds)? {
        conf.reload_interval = (!interval.is_zero()).then_some(interval);
    }
    if let Some(user) = spark.get("spark.rpc.security.user") {
        conf.user = user.trim().to_owned();
    }
    Ok(conf)
}

fn mechanisms(
    spark: &SparkConf,
    authenticate: bool,
    ssl: bool,
    warnings: &mut Vec<ConfWarning>,
) -> Result<AuthOptions, ConfError> {
    let crypto = spark.boolean(CRYPTO)?;
    let fallback = spark.boolean(SASL_FALLBACK)?;
    let encrypt = spark.boolean(SASL_ENCRYPTION)?;
    let always = spark.boolean(SASL_ALWAYS)?;
    for (key, on) in [(CRYPTO, crypto), (SASL_ENCRYPTION, encrypt)] {
        if on == Some(true) && !authenticate {
            return Err(contradiction(
                spark,
                (key, "true"),
                (AUTHENTICATE, "false"),
                "there is no key without authentication, so nothing would be encrypted",
            ));
        }
    }
    if ssl && crypto == Some(true) {
        return Err(contradiction(
            spark,
            (SSL, "true"),
            (CRYPTO, "true"),
            "everything would be encrypted twice",
        ));
    }
    let like_spark = spark.read(DEFAULTS, "strong or spark", |text| match text.trim() {
        "strong" => Some(false),
        "spark" => Some(true),
        _ => None,
    })?;
    let like_spark = like_spark.unwrap_or(false);
    if crypto == Some(false) && fallback == Some(false) && !like_spark {
        return Err(contradiction(
            spark,
            (CRYPTO, "false"),
            (SASL_FALLBACK, "false"),
            "neither the auth engine nor SASL would be left",
        ));
    }
    let named = encrypt == Some(true) || always == Some(true) || crypto == Some(false);
    if authenticate && !like_spark && !named {
        warnings.extend(not_sparks_defaults(spark, crypto));
    }

    let options = engine(spark, ssl, like_spark)?;
    let (with_engine, with_sasl, encrypt) = if like_spark {
        let engine = crypto == Some(true);
        (
            engine,
            !engine || fallback != Some(false),
            encrypt.unwrap_or(false),
        )
    } else {
        let only_sasl = named && crypto != Some(true);
        // Who asks for `crypto.enabled = false` and nothing else gets what Spark does then: no encryption.
        let encrypt = encrypt.unwrap_or(!ssl && (!only_sasl || always == Some(true)));
        let engine = !only_sasl || fallback == Some(true) && crypto != Some(false);
        (engine, only_sasl || fallback == Some(true), encrypt)
    };
    let block = spark.size(SASL_BLOCK, SizeUnit::Bytes)?;
    let sasl = SaslOptions {
        encrypt,
        always_encrypt: always.unwrap_or(encrypt && !like_spark),
        max_block: block.map_or(SaslOptions::default().max_block, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        }),
    };
    let mut timeout = spark.time(AUTH_TIMEOUT, TimeUnit::Seconds)?;
    if timeout.is_none() {
        timeout = spark.time("spark.rpc.sasl.timeout", TimeUnit::Seconds)?;
    }
    Ok(AuthOptions {
        engine: with_engine.then_some(options),
        sasl: with_sasl.then_some(sasl),
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
    })
}

fn engine(spark: &SparkConf, ssl: bool, like_spark: bool) -> Result<EngineOptions, ConfError> {
    let mut options = EngineOptions::default();
    if like_spark {
        options.version = EngineVersion::V1;
        options.cipher = Some(SessionCipher::AesCtr);
    }
    if let Some(version) = spark.read(ENGINE_VERSION, "1 or 2", |text| text.trim().parse().ok())? {
        options.version = version;
    }
    let expected = "AES/GCM/NoPadding or AES/CTR/NoPadding";
    let cipher = spark.read(CIPHER, expected, |text| text.trim().parse().ok())?;
    options.cipher = if ssl { None } else { cipher.or(options.cipher) };
    Ok(options)
}

/// Which keys are not set that peers of Spark take for something else. Without the first they do not even try the engine.
fn not_sparks_defaults(spark: &SparkConf, crypto: Option<bool>) -> Vec<ConfWarning> {
    let unlike = match crypto {
        None => &[(CRYPTO, "true", "false")][..],
        Some(_) => &[
            (ENGINE_VERSION, "2", "1"),
            (CIPHER, "AES/GCM/NoPadding", "AES/CTR/NoPadding"),
        ],
    };
    let unset = unlike.iter().filter(|(key, ..)| !spark.contains(key));
    unset
        .map(|&(key, ours, sparks)| ConfWarning::NotSparksDefault { key, ours, sparks })
        .collect()
}

/// In Spark's order: from the environment, from the settings, from a file.
fn secret(spark: &SparkConf, environment: impl Fn(&str) -> Option<OsString>) -> Result<Secret, ConfError> {
    const KEY: &str = "spark.authenticate.secret";
    let variable = environment(Secret::SPARK_ENVIRONMENT_VARIABLE);
    let unusable = |source: &str, error: &dyn std::fmt::Display| ConfError::Secret {
        source_name: source.to_owned(),
        reason: error.to_string(),
    };
    if let Some(secret) = Secret::from_environment_value(variable.as_deref())
        .map_err(|error| unusable(Secret::SPARK_ENVIRONMENT_VARIABLE, &error))?
    {
        return Ok(secret);
    }
    let general = "spark.authenticate.secret.file";
    let of_role = match spark.get("spark.executor.id") {
        None => general,
        Some("driver") => "spark.authenticate.secret.driver.file",
        Some(_) => "spark.authenticate.secret.executor.file",
    };
    let file = [of_role, general].into_iter().find(|key| spark.contains(key));
    match (spark.get(KEY), file) {
        (Some(_), Some(file)) => Err(contradiction(
            spark,
            (KEY, REDACTED),
            (file, spark.get(file).unwrap_or_default()),
            "there can be only one secret",
        )),
        (Some(secret), None) => Secret::new(secret).map_err(|error| unusable(KEY, &error)),
        (None, Some(key)) => {
            let path = spark.get(key).unwrap_or_default();
            Secret::from_spark_file(Path::new(path)).map_err(|error| unusable(key, &error))
        }
        (None, None) => Err(ConfError::Missing { key: KEY.to_owned() }),
    }
}

fn ssl(
    spark: &SparkConf,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<SslSettings>, ConfError> {
    let settings = SslSettings::from_spark(
        |key| spark.get(key).map(str::to_owned),
        |name| environment(name).and_then(|value| value.into_string().ok()),
    );
    match settings {
        Ok(settings) => Ok(settings.enabled.then_some(settings)),
        Err(SslSettingsError::Value { key, expected }) => {
            let own = format!("spark.ssl.rpc.{key}");
            let key = if spark.contains(&own) {
                own
            } else {
                format!("spark.ssl.{key}")
            };
            Err(ConfError::Unreadable {
                value: spark.get(&key).unwrap_or_default().to_owned(),
                origin: spark.origin(&key).cloned(),
                key,
                expected,
            })
        }
        Err(error) => Err(ConfError::Secret {
            source_name: SSL.to_owned(),
            reason: error.to_string(),
        }),
    }
}

fn contradiction(
    spark: &SparkConf,
    setting: (&str, &str),
    other: (&str, &str),
    why: &'static str,
) -> ConfError {
    ConfError::Contradiction {
        setting: Box::new(Written::new(setting.0, setting.1)),
        other: Box::new(Written::new(other.0, other.1)),
        why,
    }
    .located_in(spark)
}

#[cfg(test)]
#[path = "translate_security_tests.rs"]
mod tests;
