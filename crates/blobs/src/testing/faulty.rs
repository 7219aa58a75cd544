use super::journal::{Event, FileId, Journal, Log};
use crate::{Disk, DiskFile, Entry, RealDisk};
use std::{
    collections::HashMap,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The kinds of operation that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Opening a file for writing.
    OpenWrite,
    /// Opening a file for reading.
    OpenRead,
    /// Writing bytes.
    Write,
    /// Reading bytes.
    Read,
    /// Cutting a file.
    SetLen,
    /// Flushing a file.
    SyncData,
    /// Moving a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Creating a directory.
    CreateDir,
    /// Flushing a directory.
    SyncDir,
    /// Listing a directory, or looking at a name.
    List,
    /// Taking rights away.
    Restrict,
}

struct Fault {
    operation: Operation,
    /// Matching operations that still succeed.
    after: u64,
    error: io::ErrorKind,
    /// Whether it fails once or from then on.
    lasting: bool,
}

/// What happens before an operation.
struct Hook {
    operation: Operation,
    action: Box<dyn FnOnce() + Send>,
}

/// An operation that is answered by success and not done.
type Forgotten = Box<dyn Fn(Operation, &Path) -> bool + Send>;
/// An operation that is done to another path.
type Mistaken = Box<dyn Fn(Operation, &Path) -> Option<PathBuf> + Send>;
/// Tells how far the log of a database beside has come.
type Watch = Box<dyn FnMut() -> Log + Send>;

#[derive(Default)]
struct State {
    faults: Vec<Fault>,
    hooks: Vec<Hook>,
    forgotten: Option<Forgotten>,
    mistaken: Option<Mistaken>,
    watch: Option<Watch>,
    /// What `watch` told last.
    log: Log,
    /// Bytes that still fit, when the disk can become full.
    room: Option<u64>,
    /// Most bytes that one write takes.
    short_writes: Option<usize>,
    counts: HashMap<Operation, u64>,
    ids: HashMap<PathBuf, FileId>,
    journal: Option<Journal>,
    next_id: FileId,
}

/// The real file system with faults on demand and, when asked for, a journal of what changed it.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

impl FaultyDisk {
    /// A disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that records every change, with its bytes: for small tests.
    pub fn recording(root: &Path) -> Self {
        let disk = Self::default();
        disk.lock().journal = Some(Journal::new(root));
        disk
    }

    /// Lets one operation of this kind fail after `after` more have succeeded.
    pub fn fail_once(&self, operation: Operation, after: u64, error: io::ErrorKind) {
        self.lock().faults.push(Fault { operation, after, error, lasting: false });
    }

    /// Lets every operation of this kind fail after `after` more have succeeded.
    pub fn fail_always(&self, operation: Operation, after: u64, error: io::ErrorKind) {
        self.lock().faults.push(Fault { operation, after, error, lasting: true });
    }

    /// Does something once, before the next operation of this kind: what happens at the same time
    /// as that operation in the product.
    pub fn before(&self, operation: Operation, action: impl FnOnce() + Send + 'static) {
        self.lock().hooks.push(Hook { operation, action: Box::new(action) });
    }

    /// Plants a fault in the program: operations on these paths are answered by success and not
    /// done. For removals, cuts and flushes: without the others nothing could go on.
    pub fn forget(&self, forgotten: impl Fn(Operation, &Path) -> bool + Send + 'static) {
        self.lock().forgotten = Some(Box::new(forgotten));
    }

    /// Plants a fault in the program: the removal of a path for which there is another one removes
    /// that one.
    pub fn mistake(&self, other: impl Fn(Operation, &Path) -> Option<PathBuf> + Send + 'static) {
        self.lock().mistaken = Some(Box::new(other));
    }

    /// Asks `watch`, before each change that is recorded, how far the log of a database beside has
    /// come, and records that as well.
    pub fn watch(&self, watch: impl FnMut() -> Log + Send + 'static) {
        self.lock().watch = Some(Box::new(watch));
    }

    /// Asks the watch of [`FaultyDisk::watch`] and returns how many changes are recorded: a place
    /// in the journal to cut at.
    pub fn position(&self) -> usize {
        let mut state = self.lock();
        state.look();
        state.journal.as_ref().map_or(0, Journal::len)
    }

    /// Lets the disk be full after this many more bytes. The write that does not fit is cut short
    /// first, as real file systems do.
    pub fn full_after(&self, bytes: u64) {
        self.lock().room = Some(bytes);
    }

    /// Lets every write take at most this many bytes.
    pub fn write_at_most(&self, bytes: usize) {
        self.lock().short_writes = Some(bytes);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.forgotten = None;
        state.mistaken = None;
        state.room = None;
        state.short_writes = None;
    }

    /// How often an operation was tried.
    pub fn count(&self, operation: Operation) -> u64 {
        self.lock().counts.get(&operation).copied().unwrap_or_default()
    }

