//! The disk seam: every file operation of the store goes through [`Disk`], so that tests can record
//! them, let them fail and rebuild what a power loss would have left.

use rustix::io::ReadWriteFlags;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, IoSlice, IoSliceMut},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

/// A file system, as far as the store needs one. Calls block; they run on blocking threads.
///
/// A call may be durable only after the matching [`DiskFile::sync_data`] (bytes and length) or
/// [`Disk::sync_dir`] (names).
pub trait Disk: Send + Sync + 'static {
    /// Opens a file for writing, creating it when it is missing and `create` is set.
    fn open_write(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Moves a file to another name in the same file system, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates one directory, whose parent exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Passes each name in a directory to `see`, in no order, without following links; stops at
    /// the first error. Only a check of the whole store lists: a request never does.
    fn list(&self, path: &Path, see: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<()>;
    /// What stands under a name, without following a link.
    fn look(&self, path: &Path) -> io::Result<Entry>;
    /// Takes every permission bit that is not in `keep`.
    fn restrict(&self, path: &Path, keep: u32) -> io::Result<()>;
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name alone.
    pub name: OsString,
    /// What it is.
    pub form: Form,
    /// Length in bytes, of a file.
    pub size: u64,
    /// Permission bits (`0o7777`).
    pub mode: u32,
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, whatever it points to.
    Link,
    /// A socket, a pipe, a device.
    Other,
}

impl Entry {
    fn new(name: OsString, metadata: &fs::Metadata) -> Self {
        let kind = metadata.file_type();
        let form = match () {
            () if kind.is_symlink() => Form::Link,
            () if kind.is_dir() => Form::Directory,
            () if kind.is_file() => Form::File,
            () => Form::Other,
        };
        let size = if form == Form::File { metadata.len() } else { 0 };
        Self { name, form, size, mode: metadata.mode() & 0o7777 }
    }
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Writes at `offset` from several buffers and returns how many bytes were taken.
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Reads at `offset` and returns how many bytes were read, 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// As [`DiskFile::read_at`], for a thread that must not wait: as much as the system holds in
    /// memory already; none when that is nothing.
    fn read_now_at(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        let _ = (buffer, offset);
        None
    }
    /// The system's own file, where that is what this is: the system can send it by itself.
    fn system_file(&self) -> Option<Arc<File>> {
        None
    }
    /// Cuts the file to `length` bytes.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|length| length == 0)
    }
    /// Makes the bytes and the length durable (fdatasync).
    fn sync_data(&self) -> io::Result<()>;
    /// Asks the system to begin writing this range to the device, so that a later
    /// [`DiskFile::sync_data`] has less to wait for. A hint: it promises nothing.
    fn start_writeback(&self, offset: u64, length: u64);
}

/// The operating system's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open_write(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create(create);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Box::new(Arc::new(options.open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(Arc::new(File::open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path, see: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) => see(Entry::new(entry.file_name(), &metadata))?,
                // Removed between the two calls.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn look(&self, path: &Path) -> io::Result<Entry> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Entry::new(path.file_name().unwrap_or_default().to_owned(), &metadata))
    }

    fn restrict(&self, path: &Path, keep: u32) -> io::Result<()> {
        let mode = self.look(path)?.mode & keep;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }
}

impl DiskFile for Arc<File> {
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(self, buffers, offset)?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&**self, buffer, offset)
    }

    fn read_now_at(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        // Whatever the reason for an error, the thread that may wait hears it again.
        let buffers = &mut [IoSliceMut::new(buffer)];
        let read = rustix::io::preadv2(self, buffers, offset, ReadWriteFlags::NOWAIT);
        read.ok().filter(|read| *read > 0)
    }

    fn system_file(&self) -> Option<Arc<File>> {
        Some(self.clone())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn start_writeback(&self, offset: u64, length: u64) {
        // On Linux this advice starts writing dirty pages and drops only pages that are already
        // clean, of which a range that was just written has few.
        if let Some(length) = std::num::NonZeroU64::new(length) {
            let _ = rustix::fs::fadvise(self, offset, Some(length), rustix::fs::Advice::DontNeed);
        }
    }
}
