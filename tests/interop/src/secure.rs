//! Each way of authentication and encryption that a JVM knows: what works, over all kinds of traffic and in both
//! directions. Who is refused, and how, is in [`refusals`].

mod chunks;
mod keys;
pub(crate) mod refusals;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use spark_rpc::config::{RpcConf, SparkConf};
use spark_rpc::javaobj::JavaObject;
use spark_rpc::{RpcEndpointRef, RpcEnv, RpcMessage, rpc_endpoint};

use crate::messages::{AskBytes, AskText};
use crate::{Outcome, World, same, text};

/// Settings by Spark's keys: one list for both sides.
type Settings = Vec<(&'static str, String)>;

const SECRET: &str = "between you, me and the gatepost: a secret of more than fifty-seven bytes";
/// Of a large reply, through every cipher, 3DES with its few MiB a second included.
const BIG: usize = 64 << 20;
/// Of the file that is served.
const FILE: usize = 8 << 20;

/// With authentication by [`SECRET`], and more.
fn authenticated(more: &[(&'static str, &str)]) -> Settings {
    let mut settings = vec![
        ("spark.authenticate", "true".to_owned()),
        ("spark.authenticate.secret", SECRET.replace(' ', "-")),
    ];
    settings.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
    settings
}

fn engine(version: &'static str, cipher: &'static str) -> Settings {
    authenticated(&[
        ("spark.network.crypto.enabled", "true"),
        ("spark.network.crypto.authEngineVersion", version),
        ("spark.network.crypto.cipher", cipher),
    ])
}

/// As words of a command.
fn words(settings: &Settings) -> String {
    settings.iter().fold(String::new(), |mut words, (key, value)| {
        words += &format!(" {key}={value}");
        words
    })
}

fn conf(settings: &Settings) -> Result<RpcConf, String> {
    let spark = SparkConf::from_pairs(settings.iter().map(|(key, value)| (*key, value.as_str())));
    RpcConf::from_spark(&spark).map_err(text)
}

/// What both sides send and expect.
fn pattern(size: usize) -> Bytes {
    (0..size).map(|n| (n * 31) as u8).collect()
}

fn right(bytes: &[u8], size: usize) -> bool {
    // It repeats itself after 256 bytes.
    let period = pattern(256);
    bytes.len() == size && bytes.chunks(256).all(|chunk| *chunk == period[..chunk.len()])
}

/// So many bytes, please.
#[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java, reply = AskBytes)]
#[java(transparent)]
struct Bring(i32);

/// The counterpart of the harness's `Vault`.
struct Vault;

#[rpc_endpoint]
impl Vault {
    async fn bring(&mut self, Bring(size): Bring) -> AskBytes {
        AskBytes(pattern(size as usize))
    }

    async fn text(&mut self, AskText(text): AskText) -> String {
        text
    }
}

/// A server of ours, with a vault and a file.
struct Ours {
    env: RpcEnv,
    vault: String,
}

impl Ours {
    async fn start(conf: RpcConf) -> Result<Self, String> {
        let env = RpcEnv::builder("secure").bind("127.0.0.1:0").conf(conf).start();
        let env = env.await.map_err(text)?;
        let vault = env.setup_endpoint("vault", Vault).map_err(text)?.to_string();
        Ok(Self { env, vault })
    }
}

/// A client of ours.
async fn client(settings: &Settings) -> Result<RpcEnv, String> {
    let client = RpcEnv::builder("secure-client")
        .client_mode()
        .conf(conf(settings)?);
    client.start().await.map_err(text)
}

/// Starts an env of the JVM's and returns where its vault is.
async fn theirs(world: &World, name: &str, settings: &Settings) -> Result<String, String> {
    let address = world
        .jvm
        .run(&format!("secure server {name}{}", words(settings)))
        .await?;
    Ok(format!("spark://vault@{address}"))
}

fn folder(world: &World) -> Result<PathBuf, String> {
    let folder = world.logs.join("secure");
    std::fs::create_dir_all(&folder).map_err(text)?;
    Ok(folder)
}

fn served_file(folder: &Path) -> Result<PathBuf, String> {
    let path = folder.join("pattern");
    std::fs::write(&path, pattern(FILE)).map_err(text)?;
    Ok(path)
}

/// All kinds of traffic, in both directions, with the same settings on both sides.
async fn everything_works(world: &World, settings: &Settings) -> Outcome {
    everything_works_between(world, settings, settings).await
}

async fn everything_works_between(world: &World, theirs: &Settings, ours: &Settings) -> Outcome {
    a_jvm_gets_everything(world, theirs, ours)
        .await
        .map_err(|error| format!("a JVM from us: {error}"))?;
    we_get_everything(world, theirs, ours)
        .await
        .map_err(|error| format!("we from a JVM: {error}"))
}

async fn a_jvm_gets_everything(world: &World, theirs: &Settings, ours: &Settings) -> Outcome {
    let file = served_file(&folder(world)?)?;
    let chunks = chunks::Server::start(&conf(ours)?).await?;
    let Ours { env, vault } = Ours::start(conf(ours)?).await?;
    let file = env.file_server().add_file(file).await.map_err(text)?;
    let run = async |command: String| world.jvm.run(&format!("secure {command}")).await;
    run(format!("client visitor{}", words(theirs))).await?;
    same(run(format!("ask visitor {vault}")).await?, "hello".to_owned())?;
    same(
        run(format!("bytes visitor {vault} {BIG}")).await?,
        format!("{BIG} right"),
    )?;
    same(
        run(format!("read visitor {file}")).await?,
        format!("{FILE} right"),
    )?;
    let fetch = format!(
        "chunks 127.0.0.1 {} 8 {}{}",
        chunks.port(),
        1 << 20,
        words(theirs)
    );
    same(run(fetch).await?, format!("{} right", 1 << 20))?;
    run("stop visitor".to_owned()).await?;
    env.shutdown().await;
    Ok(())
}

async fn we_get_everything(world: &World, theirs: &Settings, ours: &Settings) -> Outcome {
    let file = served_file(&folder(world)?)?;
    let vault = self::theirs(world, "host", theirs).await?;
    let file = world
        .jvm
        .run(&format!("secure serve host {}", file.display()))
        .await?;
    let env = client(ours).await?;
    let vault: RpcEndpointRef = env.setup_endpoint_ref(&vault).await.map_err(text)?;
    same(
        vault.ask(AskText("hello".to_owned())).await.map_err(text)?,
        "hello".to_owned(),
    )?;
    let bytes = vault.ask(Bring(BIG as i32)).await.map_err(text)?;
    same(right(&bytes.0, BIG), true)?;
    let fetched = folder(world)?.join("fetched");
    env.fetch_file(&file, &fetched).await.map_err(text)?;
    same(right(&std::fs::read(&fetched).map_err(text)?, FILE), true)?;
    let port = world
        .jvm
        .run(&format!("secure chunk-server chunks{}", words(theirs)))
        .await?;
    chunks::fetch(&conf(ours)?, port.parse().map_err(text)?, 8, 1 << 20).await?;
    env.shutdown().await;
    world.jvm.run("secure stop host").await?;
    world.jvm.run("secure stop chunks").await?;
    Ok(())
}

pub(crate) async fn auth_engine_1_with_ctr(world: &World) -> Outcome {
    everything_works(world, &engine("1", "AES/CTR/NoPadding")).await
}

pub(crate) async fn auth_engine_1_with_gcm(world: &World) -> Outcome {
    if !world.has_gcm() {
        return world.leave_out("the AES-GCM of Spark 3.4 does not work");
    }
    everything_works(world, &engine("1", "AES/GCM/NoPadding")).await
}

pub(crate) async fn auth_engine_2_with_ctr(world: &World) -> Outcome {
    everything_works(world, &engine("2", "AES/CTR/NoPadding")).await
}

pub(crate) async fn auth_engine_2_with_gcm(world: &World) -> Outcome {
    if !world.has_gcm() {
        return world.leave_out("the AES-GCM of Spark 3.4 does not work");
    }
    everything_works(world, &engine("2", "AES/GCM/NoPadding")).await
}

pub(crate) async fn sasl_without_encryption(world: &World) -> Outcome {
    everything_works(
        world,
        &authenticated(&[("spark.network.crypto.enabled", "false")]),
    )
    .await
}

pub(crate) async fn sasl_with_encryption(world: &World) -> Outcome {
    let settings = authenticated(&[
        ("spark.authenticate.enableSaslEncryption", "true"),
        ("spark.network.sasl.serverAlwaysEncrypt", "true"),
    ]);
    everything_works(world, &settings).await
}

pub(crate) async fn tls_with_key_stores(world: &World) -> Outcome {
    if !world.has_tls() {
        return world.leave_out("TLS for RPC came with Spark 4.0");
    }
    let keys = keys::Keys::in_folder(&folder(world)?)?;
    everything_works(world, &keys.stores()).await
}

pub(crate) async fn tls_with_pem_files_here_and_old_key_stores_there(world: &World) -> Outcome {
    if !world.has_tls() {
        return world.leave_out("TLS for RPC came with Spark 4.0");
    }
    let keys = keys::Keys::in_folder(&folder(world)?)?;
    everything_works_between(world, &keys.old_stores(), &keys.pem_and_trust()).await
}

pub(crate) async fn tls_with_pem_files_on_both_sides(world: &World) -> Outcome {
    if !world.has_tls() {
        return world.leave_out("TLS for RPC came with Spark 4.0");
    }
    let pem = keys::Keys::in_folder(&folder(world)?)?.pem();
    we_get_everything(world, &pem, &pem).await?;
    match a_jvm_gets_everything(world, &pem, &pem).await {
        // Clients of Spark 4.1 and later with PEM files reach no server at all, also none of their own: their netty wants
        // to compare the name in the certificate, and Spark does not tell it whom it has dialled.
        Err(error) if error.contains("Hostname or IP address is undefined") => Ok(()),
        found => found,
    }
}

pub(crate) async fn sasl_within_tls(world: &World) -> Outcome {
    if !world.has_tls() {
        return world.leave_out("TLS for RPC came with Spark 4.0");
    }
    let keys = keys::Keys::in_folder(&folder(world)?)?;
    let mut settings = keys.stores();
    settings.extend(authenticated(&[("spark.network.crypto.enabled", "false")]));
    everything_works(world, &settings).await
}
