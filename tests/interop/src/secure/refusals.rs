//! Who is refused: at once, with a reason, and never by something weaker.
//!
//! A JVM tells its caller less than its log. When its connection ends during the handshake, also by its own hand, the
//! caller may hear of a stopped outbox before it hears the reason; so it is between two JVMs.

use std::time::{Duration, Instant};

use super::*;

const CRYPTO: &str = "spark.network.crypto.enabled";
const FALLBACK: &str = "spark.network.crypto.saslFallback";
const VERSION: &str = "spark.network.crypto.authEngineVersion";
const DEFAULTS: &str = "spark.rpc.security.defaults";
const GCM: &str = "AES/GCM/NoPadding";
const CTR: &str = "AES/CTR/NoPadding";
const DROPPED: &str = "Message is dropped because Outbox is stopped";

/// Far below every limit of Spark's, which begin at 30 seconds.
const AT_ONCE: Duration = Duration::from_secs(10);

fn with(settings: &Settings, more: &[(&'static str, &str)]) -> Settings {
    let mut settings = settings.clone();
    settings.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
    settings
}

/// The best cipher of the auth engine that works in this Spark.
fn best(world: &World) -> &'static str {
    if world.has_gcm() { GCM } else { CTR }
}

fn plain_sasl() -> Settings {
    authenticated(&[(CRYPTO, "false")])
}

fn sealed_sasl() -> Settings {
    authenticated(&[
        ("spark.authenticate.enableSaslEncryption", "true"),
        ("spark.network.sasl.serverAlwaysEncrypt", "true"),
    ])
}

/// What a JVM's client says of our server.
async fn a_jvm_says(world: &World, theirs: &Settings, ours: &Settings) -> Result<String, String> {
    let Ours { env, vault } = Ours::start(conf(ours)?).await?;
    world
        .jvm
        .run(&format!("secure client visitor{}", words(theirs)))
        .await?;
    let began = Instant::now();
    let said = world.jvm.run(&format!("secure ask visitor {vault}")).await;
    let took = began.elapsed();
    world.jvm.run("secure stop visitor").await?;
    env.shutdown().await;
    if took > AT_ONCE {
        return Err(format!("a JVM took {took:?} to find out: {said:?}"));
    }
    said
}

/// What our client says of a JVM's server.
async fn we_say(world: &World, theirs: &Settings, ours: &Settings) -> Result<String, String> {
    let vault = self::theirs(world, "host", theirs).await?;
    let env = client(ours).await?;
    let began = Instant::now();
    let said = match env.setup_endpoint_ref(&vault).await {
        Ok(vault) => vault.ask(AskText("hello".to_owned())).await.map_err(text),
        Err(error) => Err(text(error)),
    };
    let took = began.elapsed();
    env.shutdown().await;
    world.jvm.run("secure stop host").await?;
    if took > AT_ONCE {
        return Err(format!("it took us {took:?} to find out: {said:?}"));
    }
    said
}

fn says(who: &str, said: Result<String, String>, expected: &[&str]) -> Outcome {
    match said {
        Err(error) if expected.iter().any(|text| error.contains(text)) => Ok(()),
        other => Err(format!(
            "{who} said {other:?}, expected an error with one of {expected:?}"
        )),
    }
}

fn works(who: &str, said: Result<String, String>) -> Outcome {
    same(said, Ok("hello".to_owned())).map_err(|error| format!("{who}: {error}"))
}

/// Neither side gets in; `jvm` are the texts one of which a JVM says of us, `us` what we say of it.
async fn neither_gets_in(
    world: &World,
    theirs: &Settings,
    ours: &Settings,
    jvm: &[&str],
    us: &str,
) -> Outcome {
    says("a JVM", a_jvm_says(world, theirs, ours).await, jvm)?;
    says("we", we_say(world, theirs, ours).await, &[us])
}

async fn both_get_in(world: &World, theirs: &Settings, ours: &Settings) -> Outcome {
    works("a JVM", a_jvm_says(world, theirs, ours).await)?;
    works("we", we_say(world, theirs, ours).await)
}

pub(crate) async fn another_secret_gets_nobody_in(world: &World) -> Outcome {
    let engine = engine("2", GCM);
    for right in [
        engine.clone(),
        with(&engine, &[(FALLBACK, "true")]),
        with(&engine, &[(FALLBACK, "false")]),
        plain_sasl(),
        sealed_sasl(),
    ] {
        let mut wrong = right.clone();
        wrong[1].1 = "another".to_owned();
        let jvm = ["Authentication failed.", DROPPED];
        neither_gets_in(
            world,
            &wrong,
            &right,
            &jvm,
            "most likely the secret there is another one",
        )
        .await
        .map_err(|error| format!("{right:?}: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn one_side_without_authentication_is_told_so(world: &World) -> Outcome {
    let none = Settings::new();
    let mechanisms = [
        engine("2", GCM),
        with(&engine("2", GCM), &[(FALLBACK, "true")]),
        plain_sasl(),
        sealed_sasl(),
    ];
    for ours in &mechanisms {
        let jvm = [
            "Expected SaslMessage, received something else",
            "Unknown challenge message. This server wants spark.authenticate = true",
        ];
        neither_gets_in(
            world,
            &none,
            ours,
            &jvm,
            "spark.authenticate must be true on both sides",
        )
        .await
        .map_err(|error| format!("a JVM without, and {ours:?}: {error}"))?;
    }
    for theirs in &mechanisms {
        let jvm = ["spark.authenticate is not the same on both", DROPPED];
        neither_gets_in(
            world,
            theirs,
            &none,
            &jvm,
            "here there is none: set spark.authenticate = true",
        )
        .await
        .map_err(|error| format!("{theirs:?}, and we without: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn sasl_is_fallen_back_to_where_both_sides_allow_it(world: &World) -> Outcome {
    let engine = engine("2", best(world));
    let fallback = with(&engine, &[(FALLBACK, "true")]);
    let strict = with(&engine, &[(FALLBACK, "false")]);
    // A JVM that speaks SASL only.
    both_get_in(world, &sealed_sasl(), &fallback).await?;
    let lax = with(&fallback, &[("spark.authenticate.enableSaslEncryption", "false")]);
    both_get_in(world, &plain_sasl(), &lax).await?;
    let jvm = ["Unknown challenge message.", DROPPED];
    let us = "allow SASL here, by spark.network.crypto.saslFallback = true";
    neither_gets_in(world, &plain_sasl(), &strict, &jvm, us).await?;
    // What is told to do encryption does not do without.
    let said = a_jvm_says(world, &plain_sasl(), &fallback).await;
    says(
        "a JVM",
        said,
        &["No common protection layer between client and server", DROPPED],
    )?;
    // We speak SASL only.
    both_get_in(world, &fallback, &plain_sasl()).await?;
    let jvm = ["Expected SaslMessage", DROPPED];
    let us = "it speaks the auth engine only: set spark.network.crypto.enabled = true here";
    neither_gets_in(world, &strict, &plain_sasl(), &jvm, us).await?;
    // Whoever knows the engine uses it, whatever else is allowed.
    both_get_in(world, &fallback, &fallback).await
}

pub(crate) async fn sasl_with_and_without_encryption_do_not_mix(world: &World) -> Outcome {
    let jvm = ["No common protection layer between client and server", DROPPED];
    says(
        "a JVM",
        a_jvm_says(world, &plain_sasl(), &sealed_sasl()).await,
        &jvm,
    )?;
    let said = we_say(world, &sealed_sasl(), &plain_sasl()).await;
    says("we", said, &["compare spark.authenticate.enableSaslEncryption"])
}

pub(crate) async fn a_version_or_cipher_of_one_side_only_ends_at_once(world: &World) -> Outcome {
    let us = "the same spark.network.crypto.authEngineVersion and spark.network.crypto.cipher";
    for (theirs, ours) in [
        (("1", CTR), ("2", GCM)),
        (("2", GCM), ("1", CTR)),
        (("1", GCM), ("2", GCM)),
        (("2", GCM), ("1", GCM)),
        (("1", CTR), ("2", CTR)),
        (("2", CTR), ("1", CTR)),
    ] {
        let (theirs, ours) = (engine(theirs.0, theirs.1), engine(ours.0, ours.1));
        let jvm = [
            "java.io.IOException: Connection from",
            "Connection reset",
            DROPPED,
        ];
        neither_gets_in(world, &theirs, &ours, &jvm, us)
            .await
            .map_err(|error| format!("{theirs:?} there, {ours:?} here: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn a_file_made_for_spark_works_with_its_defaults(world: &World) -> Outcome {
    let defaults = [(DEFAULTS, "spark")];
    for file in [
        authenticated(&[]),
        authenticated(&[(CRYPTO, "true")]),
        authenticated(&[(CRYPTO, "true"), (FALLBACK, "false")]),
        authenticated(&[
            (CRYPTO, "true"),
            (VERSION, "2"),
            ("spark.network.crypto.cipher", best(world)),
        ]),
        authenticated(&[("spark.authenticate.enableSaslEncryption", "true")]),
    ] {
        both_get_in(world, &file, &with(&file, &defaults))
            .await
            .map_err(|error| format!("{file:?}: {error}"))?;
    }
    // Without, the first of them names the key.
    let file = authenticated(&[]);
    let us = "spark.rpc.security.defaults = spark";
    neither_gets_in(world, &file, &file, &["Unknown challenge message.", DROPPED], us).await
}

pub(crate) async fn tls_of_one_side_only_ends_at_once(world: &World) -> Outcome {
    if !world.has_tls() {
        return world.leave_out("TLS for RPC came with Spark 4.0");
    }
    let keys = keys::Keys::in_folder(&folder(world)?)?;
    let (tls, none) = (keys.stores(), Settings::new());
    let jvm = [
        "java.io.IOException: Connection from",
        "Connection reset",
        "NotSslRecord",
        DROPPED,
    ];
    neither_gets_in(
        world,
        &none,
        &tls,
        &jvm,
        "only one side has spark.ssl.rpc.enabled",
    )
    .await?;
    neither_gets_in(world, &tls, &none, &jvm, "closed").await?;
    neither_gets_in(
        world,
        &tls,
        &engine("2", GCM),
        &jvm,
        "only one side has spark.ssl.rpc.enabled",
    )
    .await
}

pub(crate) async fn a_certificate_that_nobody_vouches_for_is_refused(world: &World) -> Outcome {
    if !world.has_tls() {
        return world.leave_out("TLS for RPC came with Spark 4.0");
    }
    let keys = keys::Keys::in_folder(&folder(world)?)?;
    let strangers = keys.others();
    let jvm = ["SSLHandshakeException", "Connection from", DROPPED];
    neither_gets_in(
        world,
        &keys.stores(),
        &strangers,
        &jvm,
        "invalid peer certificate",
    )
    .await
}
