//! `dashtam doctor`: whether a server would start and work here, and what to do where it would not.

use std::net::SocketAddr;

use anyhow::ensure;
use clap::Args;
use serde_json::json;

use crate::{
    app::{
        Surroundings,
        doctor::{Finding, State, examine},
    },
    config::Config,
};

use super::{say, terminal::is_coloured};

/// Looks at everything.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam doctor\n  \
    dashtam doctor --bind 0.0.0.0:8080 --config /etc/dashtam.toml\n  \
    dashtam doctor --json | jq '.checks[] | select(.state == \"fail\")'\n\n\
    It changes nothing: no file is made, no schema is touched, no mail is sent.\n\
    Exit codes: 0 all is well, perhaps with warnings; 1 something does not work.")]
pub(super) struct Doctor {
    /// The address a server would listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<SocketAddr>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Settings that cannot be read are a finding like any other, and leave nothing else to look at.
    pub(super) async fn run(self, settings: anyhow::Result<Config>) -> anyhow::Result<()> {
        let findings = match settings {
            Ok(mut config) => {
                config.bind = self.bind.unwrap_or(config.bind);
                examine(&config, Surroundings::real()?.clock.as_ref()).await
            }
            Err(refusal) => {
                vec![Finding::fail("configuration", format!("{refusal:#}").replace('\n', "; "), "correct it; nothing else is looked at before that")]
            }
        };
        let failed = findings.iter().filter(|finding| finding.state == State::Fail).count();
        if self.json {
            say(&json!({ "healthy": failed == 0, "checks": findings.iter().map(as_json).collect::<Vec<_>>() }).to_string())?;
        } else {
            let is_coloured = is_coloured(&std::io::stdout());
            for finding in &findings {
                say(&line(finding, is_coloured))?;
            }
        }
        ensure!(failed == 0, "{failed} of {} checks failed", findings.len());
        Ok(())
    }
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let state = match finding.state {
        State::Ok => "ok",
        State::Warn => "warn",
        State::Fail => "fail",
    };
    json!({ "check": finding.check, "state": state, "finding": finding.finding, "remedy": (!finding.remedy.is_empty()).then_some(&finding.remedy) })
}

/// State, check, finding, remedy; the state in green, yellow or red.
fn line(finding: &Finding, is_coloured: bool) -> String {
    let (word, colour) = match finding.state {
        State::Ok => ("ok  ", 32),
        State::Warn => ("warn", 33),
        State::Fail => ("FAIL", 31),
    };
    let word = if is_coloured { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() };
    let remedy = if finding.remedy.is_empty() { String::new() } else { format!(" → {}", finding.remedy) };
    format!("{word}  {:<13}  {}{remedy}", finding.check, finding.finding)
}
