//! The binary: reads the command line and runs it.

use std::process::ExitCode;

use clap::Parser;
use dashtam::commands::CommandLine;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // Two TLS providers are compiled in, so one has to be chosen; it can be installed once only, which is here.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return ExitCode::FAILURE;
    }
    CommandLine::parse().run().await
}
