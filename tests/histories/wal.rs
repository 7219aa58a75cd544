//! The log of a SQLite database: where its transactions end (<https://sqlite.org/fileformat2.html>,
//! section 4).

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

const HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;

/// A log that only grows, as far as it was read.
#[derive(Debug)]
pub(crate) struct Wal {
    path: PathBuf,
    /// Where the next frame begins that was not read yet.
    next: u64,
    /// Where each transaction ends, in bytes from the beginning.
    pub(crate) ends: Vec<u64>,
    /// How many transactions stood in the log when its last flush began.
    pub(crate) synced: u64,
}

impl Wal {
    pub(crate) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), next: HEADER_BYTES, ends: Vec::new(), synced: 0 }
    }

    /// Reads what was added. How many transactions the log holds.
    pub(crate) fn read_on(&mut self) -> u64 {
        if let Ok(file) = File::open(&self.path) {
            self.read_frames(&file).expect("the log can be read");
        }
        self.ends.len() as u64
    }

    fn read_frames(&mut self, file: &File) -> std::io::Result<()> {
        let length = file.metadata()?.len();
        if length < HEADER_BYTES {
            return Ok(());
        }
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact_at(&mut header, 0)?;
        let word = |bytes: &[u8], at: usize| {
            u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
        };
        let frame_bytes = FRAME_HEADER_BYTES + u64::from(word(&header, 8));
        let mut at = self.next;
        while at + frame_bytes <= length {
            let mut frame = [0; FRAME_HEADER_BYTES as usize];
            file.read_exact_at(&mut frame, at)?;
            assert_eq!(frame[8..16], header[16..24], "the log began again");
            at += frame_bytes;
            // The size of the database stands in the last frame of a transaction only. Frames
            // before it may still be written anew.
            if word(&frame, 4) != 0 {
                self.ends.push(at);
                self.next = at;
            }
        }
        Ok(())
    }

    /// The whole log.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap_or_default()
    }
}
