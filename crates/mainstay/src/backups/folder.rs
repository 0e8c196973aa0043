//! Where: a folder of files whose names tell the app and the time, and a note of the last one.
//!
//! Only files that are named so are ever removed.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use mainstay_lang::value::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commands::backup::{ENDING, name};

/// A folder of an app's backups.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    app: String,
}

/// What the last backup came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// When it was begun.
    pub(crate) at: Timestamp,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// The last good one.
    pub(crate) good: Option<Good>,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Good {
    pub(crate) at: Timestamp,
    pub(crate) file: String,
    pub(crate) bytes: u64,
}

/// A [`Note`] as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    at: String,
    error: Option<String>,
    good: Option<KeptGood>,
}

#[derive(Serialize, Deserialize)]
struct KeptGood {
    at: String,
    file: String,
    bytes: u64,
}

impl Folder {
    pub(crate) fn new(path: PathBuf, app: &str) -> Folder {
        Folder { path, app: app.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a backup.
    pub(crate) fn file(&self, at: Timestamp) -> PathBuf {
        self.path.join(name(&self.app, at))
    }

    fn note_path(&self) -> PathBuf {
        self.path.join(format!("{}.last.json", self.app))
    }

    /// What the last backup came to; none: none was tried.
    pub(crate) fn note(&self) -> Result<Option<Note>> {
        let path = self.note_path();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| path.display().to_string())?,
        };
        let kept: Kept = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let time = |text: &str| {
            Timestamp::parse(text).with_context(|| format!("{}: {text:?} is no time", path.display()))
        };
        let good = kept.good.map(|good| {
            Ok::<_, anyhow::Error>(Good { at: time(&good.at)?, file: good.file, bytes: good.bytes })
        });
        Ok(Some(Note { at: time(&kept.at)?, error: kept.error, good: good.transpose()? }))
    }

    /// Notes that the backup of a time was made.
    pub(crate) fn note_good(&self, at: Timestamp, bytes: u64) -> Result<()> {
        let good = KeptGood { at: at.to_string(), file: name(&self.app, at).display().to_string(), bytes };
        self.keep(&Kept { at: at.to_string(), error: None, good: Some(good) })
    }

    /// Notes that the backup of a time failed; what is known of the last good one stays.
    pub(crate) fn note_failed(&self, at: Timestamp, error: &str) -> Result<()> {
        let good = self.note().ok().flatten().and_then(|note| note.good);
        let good = good.map(|good| KeptGood { at: good.at.to_string(), file: good.file, bytes: good.bytes });
        self.keep(&Kept { at: at.to_string(), error: Some(error.to_owned()), good })
    }

    fn keep(&self, kept: &Kept) -> Result<()> {
        let path = self.note_path();
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(".part");
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.path)?;
            fs::write(&unfinished, serde_json::to_string_pretty(kept)?)?;
            fs::rename(&unfinished, &path)
        };
        write().with_context(|| path.display().to_string())
    }

    /// Removes all backups but the newest, and what an earlier run left unfinished; how many.
    pub(crate) fn prune(&self, keep: usize) -> Result<usize> {
        let mut whole = Vec::new();
        let mut removed = 0;
        let entries = fs::read_dir(&self.path).with_context(|| self.path.display().to_string())?;
        for entry in entries {
            let path = entry.with_context(|| self.path.display().to_string())?.path();
            let Some(file) = path.file_name().and_then(|file| file.to_str()) else { continue };
            match file.strip_suffix(".part") {
                Some(file) if self.is_ours(file) => remove(&path, &mut removed)?,
                None if self.is_ours(file) => whole.push(path),
                _ => {}
            }
        }
        whole.sort();
        let too_many = whole.len().saturating_sub(keep);
        for path in &whole[..too_many] {
            remove(path, &mut removed)?;
        }
        Ok(removed)
    }

    /// Whether [`name`] gave it.
    fn is_ours(&self, file: &str) -> bool {
        let time = file
            .strip_prefix(&self.app)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(ENDING))
            .and_then(|rest| rest.strip_suffix("Z."));
        time.is_some_and(|time| {
            let digit = |(place, c): (usize, char)| if place == 8 { c == 'T' } else { c.is_ascii_digit() };
            time.len() == "20260131T100000".len() && time.chars().enumerate().all(digit)
        })
    }
}

fn remove(path: &Path, removed: &mut usize) -> Result<()> {
    fs::remove_file(path).with_context(|| path.display().to_string())?;
    *removed += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_newest_stay_and_nobody_elses_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let shop = Folder::new(folder.path().to_owned(), "shop");
        let days = ["2026-01-29T10:00:00Z", "2026-01-31T10:00:00Z", "2026-01-30T10:00:00.5Z"];
        let files = days.map(|day| shop.file(at(day)));
        assert!(files[1].ends_with("shop-20260131T100000Z.backup"), "{files:?}");
        let others =
            ["shop-notes.backup", "shop-2026.backup", "shopping-20200101T000000Z.backup", "shop.last.json"];
        let all = files.iter().cloned().chain(others.map(|other| folder.path().join(other)));
        all.for_each(|path| fs::write(path, "x").unwrap());
        fs::write(folder.path().join("shop-20260131T110000Z.backup.part"), "x").unwrap();
        assert_eq!(shop.prune(2).unwrap(), 2, "one whole and one unfinished");
        assert_eq!(files.map(|file| file.exists()), [false, true, true]);
        assert!(others.iter().all(|other| folder.path().join(other).exists()));
    }

    #[test]
    fn a_failure_does_not_hide_the_last_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let shop = Folder::new(folder.path().join("new"), "shop");
        assert_eq!(shop.note().unwrap(), None);
        shop.note_good(at("2026-01-30T10:00:00Z"), 17).unwrap();
        shop.note_failed(at("2026-01-31T10:00:00Z"), "the disk is full").unwrap();
        let note = shop.note().unwrap().unwrap();
        assert_eq!((note.at, note.error.as_deref()), (at("2026-01-31T10:00:00Z"), Some("the disk is full")));
        assert_eq!(note.good.map(|good| (good.at, good.bytes)), Some((at("2026-01-30T10:00:00Z"), 17)));
    }
}
