//! Files, from us to a JVM and from a JVM to us.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use spark_rpc::{FileError, RpcEnv};
use tokio::io::AsyncReadExt;

use crate::ours::Ours;
use crate::{Outcome, World, fails_with, same, text};

/// The name of a file needs encoding in a URI, that in a folder does not.
const FILE: &str = "grüße und mehr.txt";
const NESTED: &str = "org/example/Main$.class";

pub(crate) async fn a_jvm_gets_file_jar_and_folder_from_us(world: &World) -> Outcome {
    let folder = Folder::new(world, "from-us")?;
    let server = world.server.file_server();
    let small = folder.write(FILE, b"a few bytes")?;
    let empty = folder.write("empty", b"")?;
    let jar = folder.write("code.jar", &noise(3 << 20))?;
    let class = folder.write(&format!("classes/{NESTED}"), &noise(70_000))?;
    let classes = folder.path.join("classes");
    let base = server.add_directory("/classes", classes).await.map_err(text)?;
    let served = [
        (&small, server.add_file(&small).await.map_err(text)?),
        (&empty, server.add_file(&empty).await.map_err(text)?),
        (&jar, server.add_jar(&jar).await.map_err(text)?),
        (&class, format!("{base}/{NESTED}")),
    ];
    for (path, uri) in served {
        let path = word(path);
        let original = world.jvm.run(&format!("checksum {path}")).await?;
        for mode in ["client", "server"] {
            let got = world.jvm.run(&format!("fetch {mode} {uri}")).await;
            same(got, Ok(original.clone())).map_err(|error| format!("{uri}: {error}"))?;
        }
    }
    Ok(())
}

pub(crate) async fn we_get_file_jar_and_folder_from_a_jvm(world: &World) -> Outcome {
    let folder = Folder::new(world, "from-a-jvm")?;
    let small = folder.write(FILE, b"a few bytes")?;
    let empty = folder.write("empty", b"")?;
    let jar = folder.write("code.jar", &noise(3 << 20))?;
    let class = folder.write(&format!("classes/{NESTED}"), &noise(70_000))?;
    let classes = word(&folder.path.join("classes"));
    let serve = async |what: &str, path: &str| world.jvm.run(&format!("serve-{what} server {path}")).await;
    let base = serve("directory /classes", &classes).await?;
    let served = [
        (&small, serve("file", &word(&small)).await?),
        (&empty, serve("file", &word(&empty)).await?),
        (&jar, serve("jar", &word(&jar)).await?),
        (&class, format!("{base}/{NESTED}")),
    ];
    for (path, uri) in served {
        let original = fs::read(path).map_err(text)?;
        for env in [&world.client, &world.server] {
            let mut channel = env.open_channel(&uri).await.map_err(text)?;
            let mut got = Vec::new();
            channel.read_to_end(&mut got).await.map_err(text)?;
            same(got == original, true).map_err(|_| format!("{uri}: {} bytes", got.len()))?;
        }
        let copy = folder.path.join("copy");
        world.client.fetch_file(&uri, &copy).await.map_err(text)?;
        same(fs::read(copy).map_err(text)? == original, true).map_err(|_| uri)?;
    }
    Ok(())
}

pub(crate) async fn a_jvm_is_told_that_we_do_not_serve_a_file(world: &World) -> Outcome {
    let folder = Folder::new(world, "missing-here")?;
    folder.write("secret", b"not for others")?;
    folder.write("shown/file", b"for others")?;
    let server = world.server.file_server();
    let shown = folder.path.join("shown");
    let base = server.add_directory("/shown", shown).await.map_err(text)?;
    let files = world.ours("x").replace("x@", "");
    for uri in [
        format!("{files}/files/nothing"),
        format!("{files}/jars/nothing"),
        format!("{base}/nothing"),
        format!("{base}/../secret"),
        format!("{base}/%2e%2e/secret"),
    ] {
        let got = world.jvm.run(&format!("fetch client {uri}")).await;
        fails_with(got, &["was not found"]).map_err(|error| format!("{uri}: {error}"))?;
    }
    // The connection that failed is good for what there is.
    let got = world.jvm.run(&format!("fetch client {base}/file")).await?;
    same(got.starts_with("10 "), true).map_err(|_| got)
}

