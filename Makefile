# What a person does here. `make` alone shows the server with made-up data.
.PHONY: run test lint fmt schema reference docs secrets fuzz fuzz-nightly

# With GraphiQL or not at all; `cargo run -- demo` does without where there is no Node.
run:
	DASHTAM_REQUIRE_PLAYGROUND=1 cargo build --locked
	cargo run --locked -- demo

# The book, into docs/book. Building mdBook the first time takes some minutes.
docs:
	scripts/mdbook build docs

# What docker-compose.yml needs, into ./secrets.
secrets:
	scripts/secrets

# Finds PostgreSQL or brings one, runs every test on every store, the example app's, and walks the playground in a browser.
test:
	scripts/test

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked

# Documents, bodies and cursors that a fuzzer makes up, ten minutes each. Needs a nightly toolchain and `cargo install cargo-fuzz`.
FUZZ_SECONDS ?= 600
fuzz:
	mkdir -p fuzz/corpus/document fuzz/corpus/body fuzz/corpus/cursor
	cp playground/*.graphql fuzz/corpus/document
	for target in document body cursor; do \
		cargo +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=5 -max_len=20000 || exit 1; \
	done

# The same for two hours each, for a machine that has nothing else to do at night.
fuzz-nightly:
	$(MAKE) fuzz FUZZ_SECONDS=7200

fmt:
	cargo fmt --all

schema:
	UPDATE_SCHEMA=1 cargo test --locked --test tests -- schema::the_checked_in_schema_is_the_one_served

reference:
	for page in configuration command-line; do \
		cargo run --locked --quiet -- reference $$page > docs/reference/$$page.md.new && mv docs/reference/$$page.md.new docs/reference/$$page.md || exit 1; \
	done
	cargo run --locked --quiet -- reference example > dashtam.example.toml.new && mv dashtam.example.toml.new dashtam.example.toml
