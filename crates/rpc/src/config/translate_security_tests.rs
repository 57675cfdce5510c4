//! Tests of `translate_security.rs`.

use std::time::Duration;

use spark_rpc_transport::auth::engine::{EngineVersion, SessionCipher};

use super::*;
use crate::config::RpcConf;

fn read_with(pairs: &[(&str, &str)], variable: Option<&str>) -> Result<SecurityConf, ConfError> {
    let spark = SparkConf::from_pairs(pairs.iter().copied());
    let environment = |name: &str| {
        (name == Secret::SPARK_ENVIRONMENT_VARIABLE)
            .then(|| variable.map(OsString::from))
            .flatten()
    };
    let conf = security(&spark, environment, &mut Vec::new())?;
    conf.check()?;
    Ok(conf)
}

fn read(pairs: &[(&str, &str)]) -> Result<SecurityConf, ConfError> {
    read_with(pairs, None)
}

/// With a secret, and some more.
fn authenticated(more: &[(&str, &str)]) -> SecurityConf {
    let own = [
        ("spark.authenticate", "true"),
        ("spark.authenticate.secret", "abc"),
    ];
    read(&[&own, more].concat()).unwrap()
}

#[test]
fn nothing_set_protects_nothing() {
    assert_eq!(read(&[]).unwrap(), SecurityConf::default());
    assert_eq!(
        read(&[("spark.authenticate.secret", "abc")]).unwrap().secret,
        None,
        "as in Spark, a secret alone switches nothing on"
    );
}

#[test]
fn a_secret_alone_means_the_strongest_and_nothing_else() {
    let conf = authenticated(&[]);
    assert_eq!(conf.secret, Some(Secret::new("abc").unwrap()));
    assert_eq!(conf.auth, AuthOptions::default());
    let engine = conf.auth.engine.unwrap();
    assert_eq!(
        (engine.version, engine.cipher),
        (EngineVersion::V2, Some(SessionCipher::AesGcm))
    );
    assert_eq!(conf.auth.sasl, None);
    assert_eq!(authenticated(&[(CRYPTO, "true")]).auth, AuthOptions::default());
}

#[test]
fn what_is_weak_is_used_where_it_is_named() {
    let sasl = |more: &[(&str, &str)]| {
        let auth = authenticated(more).auth;
        let sasl = auth.sasl.map(|sasl| (sasl.encrypt, sasl.always_encrypt));
        (auth.engine.is_some(), sasl)
    };
    assert_eq!(sasl(&[(SASL_FALLBACK, "true")]), (true, Some((true, true))));
    assert_eq!(sasl(&[(SASL_FALLBACK, "false")]), (true, None));
    assert_eq!(sasl(&[(SASL_ENCRYPTION, "true")]), (false, Some((true, true))));
    assert_eq!(sasl(&[(SASL_ALWAYS, "true")]), (false, Some((true, true))));
    assert_eq!(sasl(&[(CRYPTO, "false")]), (false, Some((false, false))));
    assert_eq!(
        sasl(&[(CRYPTO, "true"), (SASL_ENCRYPTION, "true")]),
        (true, None),
        "the fallback is not named"
    );
    let engine = authenticated(&[
        (CRYPTO, "true"),
        ("spark.network.crypto.authEngineVersion", "1"),
        ("spark.network.crypto.cipher", "AES/CTR/NoPadding"),
    ]);
    let engine = engine.auth.engine.unwrap();
    assert_eq!(
        (engine.version, engine.cipher),
        (EngineVersion::V1, Some(SessionCipher::AesCtr))
    );
}

