//! The files of one filename prefix: `PREFIX.20261120T170000.000000Z.tfrecord`, named by the time of their first record.
//!
//! A file that is full is followed by a new one, for which the oldest make room. Files that earlier servers left under the
//! same prefix count too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// So many files share the room: with the oldest an eighth of what is kept goes.
const FILES: u64 = 8;

/// What is collected before it is written, unless nothing more comes.
const BUFFER_BYTES: usize = 256 << 10;

const SUFFIX: &str = ".tfrecord";

pub struct Files {
    prefix: PathBuf,
    max_bytes: u64,
    current: Option<Current>,
    /// Records that are not in the file yet.
    buffer: Vec<u8>,
}

struct Current {
    file: File,
    /// Whole records that are in the file.
    length: u64,
    /// How long it may become.
    room: u64,
}

impl Files {
    /// Nothing is created before the first record. All files together never take more than `max_bytes`.
    pub fn new(prefix: PathBuf, max_bytes: u64) -> Files {
        Files { prefix, max_bytes, current: None, buffer: Vec::new() }
    }

    /// Whether a record of so many bytes can be kept at all.
    pub fn fits(&self, bytes: usize) -> bool {
        bytes as u64 <= self.max_bytes
    }

    /// Append one record of `bytes` bytes, which `write` writes; it is in the file after the next `flush`.
    pub fn append(&mut self, bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let is_full = |current: &Current| current.length + (self.buffer.len() + bytes) as u64 > current.room;
        if self.current.as_ref().is_none_or(is_full) {
            self.flush()?;
            self.current = None;
            self.current = Some(self.open_next(bytes as u64)?);
        }
        write(&mut self.buffer);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Write what was appended. If that fails all of it is gone, and the file ends with a whole record.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        let written = current.file.write_all(&self.buffer);
        match &written {
            Ok(()) => current.length += self.buffer.len() as u64,
            Err(_) => {
                // Half a record would hide what came after it, so nothing comes after it: the next one opens a new file.
                let _ = current.file.set_len(current.length);
                self.current = None;
            }
        }
        self.buffer.clear();
        written
    }

    /// Make room for a file that begins with a record of `bytes` bytes, and create it.
    fn open_next(&self, bytes: u64) -> io::Result<Current> {
        let room = (self.max_bytes / FILES).max(bytes);
        let mut files = self.existing()?;
        files.sort();
        let mut total: u64 = files.iter().map(|(_, length)| length).sum();
        for (path, length) in files {
            // An empty one is what a full disk has left.
            if total + room > self.max_bytes || length == 0 {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => total -= length,
                }
            }
        }
        loop {
            let now = humantime::format_rfc3339_micros(SystemTime::now()).to_string().replace(['-', ':'], "");
            let mut path = self.prefix.clone().into_os_string();
            path.push(format!(".{now}{SUFFIX}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                // Another server with the same prefix, in the same microsecond.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                opened => return Ok(Current { file: opened?, length: 0, room }),
            }
        }
    }

    /// The files of this prefix with their lengths.
    fn existing(&self) -> io::Result<Vec<(PathBuf, u64)>> {
        let folder = self.prefix.parent().unwrap_or(Path::new("/"));
        let name = self.prefix.file_name().unwrap_or_default().as_encoded_bytes();
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let rest = entry.file_name().as_encoded_bytes().strip_prefix(name).map(<[u8]>::to_vec);
            if rest.is_some_and(|rest| is_stamp(&rest))
                && let Ok(metadata) = entry.metadata()
            {
                found.push((entry.path(), metadata.len()));
            }
        }
        Ok(found)
    }
}

/// `.20261120T170000.000000Z.tfrecord`
fn is_stamp(rest: &[u8]) -> bool {
    let form = b".00000000T000000.000000Z.tfrecord";
    let alike = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    rest.len() == form.len() && rest.iter().zip(form).all(alike)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tfrecord::{self, FRAME_BYTES};

    /// A folder that is empty at the start and gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("tfs-files-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Folder(path)
        }

        fn lengths(&self) -> Vec<u64> {
            let mut files: Vec<_> =
                fs::read_dir(&self.0).expect("a folder").map(|entry| entry.expect("an entry")).collect();
            files.sort_by_key(fs::DirEntry::file_name);
            files.iter().map(|entry| entry.metadata().expect("a file").len()).collect()
        }

        fn records(&self) -> Vec<Vec<u8>> {
            let mut files: Vec<_> =
                fs::read_dir(&self.0).expect("a folder").map(|entry| entry.expect("one").path()).collect();
            files.sort();
            let mut records = Vec::new();
            for file in files {
                let text = fs::read(file).expect("a file");
                let mut rest = &text[..];
                while let Some(record) = tfrecord::read(&mut rest).expect("whole records") {
                    records.push(record);
                }
            }
            records
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn append(files: &mut Files, data: &[u8]) -> io::Result<()> {
        files.append(data.len() + FRAME_BYTES, |out| tfrecord::write(out, &[data]))
    }

    #[test]
    fn a_full_file_is_followed_by_another_and_the_oldest_make_room() {
        let folder = Folder::new("rotation");
        let mut files = Files::new(folder.0.join("m"), 8 * 250);
        for number in 0..40u8 {
            append(&mut files, &[number; 84]).expect("written");
            files.flush().expect("written");
            assert!(folder.lengths().iter().sum::<u64>() <= 8 * 250);
        }
        assert_eq!(folder.lengths(), [200; 9], "a ninth file of up to 250 bytes still fits");
        let numbers: Vec<_> = folder.records().iter().map(|record| record[0]).collect();
        assert_eq!(numbers, (22..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_record_larger_than_a_file_has_one_of_its_own() {
        let folder = Folder::new("large");
        let mut files = Files::new(folder.0.join("m"), 800);
        append(&mut files, &[1; 50]).expect("written");
        append(&mut files, &[2; 500]).expect("written");
        append(&mut files, &[3; 50]).expect("written");
        files.flush().expect("written");
        assert_eq!(folder.lengths(), [66, 516, 66]);
        assert!(files.fits(800) && !files.fits(801));
    }

    #[test]
    fn files_of_others_are_left_alone_and_those_of_earlier_servers_count() {
        let folder = Folder::new("others");
        let (other, longer) = (folder.0.join("m.tfrecord"), folder.0.join("mm.20200101T000000.000000Z.tfrecord"));
        let (old, empty) =
            (folder.0.join("m.20200101T000000.000000Z.tfrecord"), folder.0.join("m.20210101T000000.000000Z.tfrecord"));
        for (file, length) in [(&other, 900), (&longer, 900), (&old, 900), (&empty, 0)] {
            fs::write(file, vec![0; length]).expect("a file");
        }
        let mut files = Files::new(folder.0.join("m"), 1000);
        append(&mut files, &[1; 100]).expect("written");
        assert!(other.exists() && longer.exists() && !old.exists() && !empty.exists());
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_the_next_record_tries_again() {
        let folder = Folder::new("gone");
        let mut files = Files::new(folder.0.join("sub").join("m"), 1000);
        assert!(append(&mut files, b"lost").is_err());
        fs::create_dir(folder.0.join("sub")).expect("a folder");
        append(&mut files, b"kept").and_then(|()| files.flush()).expect("written");
    }
}
