//! Documents: how the one that is asked is found, by its text or by its id, and which are kept.
//!
//! Three kinds are kept, each parsed. *Trusted* documents come from the operator's manifest when the server starts. *Persisted* ones were
//! sent once together with their hash, and are asked by it from then on (automatic persisted queries, as Apollo's clients have them).
//! The others are kept by their text, so that the next request with the same text saves the parsing. Nothing is kept before it ran: what
//! does not fit the schema or a limit costs its sender a request each time and nobody else their place.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::Arc,
};

use anyhow::{Context, bail};
use async_graphql::{
    ServerError,
    parser::{parse_query, types::ExecutableDocument},
};
use quick_cache::{Weighter, sync::Cache};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    Question,
    completion::{TypeIndex, prepare},
    error::{self, Code},
    limits::{self, Limits, TooComplex},
    survey::{self, Survey},
    usage::{self, Inputs},
};

/// How much memory kept documents may take, in bytes: as much again for those kept by their text.
const KEPT_BYTES: u64 = 16 * 1024 * 1024;

/// How many documents are kept at most. Each counts as if it took its share of the memory at least.
const KEPT_DOCUMENTS: u64 = 1024;

/// About how many bytes a token takes once it is parsed, with what was prepared from it.
const BYTES_A_TOKEN: u64 = 500;

/// The version of the protocol of automatic persisted queries.
const APQ_VERSION: u64 = 1;

/// What Apollo's clients wait for before they send a document's text.
const NOT_FOUND: &str = "PersistedQueryNotFound";

/// Which documents run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// All; there is no manifest.
    #[default]
    Everyone,
    /// All, those of the manifest by their id too.
    Prefer,
    /// Those of the manifest and no others.
    Strict,
}

/// The hash of a document's text that a client sends as `extensions.persistedQuery`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersistedQuery {
    version: u64,
    sha256_hash: String,
}

/// A document that was parsed and prepared to run.
pub(super) struct Document {
    /// As it was asked.
    pub(super) asked: ExecutableDocument,
    /// As it runs.
    pub(super) prepared: ExecutableDocument,
    /// Whether its answer has to be completed even if nothing fails.
    pub(super) must_complete: bool,
    weight: u64,
}

/// What was found, and whether it is worth keeping once it ran.
pub(super) struct Found {
    pub(super) document: Arc<Document>,
    keep: Keep,
}

enum Keep {
    /// It is kept already, or must not be.
    No,
    ByText(String),
    ByHash(String),
}

/// The documents of one server.
pub struct Documents {
    trust: Trust,
    limits: Limits,
    inputs: Inputs,
    /// By the ids of the manifest, and by their hashes.
    trusted: HashMap<String, Arc<Document>>,
    persisted: Kept,
    parsed: Kept,
}

/// By the SHA-256 of the text, in hex. What is asked again and again stays however many others come by once.
type Kept = Cache<String, Arc<Document>, Weight>;

#[derive(Clone)]
struct Weight;

impl Weighter<String, Arc<Document>> for Weight {
    fn weight(&self, _: &String, document: &Arc<Document>) -> u64 {
        document.weight.max(KEPT_BYTES / KEPT_DOCUMENTS)
    }
}

/// A manifest as Apollo's `generate-persisted-query-manifest` writes it.
#[derive(Deserialize)]
struct ApolloManifest {
    format: String,
    version: u64,
    operations: Vec<ApolloOperation>,
}

#[derive(Deserialize)]
struct ApolloOperation {
    id: String,
    body: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Manifest {
    Apollo(ApolloManifest),
    /// As GraphQL Code Generator and Relay write it: texts by their ids.
    Plain(BTreeMap<String, String>),
}

impl Manifest {
    fn read(text: &str) -> anyhow::Result<Vec<(String, String)>> {
        match serde_json::from_str(text).ok().context("it is neither a JSON object of documents by their ids nor a manifest of Apollo's")? {
            Self::Apollo(ApolloManifest { format, version, .. }) if format != "apollo-persisted-query-manifest" || version != 1 => {
                bail!("it is not of the format apollo-persisted-query-manifest, version 1")
            }
            Self::Apollo(manifest) => Ok(manifest.operations.into_iter().map(|operation| (operation.id, operation.body)).collect()),
            Self::Plain(documents) => Ok(documents.into_iter().collect()),
        }
    }
}

impl Documents {
    /// Any that are asked, and those of a `manifest`. A document of it that could never run is refused by its id.
    pub fn new(trust: Trust, manifest: Option<&str>, limits: Limits) -> anyhow::Result<Self> {
        let types = TypeIndex::parse(super::sdl())?;
        let kept = || Cache::with_weighter(usize::try_from(KEPT_DOCUMENTS).unwrap_or(usize::MAX), KEPT_BYTES, Weight);
        let mut documents = Self { trust, limits, inputs: Inputs::parse(super::sdl())?, trusted: HashMap::new(), persisted: kept(), parsed: kept() };
        for (id, text) in manifest.map(Manifest::read).transpose()?.unwrap_or_default() {
            let document = Document::read(&text, &types, &documents.inputs, &limits)
                .map_err(|refused| anyhow::anyhow!("its document {id:?} cannot run: {}", refused.message))?;
            let document = Arc::new(document.0);
            documents.trusted.insert(hash(&text), document.clone());
            documents.trusted.insert(unprefixed(&id).to_owned(), document);
        }
        Ok(documents)
    }

