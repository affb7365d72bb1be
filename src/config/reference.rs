//! The manual of the settings, made from their table: a page, and an example file.

use std::fmt::Write as _;

use super::settings::{Kind, Preset, SETTINGS, Setting};

/// Where comments in the example file end.
const WIDTH: usize = 110;

const PAGE: &str = "\
# Configuration

A setting is looked for in three places, and the last one that has it wins: the defaults below, the file `dashtam.toml` (in the folder
Dashtam is started in, or where `--config` says), and the environment. A variable is `DASHTAM_` and the name in capitals; two underscores
step into a section, so `secret` in `[jwt]` is `DASHTAM_JWT__SECRET`. A few settings have an option on the command line (`--bind`,
`--data-dir`), which wins over everything.

A **secret** can stand in a file of its own, which the variable with `_FILE` at its end names: `DASHTAM_JWT__SECRET_FILE=/run/secrets/jwt`.
One line break at the file's end is no part of it. No message and no log repeats a secret.

Dashtam does not start with a setting it does not know: a typing error is named, with the setting that was probably meant. `dashtam doctor`
looks at everything that is set and says what is wrong with it. `dashtam.example.toml`, which `dashtam reference example` prints too, has
every setting with its default, to be copied and changed.
";

const EXAMPLE: &str = "\
# Every setting of Dashtam, commented out, with its default or, where there is none, with what one looks like.
# Copy this file to dashtam.toml, and take away the # before what you want to be different.
#
# The environment wins over this file: DASHTAM_BIND is `bind`, DASHTAM_JWT__SECRET is `secret` in [jwt]. Secrets are better kept there
# or in files of their own (DASHTAM_JWT__SECRET_FILE=/run/secrets/jwt) than here; otherwise let nobody but Dashtam read this file.
";

/// `docs/reference/configuration.md`.
pub fn page() -> String {
    let mut page = format!("{PAGE}\n| setting | variable | default |\n|---|---|---|\n");
    for setting in SETTINGS {
        let default = if let Preset::Default(toml) = setting.preset { format!("`{toml}`") } else { String::new() };
        line(&mut page, format_args!("| [`{0}`](#{1}) | `{2}` | {default} |", setting.name, anchor(setting), setting.variable()));
    }
    for setting in SETTINGS {
        line(&mut page, format_args!("\n## `{}`\n\n{}\n\n{}", setting.name, setting.about, facts(setting)));
    }
    page
}

/// `dashtam.example.toml`.
pub fn example() -> String {
    let mut example = EXAMPLE.to_owned();
    let mut open = None;
    for setting in SETTINGS {
        let (section, name) = setting.name.rsplit_once('.').map_or((None, setting.name), |(section, name)| (Some(section), name));
        if section != open {
            line(&mut example, format_args!("\n[{}]", section.unwrap_or_default()));
            open = section;
        }
        let variable = setting.variable();
        let filed = if setting.is_secret() { format!(" or {variable}_FILE") } else { String::new() };
        line(&mut example, format_args!("\n{}# {variable}{filed}\n#{name} = {}", commented(setting.about), setting.sample()));
    }
    example
}

/// One line that says how a setting is given.
fn facts(setting: &Setting) -> String {
    let variable = setting.variable();
    let kind = if setting.is_secret() { "secret text".to_owned() } else { setting.kind.described() };
    let given = match setting.kind {
        Kind::Secret => format!("`{variable}` or `{variable}_FILE`"),
        Kind::List => format!("`{variable}`, separated by commas"),
        _ => format!("`{variable}`"),
    };
    let sample = match setting.preset {
        Preset::Default(toml) => format!("default `{toml}`"),
        Preset::Unset(toml) => format!("not set by default, looks like `{toml}`"),
    };
    format!("{kind} · {given} · {sample}")
}

/// What a heading in backquotes is called in a link.
fn anchor(setting: &Setting) -> String {
    setting.name.replace('.', "")
}

/// Text as comment lines that end in time.
fn commented(text: &str) -> String {
    let mut lines = String::new();
    let mut current = String::from("#");
    for word in text.split_whitespace() {
        if current.chars().count() + 1 + word.chars().count() > WIDTH {
            line(&mut lines, format_args!("{current}"));
            "#".clone_into(&mut current);
        }
        current.push(' ');
        current.push_str(word);
    }
    line(&mut lines, format_args!("{current}"));
    lines
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a String has no way to fail.
    let _written = writeln!(text, "{content}");
}
