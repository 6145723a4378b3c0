# Each target installs what it misses and says what it does.

CARGO ?= cargo
NODE  := target/debug/orchestrion
DEVNET := target/debug/examples/devnet

.PHONY: check test faults demo demo-paid demo-ai run bench build setup-run setup-test setup-check setup-clips setup-models setup-rival

build: setup-run ## both binaries, as tests and demo use them
	@echo "== build: the daemon and its worker"
	$(CARGO) build --locked --bin orchestrion --bin orchestrion-worker -p orchestrion -p orchestrion-worker

check: setup-test setup-check ## every gate
	@echo "== format"
	$(CARGO) fmt --all --check
	@echo "== lint, warnings denied"
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@echo "== documentation"
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet
	@echo "== licences, sources, duplicates"
	$(CARGO) deny --all-features --locked check licenses bans sources

test: setup-run setup-test ## every test; builds both binaries, with the features that the tests need
	@echo "== tests"
	$(CARGO) test --locked --workspace

faults: setup-run setup-test ## overload, floods, kills and stops, for minutes each, of AI models as well; prints figures
	@echo "== faults: ten minutes of each load"
	ORCHESTRION_FAULT_SECONDS=600 ORCHESTRION_KILLS=100 $(CARGO) test --locked --test e2e -- --nocapture --test-threads 1 faults:: workers::
	@echo "== faults: models killed, and beside video"
	ORCHESTRION_FAULT_SECONDS=300 ORCHESTRION_KILLS=20 $(CARGO) test --locked --test e2e -- --nocapture --test-threads 1 \
		ai::survival ai::containers ai::remote ai::together

demo: build setup-clips ## a live stream through the node, on this machine
	@packaging/demo.sh $(NODE)

demo-paid: build setup-test setup-clips ## two gateways pay, winners become ether, on a chain on this machine
	@echo "== build: the local chain"
	$(CARGO) build --locked -p orchestrion-test-chain --example devnet
	@packaging/demo-paid.sh $(NODE) $(DEVNET)

demo-ai: build setup-models ## a language model answers, a picture becomes larger; both on this machine
	@packaging/demo-ai.sh $(NODE)

run: build ## the daemon on its defaults
	$(NODE) run

bench: setup-test setup-clips setup-rival ## benchmarks beside ffmpeg and llama.cpp; minutes
	@echo "== bench: release build"
	$(CARGO) build --locked --release --bin orchestrion --bin orchestrion-worker -p orchestrion -p orchestrion-worker
	@echo "== bench: the ladder beside ffmpeg, then the node, payments, AI models"
	$(CARGO) bench --locked --bench ladder
	$(CARGO) bench --locked --bench discovery
	$(CARGO) bench --locked --bench payments
	$(CARGO) bench --locked --bench models

setup-run:
	@./setup.sh run

setup-test:
	@./setup.sh test

setup-check:
	@./setup.sh check

setup-clips:
	@./setup.sh clips

setup-models:
	@./setup.sh models

setup-rival:
	@./setup.sh rival
