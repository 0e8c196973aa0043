//! A list of passwords that are known to others, in a file of the app's own.
//!
//! One to a line, sorted by its bytes: as they are, or as SHA-1 in hexadecimal, by itself or with a count behind a colon, as lists of
//! breached passwords come (`HASH:COUNT`). It may be far larger than memory: a look reads some forty lines of it, found by halves.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Bytes that are read of a line: no password that is taken is longer.
const LINE_MAX: u64 = 4096;
/// Digits of SHA-1.
const DIGITS: usize = 40;

/// The list.
#[derive(Clone, Debug)]
pub(crate) struct Breached {
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Sha1,
}

impl Breached {
    /// The list in a file.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    pub(crate) fn open(path: &Path) -> Result<Breached, String> {
        let problem = |error: std::io::Error| format!("identity.password_list: {}: {error}", path.display());
        let mut first = Vec::new();
        let file = File::open(path).map_err(problem)?;
        BufReader::new(file.take(LINE_MAX)).read_until(b'\n', &mut first).map_err(problem)?;
        let is_digest = first.len() >= DIGITS
            && first[..DIGITS].iter().all(u8::is_ascii_hexdigit)
            && matches!(first.get(DIGITS), None | Some(b':' | b'\r' | b'\n'));
        let kind = if is_digest { Kind::Sha1 } else { Kind::Plain };
        Ok(Breached { path: path.to_owned(), kind })
    }

    /// Whether a password is in it.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub(crate) fn has(&self, password: &str) -> std::io::Result<bool> {
        let wanted = match self.kind {
            Kind::Plain => password.as_bytes().to_vec(),
            Kind::Sha1 => {
                let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
                digest.as_ref().iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()
            }
        };
        let mut file = BufReader::with_capacity(256, File::open(&self.path)?);
        let (mut low, mut high) = (0, file.get_ref().metadata()?.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let start = line_start(&mut file, middle)?;
            if start >= high {
                high = middle;
                continue;
            }
            let (line, bytes) = line(&mut file)?;
            match self.compare(&line, &wanted) {
                Ordering::Equal => return Ok(true),
                Ordering::Less => low = start + bytes,
                Ordering::Greater => high = middle,
            }
        }
        Ok(false)
    }

    fn compare(&self, line: &[u8], wanted: &[u8]) -> Ordering {
        match self.kind {
            Kind::Plain => line.cmp(wanted),
            Kind::Sha1 => line[..line.len().min(DIGITS)].to_ascii_uppercase().as_slice().cmp(wanted),
        }
    }
}

/// Goes to the first line that begins at a place or behind it, and says where that is.
fn line_start(file: &mut BufReader<File>, place: u64) -> std::io::Result<u64> {
    let Some(before) = place.checked_sub(1) else { return file.seek(SeekFrom::Start(0)) };
    file.seek(SeekFrom::Start(before))?;
    let skipped = file.skip_until(b'\n')?;
    Ok(before + skipped as u64)
}

/// A line without its end, and how many bytes it has with it.
fn line(file: &mut BufReader<File>) -> std::io::Result<(Vec<u8>, u64)> {
    let mut line = Vec::new();
    let read = file.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
    let rest = if line.ends_with(b"\n") { 0 } else { file.skip_until(b'\n')? };
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok((line, (read + rest) as u64))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Breached, Kind};

    fn list(lines: &[&str], end: &str) -> (tempfile::NamedTempFile, Breached) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.join(end).as_bytes()).unwrap();
        file.write_all(end.as_bytes()).unwrap();
        let list = Breached::open(file.path()).unwrap();
        (file, list)
    }

    #[test]
    fn every_line_is_found_and_nothing_beside_them() {
        let mut words: Vec<String> = (0..500).map(|n| format!("{:x}", n * n * 7919)).collect();
        words.extend(["a".to_owned(), "Zebra stripes".to_owned(), "größe".to_owned(), "x".repeat(900)]);
        words.sort();
        words.dedup();
        let lines: Vec<&str> = words.iter().map(String::as_str).collect();
        for end in ["\n", "\r\n"] {
            let (_file, list) = list(&lines, end);
            assert_eq!(list.kind, Kind::Plain);
            for word in &lines {
                assert!(list.has(word).unwrap(), "{word}");
                assert!(!list.has(&format!("{word}!")).unwrap(), "{word}!");
            }
            for other in ["", "~~~", " ", "zebra stripes"] {
                assert!(!list.has(other).unwrap(), "{other}");
            }
        }
    }

    #[test]
    fn digests_are_known_by_their_form() {
        // Of "password" and "123456", as lists of breached passwords have them, in either case.
        let upper = [
            "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:52256179",
            "7C4A8D09CA3762AF61E59520943DC26494F8941B:1",
        ];
        let lower = upper.map(|line| line[..40].to_lowercase());
        for lines in [upper.map(str::to_owned), lower] {
            let lines = lines.each_ref().map(String::as_str);
            let (_file, list) = list(&lines, "\n");
            assert_eq!(list.kind, Kind::Sha1);
            assert!(list.has("password").unwrap() && list.has("123456").unwrap());
            assert!(!list.has("a boat that sings by night").unwrap());
        }
    }

    #[test]
    fn one_that_is_not_there_is_told_of_at_once() {
        let words = Breached::open(std::path::Path::new("/nowhere/list.txt")).unwrap_err();
        assert!(words.starts_with("identity.password_list: /nowhere/list.txt"), "{words}");
    }
}