pub(crate) async fn we_are_told_that_a_jvm_does_not_serve_a_file(world: &World) -> Outcome {
    let address = world.jvm.run("address server").await?;
    for path in ["files/nothing", "jars/nothing", "nothing/at/all"] {
        let uri = format!("spark://{address}/{path}");
        match world.client.open_channel(&uri).await {
            Err(FileError::NotServed { uri: named, .. }) => same(named, uri)?,
            other => return Err(format!("{uri}: {other:?}")),
        }
    }
    Ok(())
}

pub(crate) async fn a_gibibyte_comes_whole_in_both_directions(world: &World) -> Outcome {
    let folder = Folder::new(world, "large")?;
    let path = folder.path.join("gibibyte");
    write_sparse(&path).map_err(text)?;
    let sum = world.jvm.run(&format!("checksum {}", word(&path))).await?;
    let uri = world.server.file_server().add_file(&path).await.map_err(text)?;
    let got = world.jvm.run(&format!("fetch client {uri}")).await;
    world.server.file_server().remove_file("gibibyte");
    same(got, Ok(sum)).map_err(|error| format!("from us: {error}"))?;

    let uri = world
        .jvm
        .run(&format!("serve-file server {}", word(&path)))
        .await?;
    let same = is_the_same(&world.client, &uri, &path).await?;
    crate::same(same, true).map_err(|_| "from a JVM: other bytes".to_owned())
}

pub(crate) async fn a_file_that_a_jvm_does_not_finish_is_no_file(world: &World) -> Outcome {
    let folder = Folder::new(world, "broken-off")?;
    let path = folder.path.join("gibibyte");
    write_sparse(&path).map_err(text)?;
    let mut mortal = world.another_jvm("mortal-files").await?;
    let uri = mortal.run(&format!("serve-file server {}", word(&path))).await?;
    let mut channel = world.client.open_channel(&uri).await.map_err(text)?;
    // No more than what is on the way can come once it is dead, which is much less than all.
    channel.chunk().await.map_err(text)?;
    mortal.kill().await?;
    let end = loop {
        match channel.chunk().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    match end {
        Err(FileError::BrokenOff { uri: named, .. }) => same(named, uri),
        other => Err(format!("{other:?}")),
    }
}

pub(crate) async fn a_file_that_we_do_not_finish_is_no_file(world: &World) -> Outcome {
    let folder = Folder::new(world, "broken-off-here")?;
    let path = folder.path.join("gibibyte");
    write_sparse(&path).map_err(text)?;
    let (mut ours, uri) = Ours::start("127.0.0.1:0", Some(&path)).await?;
    // It does not read on before it is told to, so that we cannot have sent all.
    world.jvm.run(&format!("fetch-begin client {uri}")).await?;
    ours.kill().await?;
    let end = world.jvm.run("fetch-end").await;
    fails_with(end, &["java."])
}

/// Whether what comes from `uri` is what is in the file.
async fn is_the_same(env: &RpcEnv, uri: &str, path: &Path) -> Result<bool, String> {
    let mut original = File::open(path).map_err(text)?;
    let mut channel = env.open_channel(uri).await.map_err(text)?;
    let mut expected = Vec::new();
    while let Some(piece) = channel.chunk().await.map_err(text)? {
        expected.resize(piece.len(), 0);
        original.read_exact(&mut expected).map_err(text)?;
        if piece != expected {
            return Ok(false);
        }
    }
    // It ends where the file ends.
    Ok(original.read(&mut [0]).map_err(text)? == 0)
}

/// A file of one GiB that takes little of the disk: noise here and there, up to the last byte.
fn write_sparse(path: &Path) -> std::io::Result<()> {
    const LENGTH: u64 = 1 << 30;
    let noise = noise(100_000);
    let mut file = File::create(path)?;
    file.set_len(LENGTH)?;
    for at in (0..LENGTH).step_by(61_000_003) {
        let part = &noise[..noise.len().min((LENGTH - at) as usize)];
        file.seek(SeekFrom::Start(at))?;
        file.write_all(part)?;
    }
    file.seek(SeekFrom::Start(LENGTH - 5))?;
    file.write_all(b"last\n")
}

/// Bytes that do not repeat soon.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A path as a word of a command.
fn word(path: &Path) -> String {
    path.to_string_lossy().replace(' ', "%20")
}

/// A folder that is removed at the end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(world: &World, name: &str) -> Result<Self, String> {
        let path = world.logs.join(name);
        fs::create_dir_all(&path).map_err(text)?;
        Ok(Self { path })
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, String> {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&self.path)).map_err(text)?;
        fs::write(&path, content).map_err(text)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whoever looks for what went wrong does not need it.
        let _ = fs::remove_dir_all(&self.path);
    }
}
