//! The disk seam: every file operation of the store goes through [`Disk`], so that tests can record
//! them, let them fail and rebuild what a power loss would have left.

use rustix::io::ReadWriteFlags;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice, IoSliceMut},
    os::unix::fs::FileExt,
    path::Path,
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
        Ok(Box::new(options.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::open(path)?))
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
}

impl DiskFile for File {
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(self, buffers, offset)?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn read_now_at(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        // Whatever the reason for an error, the thread that may wait hears it again.
        let buffers = &mut [IoSliceMut::new(buffer)];
        let read = rustix::io::preadv2(self, buffers, offset, ReadWriteFlags::NOWAIT);
        read.ok().filter(|read| *read > 0)
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
