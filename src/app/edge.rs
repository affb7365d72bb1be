//! What listens, composed from the configuration: the graph with its documents and limits, routes, layers, and patience.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, response::Redirect, routing::get};

use super::sharing::Parts;

use crate::{
    application::{
        Application,
        ports::{Mailbox, Meter},
    },
    config::{Config, DocumentMode},
    domain::time::Clock,
    infrastructure::providers::sandbox::SandboxBank,
    presentation::{
        graphql::{
            Graph,
            documents::{Documents, Trust},
            limits::Limits,
        },
        http::{Edge, Streams, browsers::Browsers, metrics::counted, proxies::Proxies, router, server::Patience, with_common_layers},
    },
};

/// What routes stand on.
pub(super) struct Surface<'a> {
    pub(super) config: &'a Config,
    /// Where it will be reached.
    pub(super) listening: SocketAddr,
    /// How browsers reach it.
    pub(super) public_url: String,
    pub(super) application: &'a Arc<Application>,
    pub(super) parts: Parts,
    pub(super) clock: &'a Arc<dyn Clock>,
    /// The mails that are kept instead of sent; only in development.
    pub(super) mailbox: Option<Arc<dyn Mailbox>>,
    /// Streams that will be open.
    pub(super) streams: Streams,
    /// Likewise in development.
    pub(super) sandbox: Option<Arc<SandboxBank>>,
    /// Counts what becomes of requests.
    pub(super) meter: Arc<dyn Meter>,
}

impl Surface<'_> {
    /// All routes, with what every answer has in common.
    pub(super) fn router(self) -> anyhow::Result<Router> {
        let Self { config, listening, public_url, application, parts, clock, mailbox, streams, sandbox, meter } = self;
        let browsers = Browsers::new(config.cors.origins()?, &public_url, listening.ip().is_loopback());
        let edge = Edge {
            application: application.clone(),
            graph: Arc::new(Graph::new(application.clone(), documents(config)?)?),
            readiness: Arc::new(parts),
            public_url,
            browsers: browsers.clone(),
            body_bytes: config.limits.body_bytes,
            proxies: Proxies::new(config.proxies()?, clock.clone()),
            mailbox,
            streams,
            playground: config.playground.enabled,
            meter: meter.clone(),
        };
        let routes = router(edge);
        let routes = match sandbox {
            Some(bank) => routes.nest("/sandbox", bank.router()).route("/sandbox/", get(async || Redirect::permanent("/sandbox"))),
            None => routes,
        };
        Ok(counted(with_common_layers(routes, seconds(config.limits.request_seconds), &browsers), meter))
    }
}

fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        document_bytes: limits.document_bytes,
        depth: limits.depth,
        fields: limits.fields,
        aliases: limits.aliases,
        directives: limits.directives,
        errors: limits.errors,
    }
}

/// How much patience connections meet.
pub(super) fn patience(config: &Config) -> Patience {
    let limits = &config.limits;
    Patience {
        connections: limits.connections,
        header_bytes: limits.header_bytes,
        header: seconds(limits.header_seconds),
        idle: seconds(limits.idle_seconds),
        stall: seconds(limits.request_seconds),
    }
}

fn seconds(number: usize) -> Duration {
    Duration::from_secs(number as u64)
}

/// The documents that are trusted, and what becomes of others.
fn documents(config: &Config) -> anyhow::Result<Documents> {
    let trust = match (config.documents.mode, &config.documents.manifest) {
        (DocumentMode::Off, _) | (DocumentMode::Prefer, None) => return Documents::new(Trust::Everyone, None, limits(config)),
        (DocumentMode::Prefer, Some(_)) => Trust::Prefer,
        (DocumentMode::Strict, _) => Trust::Strict,
    };
    let file = config.documents.manifest.as_deref().unwrap_or(Path::new(""));
    let manifest = std::fs::read_to_string(file).with_context(|| format!("the manifest {} of DASHTAM_DOCUMENTS__MANIFEST cannot be read", file.display()))?;
    Documents::new(trust, Some(&manifest), limits(config))
        .with_context(|| format!("the manifest {} of DASHTAM_DOCUMENTS__MANIFEST cannot be used", file.display()))
}
