//! Commands in the pages: what a reader can try beside a demo runs and prints what is shown, and what belongs elsewhere is at least
//! something the binary understands.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use clap::Parser as _;
use dashtam::{commands::CommandLine, config::Config};

use crate::harness::binary::Binary;

use super::{Page, guides, is_as_shown, root};

/// Where pages find the demo.
const DEMO: &str = "127.0.0.1:8080";

/// A command of a `console` block, and what it is shown to print.
#[derive(Debug)]
struct Step {
    place: String,
    command: String,
    shown: Vec<String>,
}

fn steps(page: &Page) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in page.blocks_of("console") {
        let place = format!("{}:{}", page.path, block.line);
        let mut goes_on = false;
        for line in block.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { place: place.clone(), command: ours(command), shown: Vec::new() });
            } else {
                let step = steps.last_mut().filter(|step| step.place == place).unwrap_or_else(|| panic!("{place} does not begin with a command"));
                if goes_on {
                    step.command.push('\n');
                    step.command.push_str(line);
                } else {
                    step.shown.push(line.to_owned());
                }
            }
            // A line goes on behind a backslash, and within quotes.
            goes_on =
                (goes_on || line.starts_with("$ ")) && (line.ends_with('\\') || steps.last().is_some_and(|step| step.command.matches('\'').count() % 2 == 1));
        }
    }
    steps
}

/// From a checkout the binary is run by cargo.
fn ours(command: &str) -> String {
    command.replace("cargo run -- ", "dashtam ")
}

#[test]
fn every_command_in_a_console_runs_and_prints_what_is_shown() {
    let mut ran = 0;
    for page in guides() {
        let steps = steps(&page);
        if steps.is_empty() {
            continue;
        }
        // As the reader has it: a demo in one terminal, the commands in another, both in one folder.
        let binary = Binary::with(&[("DASHTAM_DATA_DIR", "demo")]);
        binary.file("statement.ofx", include_str!("../fixtures/ofx/checking-sgml.ofx"));
        let demo = binary.demo();
        let ready = |key: &str| demo.ready[key].as_str().unwrap().to_owned();
        let address = ready("url").replace("http://", "");
        for Step { place, command, shown } in steps {
            ran += 1;
            if command.starts_with("dashtam demo") {
                another_demo_prints(&binary, &place, &command, &shown);
                continue;
            }
            let mut shell = binary.shell(&command.replace(DEMO, &address));
            let output = shell.env("TOKEN", ready("accessToken")).env("PASSWORD", ready("password")).output().unwrap();
            let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
            assert!(output.status.success(), "{place}: {command}\n{out}{err}");
            let shown = shown.join("\n").replace(DEMO, &address);
            assert!(shown.is_empty() || is_as_shown(&shown, out.trim_end()), "{place}: {command}\nshown:\n{shown}\nprinted:\n{out}{err}");
        }
        demo.signal("TERM");
        assert_eq!(demo.end().0, Some(0));
    }
    assert!(ran > 3, "{ran}");
}

