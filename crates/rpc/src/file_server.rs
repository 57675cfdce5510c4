//! Files that an env serves (Spark's `RpcEnvFileServer`).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use spark_rpc_transport::{FileSegment, ManagedBuffer, StreamManager, TransportClient};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::address::RpcAddress;
use crate::checksum::{OWN_SPACE, Verdict, subject_of_verdict};
use crate::file_uri::{encode_segment, normalise_base};
use crate::security::SecurityManager;
use crate::sent_file::SentFile;

/// Offers files to the peers of an env (Spark's `RpcEnvFileServer`), see [`RpcEnv::file_server`](crate::RpcEnv::file_server).
///
/// Peers read them by [`RpcEnv::open_channel`](crate::RpcEnv::open_channel) and
/// [`RpcEnv::fetch_file`](crate::RpcEnv::fetch_file), JVM Spark by `Utils.fetchFile`. Which peers may is for the
/// [`SecurityManager`] to say.
///
/// Nothing but what is registered can be read. A folder is held open, and names are resolved from there: `..` and links
/// that lead out of it are not found, whatever is moved meanwhile. A registered file is held by its folder and its name:
/// who replaces the file, replaces what is served; a link in its place is not followed. A folder that is deleted and made
/// again must be registered again. Only regular files are served.
#[derive(Clone)]
pub struct FileServer {
    served: Arc<ServedFiles>,
    address: Option<RpcAddress>,
    runtime: Handle,
}

