//! Builds the playground, so that the binary carries it.
//!
//! `playground/` is an npm project. It is bundled in a copy under `OUT_DIR`, so that the source tree stays clean, and only when one of its
//! files changed. Without Node, or when npm fails, the binary carries a small page alone, which says how to get GraphiQL; a build with
//! `DASHTAM_REQUIRE_PLAYGROUND` (the Makefile, CI and the image set it) fails instead.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const REQUIRE: &str = "DASHTAM_REQUIRE_PLAYGROUND";

/// Where the tools' words go, for a build that fails by them.
const LOG: &str = "log";

/// A registry that does not answer holds a build up no longer than this.
const PATIENCE: Duration = Duration::from_mins(5);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("playground");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let place = out.join("playground");
    let sources = sources(&source)?;
    for file in &sources {
        println!("cargo::rerun-if-changed={}", source.join(file).display());
    }
    fs::create_dir_all(&place)?;
    let files = bundle(&source, &sources, &place).or_else(|failure| without_graphiql(failure.as_ref(), &place))?;
    fs::write(out.join("graphiql.rs"), table(&files)?)?;
    Ok(())
}

/// Says so and goes on with no files, or fails the build where GraphiQL is required.
fn without_graphiql(failure: &dyn Error, place: &Path) -> Result<Vec<PathBuf>> {
    if env::var_os(REQUIRE).is_some_and(|required| !required.is_empty()) {
        println!("cargo::error=the playground cannot be built: {failure}");
        for line in fs::read_to_string(place.join(LOG))?.lines() {
            println!("cargo::error={line}");
        }
    } else {
        println!("cargo::warning=the playground is a small page without GraphiQL: {failure}");
        // Only here, since a build that has GraphiQL need not be repeated for being required.
        println!("cargo::rerun-if-env-changed={REQUIRE}");
    }
    Ok(Vec::new())
}

/// What the bundle is made of: the files of `playground/` and of its `src/`, and `src/` itself, which new ones may appear in.
fn sources(source: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in ["", "src"] {
        for entry in fs::read_dir(source.join(folder))? {
            found.push(Path::new(folder).join(entry?.file_name()));
        }
    }
    found.retain(|name| name != Path::new("node_modules") && name != Path::new("dist"));
    found.sort();
    Ok(found)
}

/// Bundles a copy of the project in `place` and says which files came out.
fn bundle(source: &Path, sources: &[PathBuf], place: &Path) -> Result<Vec<PathBuf>> {
    run("node", &["--version"], place, "Node is not there; 20 or later is needed")?;
    // What is gone from the source must not linger in the copy.
    if place.join("src").is_dir() {
        fs::remove_dir_all(place.join("src"))?;
    }
    for name in sources {
        let (from, to) = (source.join(name), place.join(name));
        if from.is_dir() { fs::create_dir_all(to)? } else { fs::copy(from, to).map(drop)? }
    }
    let lock = fs::read(place.join("package-lock.json"))?;
    let installed = place.join("installed");
    if fs::read(&installed).ok().as_ref() != Some(&lock) {
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline", "--fetch-retries=1"];
        run(if cfg!(windows) { "npm.cmd" } else { "npm" }, &install, place, "npm could not fetch what GraphiQL is made of")?;
        fs::write(installed, lock)?;
    }
    run("node", &["build.mjs"], place, "it could not be bundled")?;
    let mut files = fs::read_dir(place.join("dist"))?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Runs a tool in `place`, what it prints going to a file there.
fn run(tool: &str, arguments: &[&str], place: &Path, otherwise: &str) -> Result<()> {
    let log = File::create(place.join(LOG))?;
    let started = Command::new(tool).args(arguments).current_dir(place).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
    let Ok(mut running) = started else { return Err(otherwise.into()) };
    let end = Instant::now() + PATIENCE;
    loop {
        match running.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(otherwise.into()),
            None if Instant::now() > end => {
                running.kill()?;
                running.wait()?;
                return Err(format!("{otherwise} within {} minutes", PATIENCE.as_secs() / 60).into());
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The files as Rust: each with its name and its bytes.
fn table(files: &[PathBuf]) -> Result<String> {
    let mut table = String::from("static GRAPHIQL: &[(&str, &[u8])] = &[");
    for file in files {
        let (name, path) = (file.file_name().unwrap_or_default().to_string_lossy(), file.to_string_lossy());
        write!(table, "({name:?}, include_bytes!({path:?})),")?;
    }
    table.push_str("];");
    Ok(table)
}
