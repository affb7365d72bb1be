//! The embedded database as a file in a folder: who serves from it, and whether somebody's data is in it.

use anyhow::bail;
use secrecy::ExposeSecret as _;

use crate::{
    config::Config,
    infrastructure::{
        database::inspection::{Inspection, sqlite_file},
        private_file::{self, Held},
    },
};

/// Takes the embedded database for a process that serves from it until the answer is dropped: two would both work off what is queued, and
/// neither would hear of what the other does. `None` for PostgreSQL, which any number may share.
pub fn take(config: &Config) -> anyhow::Result<Option<Held>> {
    let Some(database) = sqlite_file(config.database().expose_secret()) else { return Ok(None) };
    private_file::make_folder(&config.data_dir)?;
    let mut lock = database.clone().into_os_string();
    lock.push(".lock");
    match private_file::hold(lock.as_ref())? {
        Ok(held) => Ok(Some(held)),
        Err(other) => {
            let other = other.map(|id| format!(" (process {id})")).unwrap_or_default();
            bail!("another dashtam serves from {}{other}; stop that one, or take another folder with --data-dir", database.display())
        }
    }
}

/// Whether the embedded database is there and has users. Changes nothing.
pub async fn has_users(config: &Config) -> anyhow::Result<bool> {
    if !config.is_embedded() {
        return Ok(false);
    }
    let Some(inspection) = Inspection::open(config.database().expose_secret()).await? else { return Ok(false) };
    let has_users = inspection.has_users().await;
    inspection.close().await?;
    has_users
}