    /// What is asked of each.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The document a question means.
    pub(super) fn find(&self, question: &Question, types: &TypeIndex) -> Result<Found, ServerError> {
        let text = question.document.as_deref();
        if let Some(persisted) = &question.persisted
            && persisted.version != APQ_VERSION
        {
            return Err(error::refusal(Code::BadUserInput, "extensions.persistedQuery is of another version than 1"));
        }
        match (text, question.document_id.as_deref(), &question.persisted) {
            (Some(_), Some(_), _) => Err(error::refusal(Code::BadUserInput, "send a document or its id, not both")),
            (None, Some(id), _) => self.find_by_id(unprefixed(id)),
            (None, None, Some(persisted)) => self.find_by_id(&persisted.sha256_hash),
            (Some(text), None, persisted) => self.find_by_text(text, persisted.as_ref(), types),
            (None, None, None) => Err(error::refusal(Code::BadUserInput, "the document is missing")),
        }
    }

    fn find_by_id(&self, id: &str) -> Result<Found, ServerError> {
        let known = self.trusted.get(id).cloned().or_else(|| (self.trust != Trust::Strict).then(|| self.persisted.get(id)).flatten());
        known.map(|document| Found { document, keep: Keep::No }).ok_or_else(|| error::refusal(Code::PersistedQueryNotFound, NOT_FOUND))
    }

    fn find_by_text(&self, text: &str, persisted: Option<&PersistedQuery>, types: &TypeIndex) -> Result<Found, ServerError> {
        if text.len() > self.limits.document_bytes {
            return Err(TooComplex::Length(self.limits.document_bytes).into());
        }
        let hash = hash(text);
        if persisted.is_some_and(|persisted| persisted.sha256_hash != hash) {
            return Err(error::refusal(Code::BadUserInput, "extensions.persistedQuery.sha256Hash is not the SHA-256 of the document in hex"));
        }
        if let Some(document) = self.trusted.get(&hash) {
            return Ok(Found { document: document.clone(), keep: Keep::No });
        }
        if self.trust == Trust::Strict {
            return Err(error::refusal(Code::BadUserInput, "this server runs no documents but those it was given when it started"));
        }
        let known = self.parsed.get(&hash).or_else(|| self.persisted.get(&hash));
        let (document, survey) = match known {
            Some(document) if persisted.is_none() => return Ok(Found { document, keep: Keep::No }),
            Some(document) => (document, None),
            None => Document::read(text, types, &self.inputs, &self.limits).map(|(document, survey)| (Arc::new(document), Some(survey)))?,
        };
        let keep = match survey {
            _ if persisted.is_some() => Keep::ByHash(hash),
            // Strings in a document are values: they differ from call to call, and may be secrets.
            Some(Survey { has_strings: true, .. }) | None => Keep::No,
            Some(_) => Keep::ByText(hash),
        };
        Ok(Found { document, keep })
    }

    /// Keeps what ran.
    pub(super) fn keep(&self, found: &Found) {
        match &found.keep {
            Keep::No => {}
            Keep::ByText(hash) => self.parsed.insert(hash.clone(), found.document.clone()),
            Keep::ByHash(hash) => self.persisted.insert(hash.clone(), found.document.clone()),
        }
    }
}

impl Document {
    fn read(text: &str, types: &TypeIndex, inputs: &Inputs, limits: &Limits) -> Result<(Self, Survey), ServerError> {
        if text.len() > limits.document_bytes {
            return Err(TooComplex::Length(limits.document_bytes).into());
        }
        let survey = survey::of_document(text, limits)?;
        let asked = parse_query(text).map_err(error::unparsed)?;
        survey.check(text)?;
        let weight = BYTES_A_TOKEN.saturating_mul(survey.tokens.try_into().unwrap_or(u64::MAX)).saturating_add(text.len().try_into().unwrap_or(u64::MAX));
        limits::check(&asked, None, limits)?;
        usage::check(&asked, types, inputs)?;
        let mut prepared = asked.clone();
        let must_complete = prepare(&mut prepared, types);
        Ok((Self { asked, prepared, must_complete, weight }, survey))
    }
}

/// The SHA-256 of a document's text, in hex.
fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _written = write!(hex, "{byte:02x}");
        hex
    })
}

/// An id without the prefix that says it is a hash (GraphQL over HTTP, appendix A).
fn unprefixed(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}