    /// A copy of the journal so far; empty unless recording.
    pub fn journal(&self) -> Journal {
        self.lock().journal.clone().unwrap_or_else(|| Journal::new(Path::new("/")))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the operation and fails if its turn has come.
    fn attempt(&self, operation: Operation) -> io::Result<()> {
        let mut state = self.lock();
        if let Some(index) = state.hooks.iter().position(|hook| hook.operation == operation) {
            let hook = state.hooks.remove(index);
            drop(state);
            (hook.action)();
            state = self.lock();
        }
        *state.counts.entry(operation).or_default() += 1;
        let due = state.faults.iter_mut().position(|fault| {
            let matches = fault.operation == operation;
            let due = matches && fault.after == 0;
            fault.after = fault.after.saturating_sub(u64::from(matches));
            due
        });
        let Some(index) = due else { return Ok(()) };
        let error = state.faults[index].error.into();
        if !state.faults[index].lasting {
            state.faults.remove(index);
        }
        Err(error)
    }

    /// Makes a change and records it. While a journal is kept the two are one step, so that the
    /// journal has the order in which things happened.
    fn change<T>(
        &self,
        act: impl FnOnce() -> io::Result<T>,
        event: impl FnOnce(&mut State, &T) -> Option<Event>,
    ) -> io::Result<T> {
        let mut state = self.lock();
        if state.journal.is_none() {
            drop(state);
            let done = act()?;
            event(&mut self.lock(), &done);
            return Ok(done);
        }
        state.look();
        let done = act()?;
        let event = event(&mut state, &done);
        if let (Some(journal), Some(event)) = (&mut state.journal, event) {
            journal.push(event);
        }
        Ok(done)
    }

    fn forgets(&self, operation: Operation, path: &Path) -> bool {
        self.lock().forgotten.as_ref().is_some_and(|forgotten| forgotten(operation, path))
    }

    fn open(
        &self,
        path: &Path,
        create: bool,
        open: impl FnOnce() -> io::Result<Box<dyn DiskFile>>,
    ) -> io::Result<Box<dyn DiskFile>> {
        let mut id = 0;
        let inner = self.change(open, |state, _| {
            let known = state.ids.get(path).copied();
            id = known.unwrap_or_else(|| {
                state.next_id += 1;
                state.ids.insert(path.to_owned(), state.next_id);
                state.next_id
            });
            (known.is_none() && create).then(|| Event::Create { path: path.to_owned(), id })
        })?;
        Ok(Box::new(FaultyFile { disk: self.clone(), id, path: path.to_owned(), inner }))
    }
}

impl State {
    /// Records what became of the log beside since it was looked at last.
    fn look(&mut self) {
        if let (Some(watch), Some(journal)) = (&mut self.watch, &mut self.journal) {
            journal.note(&mut self.log, watch());
        }
    }
}

impl Disk for FaultyDisk {
    fn open_write(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>> {
        self.attempt(Operation::OpenWrite)?;
        self.open(path, create, || RealDisk.open_write(path, create))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.attempt(Operation::OpenRead)?;
        self.open(path, false, || RealDisk.open_read(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.attempt(Operation::Rename)?;
        self.change(
            || RealDisk.rename(from, to),
            |state, ()| {
                if let Some(id) = state.ids.remove(from) {
                    state.ids.insert(to.to_owned(), id);
                }
                Some(Event::Rename { from: from.to_owned(), to: to.to_owned() })
            },
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.attempt(Operation::Remove)?;
        if self.forgets(Operation::Remove, path) {
            return Ok(());
        }
        let other = self.lock().mistaken.as_ref().and_then(|other| other(Operation::Remove, path));
        let path = other.as_deref().unwrap_or(path);
        self.change(
            || RealDisk.remove(path),
            |state, ()| {
                state.ids.remove(path);
                Some(Event::Remove { path: path.to_owned() })
            },
        )
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.attempt(Operation::CreateDir)?;
        self.change(
            || RealDisk.create_dir(path),
            |_, ()| Some(Event::CreateDir { path: path.to_owned() }),
        )
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.attempt(Operation::SyncDir)?;
        if self.forgets(Operation::SyncDir, path) {
            return Ok(());
        }
        // Not flushed for real: what a power loss leaves is computed from the journal.
        self.change(|| Ok(()), |_, ()| Some(Event::SyncDir { path: path.to_owned() }))
    }

    fn list(&self, path: &Path, see: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<()> {
        self.attempt(Operation::List)?;
        RealDisk.list(path, see)
    }

    fn look(&self, path: &Path) -> io::Result<Entry> {
        self.attempt(Operation::List)?;
        RealDisk.look(path)
    }

    fn restrict(&self, path: &Path, keep: u32) -> io::Result<()> {
        self.attempt(Operation::Restrict)?;
        RealDisk.restrict(path, keep)
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    id: FileId,
    /// Its name when it was opened.
    path: PathBuf,
    inner: Box<dyn DiskFile>,
}

impl DiskFile for FaultyFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.disk.attempt(Operation::Write)?;
        let mut bytes = buffers.iter().flat_map(|b| b.iter().copied()).collect::<Vec<u8>>();
        let mut state = self.disk.lock();
        bytes.truncate(state.short_writes.unwrap_or(usize::MAX));
        if let Some(room) = &mut state.room {
            if *room == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            bytes.truncate(usize::try_from(*room).unwrap_or(usize::MAX));
            *room -= bytes.len() as u64;
        }
        drop(state);
        self.disk.change(
            || self.inner.write_at(&[IoSlice::new(&bytes)], offset),
            |state, n| {
                let bytes = state.journal.is_some().then(|| bytes[..*n].to_vec().into())?;
                Some(Event::Write { id: self.id, offset, bytes })
            },
        )
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.attempt(Operation::Read)?;
        self.inner.read_at(buffer, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.attempt(Operation::SetLen)?;
        if self.disk.forgets(Operation::SetLen, &self.path) {
            return Ok(());
        }
        self.disk.change(
            || self.inner.set_len(length),
            |_, ()| Some(Event::SetLen { id: self.id, length }),
        )
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.attempt(Operation::SyncData)?;
        if self.disk.forgets(Operation::SyncData, &self.path) {
            return Ok(());
        }
        self.disk.change(|| Ok(()), |_, ()| Some(Event::SyncData { id: self.id }))
    }

    fn start_writeback(&self, _offset: u64, _length: u64) {}
}
