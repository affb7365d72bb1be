//! Signals between processes by PostgreSQL's NOTIFY, where there is no Redis. A channel is its database's own, so what shares a server
//! does not hear each other.

use std::{convert::Infallible, time::Duration};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, Statement,
    sqlx::{
        Executor as _,
        postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    },
};
use tokio::time::timeout;

use crate::infrastructure::bus::{Ear, Wire};

use super::{
    connect::PATIENCE,
    error::{broken, broken_driver},
};

/// Shared by every process on the database.
const CHANNEL: &str = "dashtam_signals";

/// How often a listener makes sure that the other end is still there: a line that was cut says nothing by itself.
const ARE_YOU_THERE: Duration = Duration::from_secs(10);

/// A channel of the database. It listens on a connection of its own, and sends through the pool.
pub struct NotifyWire {
    pub(super) connection: DatabaseConnection,
    pub(super) options: PgConnectOptions,
}

#[async_trait]
impl Wire for NotifyWire {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    async fn send(&self, message: &str) -> anyhow::Result<()> {
        let backend = self.connection.get_database_backend();
        let notify = Statement::from_sql_and_values(backend, "SELECT pg_notify($1, $2)", [CHANNEL.into(), message.into()]);
        self.connection.execute_raw(notify).await.map_err(broken("giving a signal"))?;
        Ok(())
    }

    async fn hear(&self, ear: &Ear) -> anyhow::Result<Infallible> {
        let own = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).max_lifetime(None).idle_timeout(None);
        let own = own.connect_with(self.options.clone()).await.map_err(broken_driver("connecting to hear signals"))?;
        let mut listener = PgListener::connect_with(&own).await.map_err(broken_driver("connecting to hear signals"))?;
        // A line that broke is told, and taken up by who called.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await.map_err(broken_driver("listening to signals"))?;
        ear.connected();
        loop {
            match timeout(ARE_YOU_THERE, listener.try_recv()).await {
                Ok(Ok(Some(message))) => ear.heard(message.payload()),
                Ok(Ok(None)) => bail!("the connection broke"),
                Ok(Err(failure)) => return Err(broken_driver("listening to signals")(failure)),
                Err(_) => {
                    let alive = timeout(PATIENCE, listener.execute("SELECT 1")).await.context("no sign of life")?;
                    alive.map_err(broken_driver("listening to signals"))?;
                }
            }
        }
    }
}
