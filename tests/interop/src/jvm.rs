//! The JVM's half of the suite: a process that takes commands.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<String>>>>;

/// A JVM with the harness. It is killed when this is dropped.
pub(crate) struct Jvm {
    child: Child,
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    next: std::sync::atomic::AtomicU64,
}

impl Jvm {
    /// Starts the harness; the class path comes from the environment. What it logs goes to `log`.
    pub(crate) async fn start(log: &Path) -> Result<Self, String> {
        let log = std::fs::File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut child = Command::new("java")
            .args(["-Xmx512m", "-Duser.timezone=UTC"])
            .args(opened())
            .arg("org.apache.spark.rpc.interop.Harness")
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .env("SPARK_LOCAL_HOSTNAME", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot run java: {error}"))?;
        let input = child.stdin.take().ok_or("no stdin")?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
        let first = tokio::time::timeout(LIMIT, lines.next_line()).await;
        if !matches!(&first, Ok(Ok(Some(line))) if line == "ready") {
            return Err(format!("the harness did not start: {first:?}"));
        }
        let waiting = Waiting::default();
        let answers = Arc::clone(&waiting);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let Some((id, answer)) = line.split_once(' ') else {
                    continue;
                };
                let id = id.parse().unwrap_or(u64::MAX);
                let waits = lock(&answers).remove(&id);
                if let Some(waits) = waits {
                    // Nobody may wait any more.
                    let _ = waits.send(answer.replace('\u{1}', "\n"));
                }
            }
            lock(&answers).clear();
        });
        Ok(Self {
            child,
            input: input.into(),
            waiting,
            next: 1.into(),
        })
    }

    /// Runs a command; `Err` holds the class and message of the exception that it ended with.
    pub(crate) async fn run(&self, command: &str) -> Result<String, String> {
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&self.waiting).insert(id, sender);
        let line = format!("{id} {command}\n");
        let written = self.input.lock().await.write_all(line.as_bytes()).await;
        written.map_err(|error| format!("the JVM is gone: {error}"))?;
        let answer = tokio::time::timeout(LIMIT, answer).await;
        let answer = answer.map_err(|_| format!("no answer to `{command}` in {} s", LIMIT.as_secs()))?;
        let answer = answer.map_err(|_| "the JVM is gone".to_owned())?;
        match answer.split_once(' ') {
            Some(("ok", text)) => Ok(text.to_owned()),
            Some((_, text)) => Err(text.to_owned()),
            None => Ok(String::new()),
        }
    }

    /// Ends the process as a power failure would.
    pub(crate) async fn kill(&mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| error.to_string())
    }
}

/// The options by which Java lets Spark at its insides, as Spark's own launcher does, as far as RPC needs it.
pub(crate) fn opened() -> impl Iterator<Item = String> {
    OPEN.iter()
        .map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const OPEN: [&str; 10] = [
    "java.io",
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "sun.nio.ch",
    "sun.security.action",
];
/// No command takes nearly as long.
const LIMIT: Duration = Duration::from_secs(120);
