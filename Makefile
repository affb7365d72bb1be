# What a person does here. `make` alone shows the server with made-up data.
.PHONY: run test lint fmt schema docs secrets

run:
	cargo run --locked -- demo

# The book, into docs/book. Building mdBook the first time takes some minutes.
docs:
	scripts/mdbook build docs

# What docker-compose.yml needs, into ./secrets.
secrets:
	scripts/secrets

# Finds PostgreSQL or brings one, then runs every test on every store.
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