/// Why something cannot be served.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileServerError {
    /// The env is in client mode: nobody could name it in a URI.
    #[error("an env in client mode has no address under which files could be served")]
    NoAddress,
    /// The path does not end in a name, or that is not Unicode.
    #[error("{} has no name that can stand in a URI", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// Another file has the name.
    #[error(
        "File {name} was already registered with a different path (old path = {}, new path = {})",
        old.display(),
        new.display()
    )]
    NameTaken {
        /// The name.
        name: String,
        /// The file that has it.
        old: PathBuf,
        /// The file that was to get it.
        new: PathBuf,
    },
    /// A folder cannot be registered under this base URI.
    #[error("Directory URI {base} cannot be used: {reason}")]
    BadBase {
        /// The base as given.
        base: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Another folder has the base URI.
    #[error("URI '{base}' already registered.")]
    BaseTaken {
        /// The base, normalised.
        base: String,
    },
    /// It is not what it should be.
    #[error("{} is not {expected}", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// What was expected there.
        expected: &'static str,
    },
    /// The system refused to look at it.
    #[error("{} cannot be registered: {source}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl FileServer {
    pub(crate) fn new(served: Arc<ServedFiles>, address: Option<RpcAddress>, runtime: Handle) -> Self {
        Self {
            served,
            address,
            runtime,
        }
    }

    /// Serves a file under its name; returns its URI, `spark://HOST:PORT/files/NAME`. Registering the same file again is
    /// fine.
    ///
    /// # Errors
    ///
    /// [`FileServerError`]; also when another file of that name is registered.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future registers nothing.
    pub async fn add_file(&self, path: impl AsRef<Path>) -> Result<String, FileServerError> {
        self.add(Space::Files, path.as_ref()).await
    }

    /// Like [`add_file`](Self::add_file), with names of their own: `spark://HOST:PORT/jars/NAME`.
    ///
    /// # Errors
    ///
    /// As [`add_file`](Self::add_file).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future registers nothing.
    pub async fn add_jar(&self, path: impl AsRef<Path>) -> Result<String, FileServerError> {
        self.add(Space::Jars, path.as_ref()).await
    }

    /// Serves what is below a folder; returns the URI of the folder, `spark://HOST:PORT/BASE`.
    ///
    /// `base` is one segment of a URI path, such as `/classes`. It is normalised before it is compared, and is neither
    /// `/files` nor `/jars`. Spark accepts longer ones too, and then finds nothing below them.
    ///
    /// # Errors
    ///
    /// [`FileServerError`]; also when the base is taken, be it by the same folder.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future registers nothing.
    pub async fn add_directory(&self, base: &str, dir: impl AsRef<Path>) -> Result<String, FileServerError> {
        self.add_folder(base, dir.as_ref(), Again::Refuse).await
    }

    /// Like [`add_directory`](Self::add_directory), but leaves a folder as it is that has the base already.
    ///
    /// # Errors
    ///
    /// [`FileServerError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future registers nothing.
    pub async fn add_directory_if_absent(
        &self,
        base: &str,
        dir: impl AsRef<Path>,
    ) -> Result<String, FileServerError> {
        self.add_folder(base, dir.as_ref(), Again::KeepFirst).await
    }

    /// Serves a file no longer, named as in its URI but not encoded; returns whether it was registered. Transfers under way
    /// go on.
    pub fn remove_file(&self, name: &str) -> bool {
        self.served.registry().files(Space::Files).remove(name).is_some()
    }

    /// As [`remove_file`](Self::remove_file), for a jar.
    pub fn remove_jar(&self, name: &str) -> bool {
        self.served.registry().files(Space::Jars).remove(name).is_some()
    }

    async fn add(&self, space: Space, path: &Path) -> Result<String, FileServerError> {
        let address = self.address()?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| FileServerError::NoName {
            path: path.to_owned(),
        })?;
        let file = self.look(path, OneFile::look).await?;
        let uri = format!(
            "{}/{}/{}",
            address.to_spark_url(),
            space.segment(),
            encode_segment(name)
        );
        let mut registry = self.served.registry();
        let old = registry.files(space).get(name).map(|old| &old.path);
        if let Some(old) = old.filter(|old| **old != file.path) {
            return Err(FileServerError::NameTaken {
                name: name.to_owned(),
                old: old.clone(),
                new: file.path,
            });
        }
        // Also in place of itself: its folder may be another one meanwhile.
        registry.files(space).insert(name.to_owned(), Arc::new(file));
        Ok(uri)
    }

    async fn add_folder(&self, base: &str, dir: &Path, again: Again) -> Result<String, FileServerError> {
        let address = self.address()?;
        let bad = |reason| FileServerError::BadBase {
            base: base.to_owned(),
            reason,
        };
        let name = normalise_base(base).map_err(bad)?;
        if name == OWN_SPACE {
            return Err(bad(
                "this name is taken for what envs tell each other about files",
            ));
        }
        if [Space::Files, Space::Jars]
            .iter()
            .any(|space| space.segment() == name)
        {
            return Err(bad("Directory URI cannot be /files nor /jars."));
        }
        let uri = format!("{}/{}", address.to_spark_url(), encode_segment(&name));
        let folder = self.look(dir, open_folder).await?;
        let mut registry = self.served.registry();
        match (registry.folders.contains_key(&name), again) {
            (true, Again::KeepFirst) => {}
            (true, Again::Refuse) => {
                return Err(FileServerError::BaseTaken {
                    base: format!("/{name}"),
                });
            }
            (false, _) => {
                registry.folders.insert(name, Arc::new(folder));
            }
        }
        Ok(uri)
    }

    fn address(&self) -> Result<&RpcAddress, FileServerError> {
        self.address.as_ref().ok_or(FileServerError::NoAddress)
    }

    /// Does `work` where disks may be waited for.
    async fn look<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce(&Path) -> Result<T, Unfit> + Send + 'static,
    ) -> Result<T, FileServerError> {
        let owned = path.to_owned();
        let done = self.runtime.spawn_blocking(move || work(&owned)).await;
        let path = path.to_owned();
        done.unwrap_or_else(|error| Err(Unfit::System(io::Error::other(error))))
            .map_err(|unfit| match unfit {
                Unfit::Kind(expected) => FileServerError::Kind { path, expected },
                Unfit::System(source) => FileServerError::Unreadable {
                    path,
                    source: Arc::new(source),
                },
            })
    }
}

impl fmt::Debug for FileServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What is registered, and who may have it.
pub(crate) struct ServedFiles {
    registry: Mutex<Registry>,
    security: Arc<dyn SecurityManager>,
    /// Whether peers are told what they should have got.
    checksums: bool,
    /// For files that are examined beside their transfer.
    places: Arc<Semaphore>,
}

/// What one connection is served.
pub(crate) struct ConnectionFiles {
    served: Arc<ServedFiles>,
    /// What was asked for last, and its name.
    last: Mutex<Option<(String, Arc<SentFile>)>>,
    said_denied: AtomicBool,
}

#[derive(Default)]
struct Registry {
    files: BTreeMap<String, Arc<OneFile>>,
    jars: BTreeMap<String, Arc<OneFile>>,
    folders: BTreeMap<String, Arc<Dir>>,
}

