# Everything a person does with this tree. `make` alone lists it.

target := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo test peers check deny bench boot torture soak fuzz

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## watch events survive an outage and a SIGKILL, and see the proof (nothing is installed)
	cargo build --release --locked --package penstock --package penstock-plant
	$(target)/release/penstock-plant demo --gateway-bin $(target)/release/penstock

test: peers ## install the peers that the tests use, then run every test
	cargo test --workspace --locked

peers: ## install mosquitto, pymodbus, libmodbus, asyncua, node-opcua and systemd-analyze where they are missing
	@tests/peers/install.sh

check: ## formatting and lints, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

boot: ## install the service in a booted Debian, kill it, freeze it and stop it (root, debootstrap, systemd-nspawn)
	cargo build --release --locked --package penstock --package penstock-plant
	@tests/systemd/boot.sh $(target)/release

deny: ## licences, banned crates, sources and, with a network, advisories
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny --workspace --locked check licenses bans sources
	@if cargo deny --workspace --locked fetch db; then \
		echo cargo deny check advisories; \
		cargo deny --workspace --locked check --disable-fetch advisories; \
	else \
		echo "The advisory database could not be fetched: advisories were NOT checked." >&2; \
	fi

torture: ## cut the power 10,000 times (about twenty minutes; POWERCUTS=n for another number)
	POWERCUTS=$(or $(POWERCUTS),10000) cargo test --release --locked --package penstock-buffer --test powercut

soak: peers ## break the connection to an OPC UA server 1,000 times (about five minutes; RECONNECTS=n for another number)
	cargo build --locked --package penstock --package penstock-plant
	RECONNECTS=$(or $(RECONNECTS),1000) cargo test --locked --package penstock --test e2e memory_is_flat_over_reconnects -- --nocapture

fuzz: ## feed the decoders with random bytes, a minute each (nightly Rust and cargo-fuzz; SECONDS=n for another time)
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz" >&2; exit 1; }
	for crate in adapters buffer; do \
		for target in $$(ls $$crate/fuzz/fuzz_targets | sed 's/\.rs$$//'); do \
			mkdir -p $$crate/fuzz/target/corpus/$$target; \
			(cd $$crate/fuzz && cargo +nightly fuzz run --fuzz-dir . $$target target/corpus/$$target corpus/$$target -- -max_total_time=$(or $(SECONDS),60)) || exit 1; \
		done; \
	done

bench: ## measure what docs/performance.md claims, on this machine
	cargo build --release --locked --package penstock --package penstock-plant
	cargo bench --locked --package penstock-adapters --package penstock-buffer --package penstock --bench '*'
