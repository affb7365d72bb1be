//! Where settings come from: a file, and the environment. Names are checked here, so that a typing error is told from a wrong value.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use figment::value::{Dict, Value};

use super::{
    Origin,
    settings::{Setting, meant, variable},
};

/// The settings of one source.
#[derive(Default)]
pub(super) struct Source {
    /// Their values, by section.
    pub(super) values: Dict,
    /// What each is called there, and the file it is read from if it has one of its own.
    pub(super) written: BTreeMap<&'static str, Origin>,
    /// What is wrong with names that nobody knows.
    pub(super) unknown: Vec<String>,
}

impl Source {
    /// A TOML file. What is wrong in it is named by line and never quoted: it may be a secret.
    pub(super) fn file(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("the configuration file {shown} cannot be read"))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            anyhow::anyhow!("{shown}, line {line}: {}", error.message())
        })?;
        let mut source = Self::default();
        source.take_table("", &table, &shown.to_string())?;
        Ok(source)
    }

    fn take_table(&mut self, section: &str, table: &toml::Table, file: &str) -> anyhow::Result<()> {
        for (key, value) in table {
            let name = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
            match (value, Setting::find(&name)) {
                (value, Some(setting)) => self.put(setting, format!("{name} in {file}"), None, Value::serialize(value)?)?,
                (toml::Value::Table(inner), None) => self.take_table(&name, inner, file)?,
                _ => self.unknown.push(unknown(&format!("{name} in {file}"), &name, str::to_owned)),
            }
        }
        Ok(())
    }

    /// Pairs of name and value; what does not begin with `DASHTAM_` is not ours, but for `DATABASE_URL`.
    pub(super) fn environment(environment: impl Iterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let mut source = Self::default();
        let mut common_database = None;
        for (written, value) in environment {
            if written == "DATABASE_URL" {
                common_database = Some(value);
                continue;
            }
            // What the build was asked for (build.rs) may still be set when the server starts.
            let own = written.strip_prefix("DASHTAM_").filter(|name| *name != "REQUIRE_PLAYGROUND");
            let Some(name) = own.map(|name| name.to_ascii_lowercase().replace("__", ".")) else { continue };
            let filed = name.strip_suffix("_file").and_then(Setting::find).filter(|setting| setting.is_secret());
            if let Some(secret) = filed {
                let text = std::fs::read_to_string(&value).with_context(|| format!("the file {written} names cannot be read"))?;
                source.put(secret, written, Some(value.into()), Value::from(unbroken(&text)))?;
            } else if let Some(setting) = Setting::find(&name) {
                let is_text = setting.is_text() || value.is_empty();
                let value = if is_text { Value::from(value) } else { value.parse().unwrap_or_else(|never| match never {}) };
                source.put(setting, written, None, value)?;
            } else {
                source.unknown.push(unknown(&written, &name, variable));
            }
        }
        if let (Some(url), false, Some(setting)) = (common_database, source.written.contains_key("database_url"), Setting::find("database_url")) {
            source.put(setting, "DATABASE_URL".to_owned(), None, Value::from(url))?;
        }
        Ok(source)
    }

    fn put(&mut self, setting: &'static Setting, written: String, file: Option<PathBuf>, value: Value) -> anyhow::Result<()> {
        if let Some(other) = self.written.get(setting.name) {
            bail!("{} and {written} are both set; keep one of them", other.written);
        }
        put(&mut self.values, setting.name, value);
        self.written.insert(setting.name, Origin { written, file });
        Ok(())
    }
}

/// What a file with a secret holds: one line break at its end is no part of it.
pub fn unbroken(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

fn put(values: &mut Dict, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            values.insert(name.to_owned(), value);
        }
        Some((section, rest)) => {
            let mut inner = match values.remove(section) {
                Some(Value::Dict(_, inner)) => inner,
                _ => Dict::new(),
            };
            put(&mut inner, rest, value);
            values.insert(section.to_owned(), Value::from(inner));
        }
    }
}

/// What to say of a name that is not a setting; `spell` writes a setting's name as this source does.
fn unknown(written: &str, name: &str, spell: impl Fn(&str) -> String) -> String {
    let unfiled = name.strip_suffix("_file").unwrap_or(name);
    let remedy = match (Setting::find(unfiled), meant(unfiled)) {
        (Some(open), _) if !open.is_secret() => "only secrets are read from files".to_owned(),
        (_, Some(meant)) => format!("did you mean {}?", spell(meant)),
        _ => "`dashtam reference configuration` lists what is".to_owned(),
    };
    format!("{written} is not a setting; {remedy}")
}
