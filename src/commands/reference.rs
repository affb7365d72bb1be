//! `dashtam reference`: the manual, as the program itself knows it.
//!
//! What is checked in below `docs/reference` and as `dashtam.example.toml` is what this prints; `make reference` writes it.

use std::fmt::Write as _;

use clap::{CommandFactory as _, ValueEnum};

use crate::config::reference;

use super::{CommandLine, say};

/// What there is to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Reference {
    /// Every setting: what it is for, its variable, its default
    Configuration,
    /// A dashtam.toml with every setting, commented out
    Example,
    /// Every command with its options
    CommandLine,
}

impl Reference {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let text = match self {
            Self::Configuration => reference::page(),
            Self::Example => reference::example(),
            Self::CommandLine => command_line()?,
        };
        say(text.trim_end())
    }
}

const PAGE: &str = "\
# The command line

One binary does everything. Settings come from [the configuration](configuration.md); what stands on the command line wins over it.

| exit code | when |
|---|---|
| 0 | done |
| 1 | it failed; standard error says why, and where it can, what to do |
| 2 | wrong usage: an unknown command, option or value |
| 130 | stopped at once by a second Ctrl-C or SIGTERM; the first one lets what is at work finish, and then the exit code is 0 |

Results go to standard output, everything else to standard error: errors, logs, and on a terminal how far something is. Colours are for
terminals only, and never used when `NO_COLOR` is set.
";

fn command_line() -> anyhow::Result<String> {
    let mut page = PAGE.to_owned();
    let mut root = CommandLine::command();
    root.build();
    describe(&root, &mut page)?;
    Ok(page)
}

/// A chapter for a command, and one for each below it.
fn describe(command: &clap::Command, page: &mut String) -> anyhow::Result<()> {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let help = command.clone().render_help().to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    write!(page, "\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end())?;
    for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set()) {
        describe(below, page)?;
    }
    Ok(())
}