/// A file by its folder and its name there.
struct OneFile {
    /// Canonical, to be compared and told.
    path: PathBuf,
    folder: Dir,
    name: PathBuf,
}

/// Which names.
#[derive(Clone, Copy)]
enum Space {
    Files,
    Jars,
}

#[derive(Clone, Copy)]
enum Again {
    Refuse,
    KeepFirst,
}

/// Why a path cannot be registered.
enum Unfit {
    Kind(&'static str),
    System(io::Error),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Space {
    fn segment(self) -> &'static str {
        match self {
            Space::Files => "files",
            Space::Jars => "jars",
        }
    }
}

impl Registry {
    fn files(&mut self, space: Space) -> &mut BTreeMap<String, Arc<OneFile>> {
        match space {
            Space::Files => &mut self.files,
            Space::Jars => &mut self.jars,
        }
    }
}

impl OneFile {
    fn look(path: &Path) -> Result<Self, Unfit> {
        let path = path.canonicalize()?;
        if !path.metadata()?.is_file() {
            return Err(Unfit::Kind("a regular file"));
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Unfit::Kind("a regular file"));
        };
        Ok(Self {
            folder: Dir::open_ambient_dir(folder, ambient_authority())?,
            name: name.into(),
            path,
        })
    }

    fn open(&self) -> io::Result<FileSegment> {
        if !self.folder.symlink_metadata(&self.name)?.is_file() {
            return Err(not_regular());
        }
        open_below(&self.folder, &self.name, Links::Refuse)
    }
}

impl ServedFiles {
    pub(crate) fn new(security: Arc<dyn SecurityManager>, checksums: bool) -> Self {
        Self {
            registry: Mutex::default(),
            security,
            checksums,
            places: Arc::new(Semaphore::new(EXAMINED_BESIDE)),
        }
    }

