//! The manual: what is checked in is what the program says of itself, and what it shows can be used.

use dashtam::config::{Config, settings::SETTINGS};

use crate::harness::binary::Binary;

fn kept(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_checked_in_pages_are_those_the_program_prints_whatever_is_set() {
    let binary = Binary::with(&[("DASHTAM_NONSENSE", "1")]);
    for (page, path) in
        [("configuration", "docs/reference/configuration.md"), ("command-line", "docs/reference/command-line.md"), ("example", "dashtam.example.toml")]
    {
        let printed = binary.run(&["reference", page]).succeeds();
        assert!(kept(path) == printed, "{path} differs from what the program says; review the change and run `make reference`");
    }
}

/// A section with nothing but sections in it, if any.
fn sets_nothing(section: &toml::Value) -> bool {
    section.as_table().is_some_and(|section| section.values().all(sets_nothing))
}

#[test]
fn the_example_file_names_every_setting_and_can_be_used_with_all_or_none_of_them() {
    let example = kept("dashtam.example.toml");
    let none: toml::Table = example.parse().unwrap();
    assert!(none.values().all(sets_nothing), "everything is commented out");

    let is_setting = |line: &str| line.strip_prefix('#').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '));
    let lines: Vec<_> = example.lines().map(|line| if is_setting(line) { &line[1..] } else { line }).collect();
    let all = lines.join("\n");
    let table: toml::Table = all.parse().unwrap();
    let named: usize = table.values().map(|value| value.as_table().map_or(1, toml::Table::len)).sum();
    assert_eq!(named, SETTINGS.len());

    let file = tempfile::NamedTempFile::new().unwrap();
    // The one default that production does not take beside everything else.
    std::fs::write(file.path(), all.replace("dashtam@localhost", "money@example.com")).unwrap();
    let config = Config::read(Some(file.path()), std::iter::empty()).unwrap();
    assert!(config.database_url.is_some() && config.jwt.previous.is_some() && config.smtp.url.is_some());
    assert!(config.mail().is_ok());
}
