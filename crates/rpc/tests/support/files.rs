//! Folders of tests, and reading what is served from them.

use std::fs;
use std::path::{Path, PathBuf};

use spark_rpc::config::RpcConf;
use spark_rpc::security::Secret;
use spark_rpc::{FileError, RpcEnv};
use tempfile::TempDir;

/// A folder of its own for a test, which goes with it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.root()).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

/// Settings by which both sides know a secret.
pub fn with_secret() -> RpcConf {
    RpcConf::default().with_secret(Secret::new("good").unwrap())
}

/// Bytes that repeat themselves so late that a mix-up shows.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8 ^ (i >> 16) as u8).collect()
}

/// The whole file.
pub async fn read(env: &RpcEnv, uri: &str) -> Result<Vec<u8>, FileError> {
    let mut channel = env.open_channel(uri).await?;
    let mut content = Vec::new();
    while let Some(piece) = channel.chunk().await? {
        content.extend_from_slice(&piece);
    }
    assert_eq!(content.len() as u64, channel.length());
    Ok(content)
}

/// The server's words, for a file that it does not serve.
pub async fn refusal(env: &RpcEnv, uri: &str) -> String {
    match read(env, uri).await {
        Err(FileError::NotServed { text, .. }) => text,
        Err(error) => panic!("{uri}: {error}"),
        Ok(content) => panic!("{uri} was served: {:?}", String::from_utf8_lossy(&content)),
    }
}
