//! Whether a file that is sent is still what it was when it has been sent.

use std::fs::{File, Metadata};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use spark_rpc_transport::FileSegment;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::checksum::{FileChecksum, Summing, Verdict};

/// A file that a connection sends, of which the peer may want to know whether it got what the file holds.
///
/// The verdict is on the file as it is when its last byte has left, since before that it can change; so that is when it is
/// read, if it is short. A long one is read while it is sent. That counts only if the system says that the file has not
/// been written to since it was opened; else it is read once more.
pub(crate) struct SentFile {
    /// Opens what has the name now.
    open: Box<dyn Fn() -> io::Result<FileSegment> + Send + Sync>,
    /// `None` until it has been opened.
    opened: Mutex<Option<Opened>>,
}

/// The file as it was when it was opened.
struct Opened {
    /// While it is being sent. It is not kept open any longer, lest peers that never ask keep files open.
    file: Weak<File>,
    length: u64,
    stamp: Stamp,
    settled: bool,
}

impl SentFile {
    pub(crate) fn new(open: impl Fn() -> io::Result<FileSegment> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            open: Box::new(open),
            opened: Mutex::new(None),
        })
    }

    /// Opens the file to be sent.
    pub(crate) fn open(&self) -> io::Result<FileSegment> {
        let segment = (self.open)()?;
        let stamp = Stamp::of(&segment.file.metadata()?);
        *self.opened() = Some(Opened {
            file: Arc::downgrade(&segment.file),
            length: segment.length,
            settled: stamp.is_settled(SystemTime::now()),
            stamp,
        });
        Ok(segment)
    }

    /// Begins to find the verdict, beside the file's transfer if that is worth it and one of the `places` is free.
    pub(crate) fn examine(self: Arc<Self>, places: &Arc<Semaphore>) -> Examination {
        let opened = self.opened();
        let file = opened.as_ref().and_then(|opened| opened.file.upgrade());
        let beside = match (&*opened, &file) {
            (Some(opened), Some(file)) if opened.settled && opened.length > SHORT => {
                let place = Arc::clone(places).try_acquire_owned().ok();
                place.map(|place| Beside::begin(Arc::clone(file), opened.length, place))
            }
            _ => None,
        };
        drop(opened);
        Examination {
            sent: self,
            file,
            beside,
        }
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The search for a verdict, which is given up when this is dropped.
pub(crate) struct Examination {
    sent: Arc<SentFile>,
    file: Option<Arc<File>>,
    beside: Option<Beside>,
}

impl Examination {
    /// Finds the verdict, now that the file has been sent. Waits for disks, but not for ever: the peer hears nothing
    /// meanwhile.
    pub(crate) fn verdict(self) -> Verdict {
        let until = Instant::now() + LONGEST;
        self.find(until).unwrap_or_else(|error| {
            tracing::debug!(%error, "a file that was sent cannot be read again");
            Verdict::Unknown
        })
    }

    fn find(self, until: Instant) -> io::Result<Verdict> {
        let Some(opened) = self.sent.opened().take() else {
            return Ok(Verdict::Unknown);
        };
        if let Some((beside, file)) = self.beside.zip(self.file.as_ref()) {
            let sum = beside.end(until)?;
            if Stamp::of(&file.metadata()?) == opened.stamp {
                return Ok(Verdict::Sum(sum));
            }
        }
        let file = match self.file {
            Some(file) => file,
            None => (self.sent.open)()?.file,
        };
        if !Stamp::of(&file.metadata()?).is_same_file(&opened.stamp) {
            return Ok(Verdict::Changed);
        }
        match sum_of(&file, opened.length, || Instant::now() > until) {
            Ok(sum) => Ok(Verdict::Sum(sum)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Verdict::Changed),
            Err(error) => Err(error),
        }
    }
}

/// A file that another thread reads.
struct Beside {
    sum: mpsc::Receiver<io::Result<FileChecksum>>,
    unwanted: Arc<AtomicBool>,
}

impl Beside {
    fn begin(file: Arc<File>, length: u64, place: OwnedSemaphorePermit) -> Self {
        let unwanted = Arc::new(AtomicBool::new(false));
        let (tell, sum) = mpsc::channel();
        let stop = Arc::clone(&unwanted);
        tokio::task::spawn_blocking(move || {
            let _place = place;
            // Whoever wanted it may be gone.
            let _ = tell.send(sum_of(&file, length, || stop.load(Ordering::Relaxed)));
        });
        Self { sum, unwanted }
    }

    fn end(self, until: Instant) -> io::Result<FileChecksum> {
        let left = until.saturating_duration_since(Instant::now());
        self.sum.recv_timeout(left).unwrap_or_else(|error| {
            Err(match error {
                RecvTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
                RecvTimeoutError::Disconnected => io::Error::other("its thread is gone"),
            })
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
    }
}

/// Reads the first `length` bytes: what comes behind them was not to be sent.
fn sum_of(file: &File, length: u64, stop: impl Fn() -> bool) -> io::Result<FileChecksum> {
    let mut summing = Summing::new();
    let mut buffer = vec![0; length.min(READ_AT_ONCE) as usize];
    let mut at = 0;
    while at < length {
        if stop() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let wanted = buffer
            .len()
            .min(usize::try_from(length - at).unwrap_or(usize::MAX));
        match read_at(file, &mut buffer[..wanted], at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                summing.add(&buffer[..n]);
                at += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(summing.end())
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// What the system says of a file, by which changes are noticed. The time of the last change cannot be set back by
/// programs, other than that of the last modification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    #[cfg(unix)]
    id: (u64, u64),
    #[cfg(unix)]
    changed: (i64, i64),
}

#[cfg(unix)]
impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        Self {
            length: metadata.len(),
            id: (metadata.dev(), metadata.ino()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_same_file(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// Whether a change from now on will have another time: the clock of a file system ticks slowly.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let settled_at = self.changed.0.saturating_add(TICK.as_secs().cast_signed() + 1);
        i64::try_from(now.as_secs()).is_ok_and(|now| now >= settled_at)
    }
}

#[cfg(not(unix))]
impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
        }
    }

    fn is_same_file(&self, _: &Self) -> bool {
        true
    }

    fn is_settled(&self, _: SystemTime) -> bool {
        false
    }
}

/// Files up to this length are read when they have been sent, which takes less than the way to another thread is worth.
const SHORT: u64 = 4 << 20;
const READ_AT_ONCE: u64 = 128 << 10;
/// How long a peer may hear nothing. Half of what connections have by default.
const LONGEST: Duration = Duration::from_secs(60);
#[cfg(unix)]
const TICK: Duration = Duration::from_secs(2);

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    use super::*;

    const LENGTH: usize = SHORT as usize + 1000;

    fn sent(path: &Path) -> (Arc<SentFile>, FileSegment) {
        let path = path.to_owned();
        let sent = SentFile::new(move || {
            let file = File::options().read(true).write(true).open(&path)?;
            let length = file.metadata()?.len();
            let file = Arc::new(file);
            Ok(FileSegment {
                file,
                offset: 0,
                length,
            })
        });
        let segment = sent.open().unwrap();
        (sent, segment)
    }

    /// As if nobody had written to it for long.
    fn settle(sent: &SentFile) {
        sent.opened().as_mut().unwrap().settled = true;
    }

    fn sum(content: &[u8]) -> Verdict {
        let mut summing = Summing::new();
        summing.add(content);
        Verdict::Sum(summing.end())
    }

    #[tokio::test]
    async fn a_long_file_is_read_beside_its_transfer_and_a_change_meanwhile_is_not_missed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut content = vec![7; LENGTH];
        std::fs::write(file.path(), &content).unwrap();
        let places = Arc::new(Semaphore::new(1));

        let (sent_file, segment) = sent(file.path());
        settle(&sent_file);
        let examination = sent_file.examine(&places);
        assert!(examination.beside.is_some());
        assert_eq!(examination.verdict(), sum(&content));

        let (sent_file, _kept) = sent(file.path());
        settle(&sent_file);
        let examination = sent_file.examine(&places);
        // Whatever has been read of it by now.
        let was = segment.file.metadata().unwrap();
        while Stamp::of(&segment.file.metadata().unwrap()) == Stamp::of(&was) {
            segment.file.write_all_at(b"!", 0).unwrap();
        }
        content[0] = b'!';
        assert_eq!(examination.verdict(), sum(&content));
    }

    #[tokio::test]
    async fn what_is_short_or_new_or_finds_no_place_is_read_afterwards() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; LENGTH]).unwrap();
        let places = Arc::new(Semaphore::new(1));
        let (new, _kept) = sent(file.path());
        let examination = new.examine(&places);
        assert!(examination.beside.is_none());
        assert_eq!(examination.verdict(), sum(&vec![7; LENGTH]));

        let taken = Arc::clone(&places).try_acquire_owned().unwrap();
        let (crowded, _kept) = sent(file.path());
        settle(&crowded);
        let examination = crowded.examine(&places);
        assert!(examination.beside.is_none());
        assert_eq!(examination.verdict(), sum(&vec![7; LENGTH]));
        drop(taken);

        let (short, kept) = sent(file.path());
        kept.file.set_len(10).unwrap();
        let (short_now, _kept) = sent(file.path());
        settle(&short_now);
        let examination = short_now.examine(&places);
        assert!(examination.beside.is_none());
        assert_eq!(examination.verdict(), sum(&[7; 10]));
        assert_eq!(
            short.examine(&places).verdict(),
            Verdict::Changed,
            "it was longer"
        );
    }

    #[tokio::test]
    async fn an_examination_that_nobody_wants_gives_its_place_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        let places = Arc::new(Semaphore::new(1));
        let (sent, _kept) = sent(file.path());
        settle(&sent);
        let examination = sent.examine(&places);
        assert_eq!(places.available_permits(), 0);
        drop(examination);
        let back = tokio::time::timeout(Duration::from_secs(60), places.acquire()).await;
        assert!(back.is_ok(), "it still reads");
    }

    #[test]
    fn a_file_is_settled_some_seconds_after_its_last_change() {
        let stamp = Stamp {
            length: 1,
            id: (1, 1),
            changed: (1_000, 999_999_999),
        };
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (now, settled) in [
            (0, false),
            (1_000, false),
            (1_002, false),
            (1_003, true),
            (2_000, true),
        ] {
            assert_eq!(stamp.is_settled(at(now)), settled, "{now}");
        }
    }
}