fn told(more: &[(&str, &str)]) -> Vec<String> {
    let own = [
        ("spark.authenticate", "true"),
        ("spark.authenticate.secret", "abc"),
    ];
    let spark = SparkConf::from_pairs([&own, more].concat());
    let warnings = RpcConf::from_spark(&spark).unwrap().warnings();
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn where_spark_has_another_default_the_key_is_told() {
    let said = told(&[(CRYPTO, "true"), (CIPHER, "AES/GCM/NoPadding")]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("spark.network.crypto.authEngineVersion is not set and counts as 2"),
        "{said:?}"
    );
    assert!(
        said[0].ends_with("spark.rpc.security.defaults = spark"),
        "{said:?}"
    );
    // What a Spark file often has and nothing more: its JVMs speak SASL.
    let said = told(&[]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("spark.network.crypto.enabled is not set and counts as true"),
        "{said:?}"
    );
    for settled in [
        &[(CRYPTO, "false")][..],
        &[(SASL_ENCRYPTION, "true")],
        &[(DEFAULTS, "spark")],
        &[(DEFAULTS, "spark"), (CRYPTO, "true")],
    ] {
        assert_eq!(told(settled), Vec::<String>::new(), "{settled:?}");
    }
}

#[test]
fn a_file_made_for_spark_means_the_same_where_its_defaults_are_named() {
    let like_spark = |more: &[(&str, &str)]| {
        let auth = authenticated(&[&[(DEFAULTS, "spark")], more].concat()).auth;
        let engine = auth.engine.map(|engine| (engine.version, engine.cipher));
        (engine, auth.sasl.map(|sasl| (sasl.encrypt, sasl.always_encrypt)))
    };
    let (v1, ctr) = (EngineVersion::V1, Some(SessionCipher::AesCtr));
    let plain = Some((false, false));
    assert_eq!(like_spark(&[]), (None, plain));
    assert_eq!(
        like_spark(&[(SASL_FALLBACK, "false")]),
        (None, plain),
        "as Spark has it"
    );
    assert_eq!(
        like_spark(&[(CRYPTO, "false"), (SASL_FALLBACK, "false")]),
        (None, plain)
    );
    assert_eq!(like_spark(&[(CRYPTO, "true")]), (Some((v1, ctr)), plain));
    assert_eq!(
        like_spark(&[(CRYPTO, "true"), (SASL_FALLBACK, "false")]),
        (Some((v1, ctr)), None)
    );
    assert_eq!(
        like_spark(&[
            (CRYPTO, "true"),
            (ENGINE_VERSION, "2"),
            (CIPHER, "AES/GCM/NoPadding"),
            (SASL_FALLBACK, "false")
        ]),
        (Some((EngineVersion::V2, Some(SessionCipher::AesGcm))), None)
    );
    assert_eq!(
        like_spark(&[(SASL_ENCRYPTION, "true")]),
        (None, Some((true, false)))
    );
    assert_eq!(
        like_spark(&[(SASL_ENCRYPTION, "true"), (SASL_ALWAYS, "true")]),
        (None, Some((true, true)))
    );
    assert_eq!(
        authenticated(&[(DEFAULTS, "strong")]).auth,
        AuthOptions::default()
    );
    let error = read(&[(DEFAULTS, "weak")]).unwrap_err().to_string();
    assert!(
        error.contains(DEFAULTS) && error.contains("strong or spark"),
        "{error}"
    );
}

#[test]
fn contradictions_name_both_keys() {
    let on = ("spark.authenticate", "true");
    let secret = ("spark.authenticate.secret", "swordfish");
    type Case<'a> = (&'a [(&'a str, &'a str)], [&'a str; 2]);
    let cases: [Case<'_>; 8] = [
        (&[(CRYPTO, "true")], [CRYPTO, AUTHENTICATE]),
        (&[(SASL_ENCRYPTION, "true")], [SASL_ENCRYPTION, AUTHENTICATE]),
        (
            &[on, secret, (CRYPTO, "false"), (SASL_FALLBACK, "false")],
            [CRYPTO, SASL_FALLBACK],
        ),
        (
            &[on, secret, (SASL_ALWAYS, "true"), (SASL_ENCRYPTION, "false")],
            [SASL_ALWAYS, SASL_ENCRYPTION],
        ),
        (&[on, secret, (SSL, "true"), (CRYPTO, "true")], [SSL, CRYPTO]),
        (
            &[("spark.rpc.security.clientCertificates", "true")],
            ["spark.rpc.security.clientCertificates", SSL],
        ),
        (
            &[on, secret, ("spark.authenticate.secret.file", "/s")],
            ["spark.authenticate.secret", "spark.authenticate.secret.file"],
        ),
        (
            &[
                on,
                secret,
                ("spark.executor.id", "driver"),
                ("spark.authenticate.secret.driver.file", "/s"),
            ],
            [
                "spark.authenticate.secret",
                "spark.authenticate.secret.driver.file",
            ],
        ),
    ];
    for (pairs, keys) in cases {
        let error = read(pairs).unwrap_err();
        let ConfError::Contradiction { setting, other, .. } = &error else {
            panic!("{pairs:?}: {error}")
        };
        assert_eq!([&*setting.key, &*other.key], keys);
        assert!(!format!("{error} {error:?}").contains("swordfish"), "{error}");
    }
}

#[test]
fn a_secret_comes_from_the_environment_first_then_from_the_settings_then_from_a_file() {
    let on = ("spark.authenticate", "true");
    let secret = |text: &str| Some(Secret::new(text).unwrap());
    let written = ("spark.authenticate.secret", "written");
    assert_eq!(
        read_with(&[on, written], Some("given")).unwrap().secret,
        secret("given")
    );
    assert_eq!(read(&[on, written]).unwrap().secret, secret("written"));

    let path = std::env::temp_dir().join(format!("spark-rpc-secret-{}", std::process::id()));
    std::fs::write(&path, b"abc").unwrap();
    let file = ("spark.authenticate.secret.file", path.to_str().unwrap());
    assert_eq!(
        read(&[on, file]).unwrap().secret,
        secret("YWJj"),
        "in Base64, as in Spark"
    );
    std::fs::remove_file(&path).unwrap();
    let error = read(&[on, file]).unwrap_err().to_string();
    assert!(
        error.starts_with("spark.authenticate.secret.file: cannot read"),
        "{error}"
    );

    let missing = read(&[on]).unwrap_err();
    assert!(matches!(&missing, ConfError::Missing { key } if key == "spark.authenticate.secret"));
    assert!(read_with(&[on], Some("")).is_err(), "an empty secret is none");
}

#[test]
fn tls_leaves_encryption_to_tls() {
    let tls = [
        (SSL, "true"),
        ("spark.ssl.rpc.privateKey", "/k"),
        ("spark.ssl.certChain", "/c"),
    ];
    let conf = authenticated(&tls);
    assert_eq!(conf.auth.engine.unwrap().cipher, None);
    assert!(conf.ssl.is_some());
    let error = read(&[(SSL, "true"), ("spark.ssl.protocol", "SSLv3")]).unwrap_err();
    assert!(
        matches!(&error, ConfError::Unreadable { key, .. } if key == "spark.ssl.protocol"),
        "{error}"
    );
}

#[test]
fn no_secret_is_printed() {
    let conf = authenticated(&[("spark.ssl.rpc.keyStorePassword", "abc")]);
    let printed = format!("{conf:?}");
    assert!(
        !printed.contains("abc") && !printed.contains("97, 98"),
        "{printed}"
    );
}

#[test]
fn the_limit_of_an_answer_has_two_keys() {
    let limit = |more: &[(&str, &str)]| authenticated(more).auth.timeout.as_secs();
    assert_eq!(limit(&[]), 30);
    assert_eq!(limit(&[("spark.rpc.sasl.timeout", "7s")]), 7);
    assert_eq!(limit(&[("spark.rpc.sasl.timeout", "7s"), (AUTH_TIMEOUT, "3")]), 3);
    let zero = SecurityConf {
        auth: AuthOptions {
            timeout: std::time::Duration::ZERO,
            ..AuthOptions::default()
        },
        ..SecurityConf::default()
    };
    assert!(zero.check().is_err());
}

#[test]
fn files_are_looked_at_as_often_as_the_keys_say() {
    let interval =
        |text: &str| read(&[("spark.rpc.security.reloadInterval", text)]).map(|conf| conf.reload_interval);
    assert_eq!(
        SecurityConf::default().reload_interval,
        Some(Duration::from_secs(10))
    );
    assert_eq!(interval("2m").unwrap(), Some(Duration::from_secs(120)));
    assert_eq!(interval("0").unwrap(), None);
    interval("1us").unwrap_err();
    interval("soon").unwrap_err();
}