    /// Finds what has the name now; whether that is a file shows when it is opened.
    fn find(&self, stream_id: &str) -> Result<Arc<SentFile>, String> {
        let not_found = || not_found(stream_id);
        let (kind, name) = split_name(stream_id).ok_or_else(not_found)?;
        let mut registry = self.registry();
        let space = match kind {
            "files" => Space::Files,
            "jars" => Space::Jars,
            _ => {
                let folder = registry.folders.get(kind).cloned();
                drop(registry);
                let folder = folder.ok_or_else(|| format!("Invalid stream URI: {kind} not found."))?;
                let name = PathBuf::from(name);
                return Ok(SentFile::new(move || {
                    open_below(&folder, &name, Links::FollowInside).map_err(for_strangers)
                }));
            }
        };
        let file = registry.files(space).get(name).cloned().ok_or_else(not_found)?;
        Ok(SentFile::new(move || file.open().map_err(for_strangers)))
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl ConnectionFiles {
    pub(crate) fn new(served: Arc<ServedFiles>) -> Self {
        Self {
            served,
            last: Mutex::default(),
            said_denied: AtomicBool::new(false),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<(String, Arc<SentFile>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamManager for ConnectionFiles {
    fn check_stream_authorization(&self, client: &TransportClient, stream_id: &str) -> Result<(), String> {
        let identity = client.identity();
        let subject = subject_of_verdict(stream_id).unwrap_or(stream_id);
        let (kind, name) = split_name(subject).ok_or_else(|| not_found(stream_id))?;
        if self
            .served
            .security
            .may_fetch(identity, &format!("/{kind}/{name}"))
        {
            return Ok(());
        }
        let (user, subject) = (&identity.user, &identity.subject);
        if self.said_denied.swap(true, Ordering::Relaxed) {
            tracing::debug!(peer = %client.peer(), stream = stream_id, "access denied");
        } else {
            tracing::warn!(peer = %client.peer(), user, subject, stream = stream_id, "access denied; more of it on this connection is not told");
        }
        Err(format!("{stream_id}{DENIED}"))
    }

    fn open_stream(&self, _: &TransportClient, stream_id: &str) -> Result<ManagedBuffer, String> {
        if let Some(subject) = subject_of_verdict(stream_id) {
            let last = self.last().take();
            let (_, sent) = last
                .filter(|(name, _)| name == subject)
                .ok_or_else(|| format!("{subject} is not what was sent last"))?;
            if !self.served.checksums {
                return Ok(ManagedBuffer::from(Bytes::from(Verdict::Unknown.to_string())));
            }
            let examination = sent.examine(&self.served.places);
            return Ok(ManagedBuffer::computed(move || {
                Ok(examination.verdict().to_string().into())
            }));
        }
        let sent = self.served.find(stream_id)?;
        *self.last() = Some((stream_id.to_owned(), Arc::clone(&sent)));
        Ok(ManagedBuffer::lazy(move || sent.open()))
    }
}

impl fmt::Debug for ServedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServedFiles")
    }
}

/// Takes the name of a stream apart: what it is looked up in, and its name there. A name has one form, but for the slash
/// that it may begin with: where permissions are given by names, a file must not have another one. What has no name, and
/// what contains `.`, `..` or nothing between two slashes, is `None`.
fn split_name(stream_id: &str) -> Option<(&str, &str)> {
    let path = stream_id.strip_prefix('/').unwrap_or(stream_id);
    let (kind, name) = path.split_once('/')?;
    let plain = |segment: &str| !["", ".", ".."].contains(&segment);
    // On some systems there are more ways to write a path.
    let normal = |component| matches!(component, Component::Normal(_));
    let one_form = plain(kind) && name.split('/').all(plain) && Path::new(name).components().all(normal);
    (one_form && (!cfg!(windows) || !name.contains('\\'))).then_some((kind, name))
}

fn not_found(stream_id: &str) -> String {
    format!("Stream '{stream_id}' was not found.")
}

/// What is said behind a name that the security manager refuses; a client tells it by this.
pub(crate) const DENIED: &str = " may not be read by this peer: access denied";

fn open_folder(path: &Path) -> Result<Dir, Unfit> {
    if !path.metadata()?.is_dir() {
        return Err(Unfit::Kind("a folder"));
    }
    Ok(Dir::open_ambient_dir(path, ambient_authority())?)
}

/// What a link at the end of a name is taken for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    FollowInside,
    Refuse,
}

/// Opens a regular file below `folder`.
fn open_below(folder: &Dir, name: &Path, links: Links) -> io::Result<FileSegment> {
    // Opening a device can already have an effect. What is there now need not be what is opened, so that this is asked
    // again of the open file.
    if !folder.metadata(name)?.is_file() {
        return Err(not_regular());
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt;
        use rustix::fs::OFlags;

        // A pipe that has taken the file's place would wait for a writer.
        let mut flags = OFlags::NONBLOCK;
        if links == Links::Refuse {
            flags |= OFlags::NOFOLLOW;
        }
        options.custom_flags(flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = links;
    let file = folder.open_with(name, &options)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(not_regular());
    }
    Ok(FileSegment {
        file: Arc::new(file.into_std()),
        offset: 0,
        length: metadata.len(),
    })
}

/// So many files are read beside their transfer at once; more are read when they have been sent, each by the thread that
/// has sent it.
const EXAMINED_BESIDE: usize = 4;

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "not a regular file")
}

/// Makes one error of all that would tell a peer what there is outside of its reach; the log gets the reason.
fn for_strangers(error: io::Error) -> io::Error {
    if is_exhaustion(&error) {
        return error;
    }
    io::Error::new(io::ErrorKind::NotFound, error)
}

/// Whether this process or machine is in trouble, rather than the name.
#[cfg(unix)]
fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO].contains(&errno))
}

#[cfg(not(unix))]
fn is_exhaustion(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileExt, symlink};

    use super::*;

    /// Tried so often that the moment between looking and opening is met, too.
    #[test]
    fn a_registered_file_that_changes_places_with_a_link_never_leads_to_its_neighbour() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("name"), "inside").unwrap();
        fs::write(at("neighbour"), "secret").unwrap();
        symlink("neighbour", at("link")).unwrap();
        let Ok(file) = OneFile::look(&at("name")) else {
            panic!("it is a file");
        };
        let done = AtomicBool::new(false);
        let (mut opened, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for (from, to) in [
                        ("name", "spare"),
                        ("link", "name"),
                        ("name", "link"),
                        ("spare", "name"),
                    ] {
                        fs::rename(at(from), at(to)).unwrap();
                    }
                }
            });
            for _ in 0..50_000 {
                match file.open() {
                    Ok(segment) => {
                        let mut content = [0; 6];
                        segment.file.read_exact_at(&mut content, 0).unwrap();
                        done.fetch_or(&content != b"inside", Ordering::Relaxed);
                        assert_eq!(&content, b"inside");
                        opened += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
    }
}
