//! The body of a request.
#![no_main]

use dashtam_fuzz::with_server;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    with_server(|server| {
        server.ask(body.to_vec());
    });
});
