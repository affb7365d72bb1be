//! Files that nobody else may read: written whole or not at all, and one writer at a time.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// Makes a folder that only its owner looks into, unless it is there.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| format!("the data folder {} cannot be made", folder.display()))
}

/// Writes a file only its owner reads. One that was there keeps its owner; a link stays, and what it leads to is replaced.
pub fn write(file: &Path, content: &str) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", file.display());
    let target = if file.is_symlink() { file.canonicalize().with_context(failed)? } else { file.to_owned() };
    let folder = folder_of(&target)?;
    // Temporary files are made with mode 0600.
    let mut temporary = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    if let Ok(former) = target.metadata()
        && former.uid() != temporary.as_file().metadata().with_context(failed)?.uid()
    {
        fchown(temporary.as_file(), Some(former.uid()), Some(former.gid())).with_context(failed)?;
    }
    temporary.write_all(content.as_bytes()).with_context(failed)?;
    temporary.as_file().sync_all().with_context(failed)?;
    temporary.persist(&target).with_context(failed)?;
    // The new name is on the disk once the folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(failed)
}

/// Whether a file can be replaced here; otherwise what is in the way.
pub fn can_replace(file: &Path) -> anyhow::Result<()> {
    let target = if file.is_symlink() { file.canonicalize()? } else { file.to_owned() };
    // Without a name: nothing is left behind, not even for a moment.
    tempfile::tempfile_in(folder_of(&target)?)?;
    Ok(())
}

/// Waits until no other process holds the folders of these files. Dropping the answer lets the next one in.
pub fn take_turn<'a>(files: impl Iterator<Item = &'a Path>) -> anyhow::Result<Vec<File>> {
    let mut folders: Vec<PathBuf> = files.map(|file| Ok(folder_of(file)?.canonicalize()?)).collect::<anyhow::Result<_>>()?;
    // In one order everywhere, so that two never wait for each other.
    folders.sort();
    folders.dedup();
    let mut held = Vec::new();
    for folder in folders {
        let opened = File::open(&folder).with_context(|| format!("{} cannot be opened", folder.display()))?;
        opened.lock().with_context(|| format!("{} cannot be locked", folder.display()))?;
        held.push(opened);
    }
    Ok(held)
}

/// A file that no other process holds meanwhile. The system lets go of it with this process, however that ends.
pub struct Held {
    _file: File,
}

/// Takes a file for this process. `Err` inside names the process that has it, once that has written its id.
pub fn hold(file: &Path) -> anyhow::Result<Result<Held, Option<u32>>> {
    let failed = || format!("{} cannot be locked", file.display());
    let mut held = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(file).with_context(failed)?;
    match held.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Err(std::fs::read_to_string(file).ok().and_then(|id| id.trim().parse().ok()))),
        Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
    }
    held.set_len(0).and_then(|()| writeln!(held, "{}", std::process::id())).with_context(failed)?;
    Ok(Ok(Held { _file: held }))
}

fn folder_of(file: &Path) -> anyhow::Result<&Path> {
    let folder = file.parent().context("a file stands in a folder")?;
    Ok(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}
