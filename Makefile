# What a person does here. `make` alone shows the server with made-up data.
.PHONY: run test lint fmt schema

# With GraphiQL or not at all; `cargo run -- demo` does without where there is no Node.
run:
	DASHTAM_REQUIRE_PLAYGROUND=1 cargo build --locked
	cargo run --locked -- demo

# Finds PostgreSQL or brings one, runs every test on every store, and walks the playground in a browser.
test:
	scripts/test

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked

fmt:
	cargo fmt --all

schema:
	cargo run --locked --quiet -- schema > schema.graphql.new && mv schema.graphql.new schema.graphql
