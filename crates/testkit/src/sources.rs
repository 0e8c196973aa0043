//! The sources of an app in a folder.

use std::fs;
use std::io;
use std::path::Path;

/// Copies an app, or a folder of them, without the data that a server may have left there.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy_sources(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_name() == "data" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_sources(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}
