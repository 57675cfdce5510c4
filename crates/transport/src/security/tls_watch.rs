//! Files of TLS that change while it is in use, and certificates that expire.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use spark_rpc_auth::tls::{CertificateInfo, Expiry, ExpiryWatch, Material, TlsClient, TlsError, TlsServer};
use tokio::time::Instant;

/// How often the files are looked at; `None` does not look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsWatchOptions {
    /// The own key and its certificates.
    pub identity: Option<Duration>,
    /// The certificates that peers are checked against.
    pub trust: Option<Duration>,
}

/// Loads anew what has changed of the files of a [`TlsServer`] and a [`TlsClient`], and tells of certificates that are
/// about to expire.
///
/// New connections get what is new; those that are open live on. What cannot be loaded leaves in use what was loaded
/// before, is logged once and counted each time. It works by content: how a file was replaced does not matter.
pub struct TlsWatch {
    server: Option<Arc<TlsServer>>,
    client: Option<Arc<TlsClient>>,
    options: TlsWatchOptions,
    counters: TlsCounters,
}

/// What a [`TlsWatch`] has done.
#[derive(Debug, Default)]
struct TlsCounters {
    reloads: AtomicU64,
    failures: AtomicU64,
}

impl TlsWatch {
    /// Watches over one side or both.
    #[must_use]
    pub fn new(
        server: Option<Arc<TlsServer>>,
        client: Option<Arc<TlsClient>>,
        options: TlsWatchOptions,
    ) -> Self {
        Self {
            server,
            client,
            options,
            counters: TlsCounters::default(),
        }
    }

    /// How often something new was taken into use.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.counters.reloads.load(Ordering::Relaxed)
    }

    /// How often something was found that cannot be used, at each look anew.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.counters.failures.load(Ordering::Relaxed)
    }

    /// The first of the own certificates to expire: the server's if there is one, else the client's.
    #[must_use]
    pub fn first_to_expire(&self) -> Option<CertificateInfo> {
        let server = self.server.as_ref().and_then(|server| server.first_to_expire());
        server.or_else(|| self.client.as_ref().and_then(|client| client.first_to_expire()))
    }

    /// Seconds until then; negative afterwards.
    #[must_use]
    pub fn seconds_left(&self, now: SystemTime) -> Option<f64> {
        let end = self.first_to_expire()?.not_after;
        Some(match end.duration_since(now) {
            Ok(left) => left.as_secs_f64(),
            Err(over) => -over.duration().as_secs_f64(),
        })
    }

    /// Looks at the files and the certificates from time to time, until `stop` is done. Files are read on a thread where
    /// that may take its time; none is being read any more when this returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it; a file may be read to its end.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut looks = self.looks();
        let mut expiry = ExpiryWatch::default();
        let mut next_expiry = Instant::now();
        loop {
            let now = Instant::now();
            if next_expiry <= now {
                self.tell_of_expiry(&mut expiry);
                next_expiry = now + EXPIRY_INTERVAL;
            }
            for look in looks.iter_mut().filter(|look| look.due <= now) {
                let target = look.target.clone();
                // Only a runtime that ends refuses, and then this task ends too.
                let Ok(result) = tokio::task::spawn_blocking(move || target.reload()).await else {
                    return;
                };
                look.due = Instant::now() + look.interval;
                if self.note(look, result) {
                    self.tell_of_expiry(&mut expiry);
                }
            }
            let next = looks.iter().map(|look| look.due).fold(next_expiry, Instant::min);
            if tokio::time::timeout_at(next, &mut stop).await.is_ok() {
                return;
            }
        }
    }

    fn looks(&self) -> Vec<Look> {
        let start = Instant::now();
        let mut looks = Vec::new();
        for (what, interval) in [
            (Material::Identity, self.options.identity),
            (Material::Trust, self.options.trust),
        ] {
            let Some(interval) = interval else { continue };
            let server = self.server.iter().map(|server| Side::Server(Arc::clone(server)));
            let client = self.client.iter().map(|client| Side::Client(Arc::clone(client)));
            looks.extend(server.chain(client).map(|side| Look {
                target: Target { side, what },
                interval,
                due: start + interval,
                failed: None,
            }));
        }
        looks
    }

    /// Counts and logs what has come of a look; returns whether something is new.
    fn note(&self, look: &mut Look, result: Result<bool, TlsError>) -> bool {
        let what = &look.target;
        match result {
            Ok(changed) => {
                if changed {
                    self.counters.reloads.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(%what, "TLS files have changed; new connections use what is in them now");
                } else if look.failed.is_some() {
                    tracing::info!(%what, "TLS files are again what they were");
                }
                look.failed = None;
                changed
            }
            Err(error) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                let error = error.to_string();
                if look.failed.as_ref() != Some(&error) {
                    tracing::warn!(%what, error, "TLS files have changed and cannot be used; what was loaded before stays");
                    look.failed = Some(error);
                }
                false
            }
        }
    }

    fn tell_of_expiry(&self, watch: &mut ExpiryWatch) {
        let Some(certificate) = self.first_to_expire() else {
            return;
        };
        // Certificates speak of the world's time, which tokio's clock does not know.
        let now = SystemTime::now();
        let said = watch.look(&certificate, now);
        let subject = &certificate.subject;
        let days_left = certificate.remaining(now).as_secs() / (24 * 3600);
        match said {
            Some(Expiry::Over) => {
                tracing::error!(
                    subject,
                    "the certificate has expired: peers that check it refuse this side"
                );
            }
            Some(_) => tracing::warn!(subject, days_left, "the certificate expires soon"),
            None => {}
        }
    }
}

impl fmt::Debug for TlsWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsWatch")
            .field("options", &self.options)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Files to look at.
struct Look {
    target: Target,
    interval: Duration,
    due: Instant,
    /// What was wrong the last time.
    failed: Option<String>,
}

#[derive(Clone)]
struct Target {
    side: Side,
    what: Material,
}

#[derive(Clone)]
enum Side {
    Server(Arc<TlsServer>),
    Client(Arc<TlsClient>),
}

impl Target {
    fn reload(&self) -> Result<bool, TlsError> {
        match &self.side {
            Side::Server(server) => server.reload(self.what),
            Side::Client(client) => client.reload(self.what),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.side, self.what) {
            (Side::Server(_), Material::Identity) => "the server's certificate and key",
            (Side::Server(_), Material::Trust) => "the trust in clients",
            (Side::Client(_), Material::Identity) => "the client's certificate and key",
            (Side::Client(_), Material::Trust) => "the trust in servers",
        })
    }
}

/// How often certificates are looked at.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(3600);