/// The demo itself runs until it is stopped, on another port and in a folder of its own: its first lines count.
fn another_demo_prints(binary: &Binary, place: &str, command: &str, shown: &[String]) {
    let mut child = binary.shell(&format!("exec {command} --bind 127.0.0.1:0 --data-dir another")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let printed: Vec<_> = lines.by_ref().take(shown.len()).map(Result::unwrap).collect();
    let sent = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    lines.for_each(drop);
    assert!(sent.success() && child.wait().unwrap().success(), "{place}: {command}");
    let shown = shown.join("\n").replace(DEMO, "127.0.0.1:…");
    assert!(is_as_shown(&shown, &printed.join("\n")), "{place}: {command}\nshown:\n{shown}\nprinted:\n{}", printed.join("\n"));
}

/// What the binary is asked to do in a line of shell; nothing when the line is about something else.
fn arguments(line: &str) -> Option<Vec<String>> {
    let line = ours(line.split(" #").next().unwrap_or_default());
    let mut words =
        line.split_whitespace().skip_while(|word| word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')));
    let mut words = match (words.next()?, line.split_once("docker compose run --rm api ")) {
        ("dashtam", _) => words.map(str::to_owned).collect::<Vec<_>>(),
        (_, Some((_, rest))) => rest.split_whitespace().map(str::to_owned).collect(),
        _ => return None,
    };
    words.insert(0, "dashtam".to_owned());
    Some(words.into_iter().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect())
}

/// Commands of ours that the binary or the Makefile does not know.
fn unknown(page: &Page) -> Vec<String> {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<_> = makefile.lines().filter_map(|line| line.split_once(':')).map(|(target, _)| target).collect();
    let mut problems = Vec::new();
    let mut lines: Vec<(String, String)> = steps(page).into_iter().map(|step| (step.place, step.command)).collect();
    for block in page.blocks_of("sh") {
        let text = block.text.replace("\\\n", " ");
        lines.extend(text.lines().map(|line| (format!("{}:{}", page.path, block.line), line.trim().to_owned())));
    }
    for (place, line) in lines {
        if let Some(target) = line.strip_prefix("make ").and_then(|rest| rest.split_whitespace().next())
            && !targets.contains(target)
        {
            problems.push(format!("{place}: there is no `make {target}`"));
        }
        let Some(arguments) = arguments(&line) else { continue };
        match CommandLine::try_parse_from(&arguments) {
            Err(refused) if refused.exit_code() != 0 => problems.push(format!("{place}: {line}\n{refused}")),
            _ => {}
        }
    }
    problems
}

#[test]
fn every_command_is_one_there_is() {
    let problems: Vec<_> = guides().iter().flat_map(unknown).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let planted = |text: &str| unknown(&Page::planted("docs/page.md", &format!("```sh\n{text}\n```\n"))).len();
    for known in
        ["make test", "dashtam demo   # all", "DASHTAM_BIND=1 cargo run -- demo \\\n  --json", "docker compose run --rm api user create \"a@b.c\"", "ls"]
    {
        assert_eq!(planted(known), 0, "{known}");
    }
    for wrong in ["make nonsense", "dashtam nonsense", "A_B=1 dashtam demo --nonsense", "docker compose run --rm api user create"] {
        assert_eq!(planted(wrong), 1, "{wrong}");
    }
}

/// The names of settings in a text.
fn settings(text: &str) -> BTreeSet<String> {
    let is_in_a_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let names = text.split("DASHTAM_").skip(1).map(|rest| rest.chars().take_while(|c| is_in_a_name(*c)).collect::<String>());
    // `DASHTAM_…` and `DASHTAM_PROVIDERS__…` speak of many.
    names.filter(|name| !name.is_empty() && !name.ends_with('_')).map(|name| format!("DASHTAM_{name}")).collect()
}

/// Whether the binary refuses a setting because it has never heard of it.
fn is_unheard_of(name: &str) -> bool {
    Config::read(None, [(name.to_owned(), "1".to_owned())].into_iter()).is_err_and(|refused| format!("{refused:#}").contains("is not a setting"))
}

#[test]
fn every_setting_is_one_there_is() {
    // Read by the command line, by tests and by the build.
    let elsewhere = ["DASHTAM_LOG", "DASHTAM_BINARY", "DASHTAM_URL", "DASHTAM_REQUIRE_PLAYGROUND"];
    let files = ["docker-compose.yml", "Dockerfile"].map(|name| (name.to_owned(), std::fs::read_to_string(root().join(name)).unwrap()));
    let all = guides().into_iter().map(|page| (page.path, page.text)).chain(files);
    let unheard: Vec<_> = all
        .flat_map(|(path, text)| settings(&text).into_iter().map(move |name| (path.clone(), name)))
        .filter(|(_, name)| !elsewhere.contains(&name.as_str()) && is_unheard_of(name))
        .collect();
    assert_eq!(unheard, []);
    assert!(is_unheard_of("DASHTAM_NONSENSE") && is_unheard_of("DASHTAM_JWT__NONSENSE") && !is_unheard_of("DASHTAM_JWT__SECRET"));
    assert_eq!(settings("DASHTAM_A__B=1, DASHTAM_…, `DASHTAM_C`"), BTreeSet::from(["DASHTAM_A__B".to_owned(), "DASHTAM_C".to_owned()]));
}

#[test]
fn every_secret_of_the_compose_file_is_made_by_the_script_and_handed_over() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let (compose, script) = (read("docker-compose.yml"), read("scripts/secrets"));
    let named = |text: &str, before: &str, after: char| -> BTreeSet<String> {
        text.split(before).skip(1).filter_map(|rest| Some(rest.split_once(after)?.0.to_owned())).collect()
    };
    let files = named(&compose, "./secrets/", '}');
    assert!(files.contains("jwt_previous") && files.contains("jwt_secret"), "{files:?}");
    assert_eq!(files, named(&script, "\nsecret ", ' '));
    let handed_over = named(&compose, "_FILE: /run/secrets/", '\n');
    assert_eq!(handed_over, files, "each is read by a service");
}

#[test]
fn every_configuration_file_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    for page in guides() {
        for block in page.blocks_of("toml") {
            let file = folder.path().join("dashtam.toml");
            std::fs::write(&file, &block.text).unwrap();
            Config::read(Some(&file), std::iter::empty()).unwrap_or_else(|refused| panic!("{}:{}: {refused:#}", page.path, block.line));
        }
    }
}
