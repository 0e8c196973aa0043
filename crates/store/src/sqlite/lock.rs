//! The lock that a server or worker has on the folder of its database.
//!
//! A lock of the operating system on a file beside the database: it ends with the process, however that ends, so
//! none is ever stale. The file itself stays; what stands in it is only for people. SQLite's own locks are not
//! touched: short commands read and write beside the holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of the database at `path`, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<FolderLock, StoreError> {
        let lock_path = lock_path(path);
        let failed = |what: &str, error: std::io::Error| StoreError::Io {
            detail: format!("cannot {what} {}: {error}", lock_path.display()),
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .map_err(|error| failed("open", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Where the lock also keeps others from reading, the message goes without the number.
                let holder = file.read_to_string(&mut holder).is_ok().then(|| holder.trim().to_owned());
                return Err(StoreError::Locked {
                    path: path.to_owned(),
                    holder: holder.filter(|holder| !holder.is_empty()),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| failed("write", error))?;
        Ok(FolderLock { _file: file })
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
