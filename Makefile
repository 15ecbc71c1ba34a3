# What a person or a build machine runs. `run` and `test` first install what a bare Debian lacks.

.PHONY: run image sbom test test-servers test-unix test-clients test-programs test-suites test-failover soak siege lint bench

# A Redis with a password, Redoubt before it, the checks that decide whether that is secure, and
# then a session of your own.
run:
	scripts/prerequisites.sh run
	cargo run --locked -- demo

# The container image's root file system, without a container engine, in target/image/rootfs.
image:
	scripts/prerequisites.sh image
	scripts/image.sh

# What is in the image's binary, as CycloneDX, in target/sbom.
sbom:
	scripts/prerequisites.sh sbom
	scripts/sbom.sh

test: lint
	scripts/prerequisites.sh test
	@if [ -x scripts/clients.sh ]; then scripts/clients.sh; fi
	scripts/kubernetes.sh
	scripts/deploy-tools.sh
	scripts/servers.sh
	scripts/image.sh
	cargo test --locked --workspace
	REDOUBT_TEST_UNIX=1 cargo test --locked --test protocol --test security --test sharing -- \
		differential hostile cross_session clients::
	scripts/test-servers.sh --fast redis-8.0 valkey-9.1

# The suites that compare Redoubt with a server, on every server that Redoubt is tested with.
test-servers:
	scripts/prerequisites.sh test
	scripts/test-servers.sh

# All tests with a Unix socket between Redoubt and Redis, except those about its network, and those that start servers
# of their own.
test-unix:
	scripts/prerequisites.sh test
	REDOUBT_TEST_UNIX=1 cargo test --locked --test auth --test config --test identities --test policy --test protocol \
		--test security --test sharing --test upstream

# Programs of other people's client libraries, which this installs under target/. Those of AI services
# take 330 MB, so only this target runs them.
test-clients:
	scripts/prerequisites.sh test
	scripts/clients.sh ai
	scripts/servers.sh stack-7.4
	cargo test --locked --test clients -- --include-ignored --skip programs::
	$(MAKE) test-programs

# Programs on top of client libraries, such as job queues, directly and through Redoubt, while servers are
# restarted. They start many processes, so two run at a time.
test-programs:
	scripts/prerequisites.sh test
	scripts/clients.sh programs
	cargo test --locked --test clients -- --include-ignored programs:: --test-threads=2

# The test suites of redis-py, and of Redis, whose source tree REDIS_SOURCE names: directly and through Redoubt.
test-suites:
	scripts/prerequisites.sh suites
	scripts/suites.py

# Failovers under the load of client libraries, ten of each kind, each also without Redoubt. Prints the table of
# docs/high-availability.md.
test-failover:
	scripts/prerequisites.sh test
	scripts/clients.sh
	REDOUBT_FAILOVER_ROUNDS=10 cargo test --locked --test failover rounds -- --nocapture --test-threads=1

# 200 sessions of all kinds for two minutes, with shared links and then without.
soak:
	scripts/prerequisites.sh test
	REDOUBT_SOAK_SECONDS=120 cargo test --locked --release --test load soak -- --nocapture --test-threads=1

# Attackers of every kind beside honest sessions on all five servers for a minute each, and the
# simulation with a hundred times as many schedules as `make test` runs.
siege:
	scripts/prerequisites.sh test
	scripts/servers.sh
	REDOUBT_SIEGE_SECONDS=60 cargo test --locked --test sharing siege -- --nocapture
	REDOUBT_SIM_COUNT=300000 cargo test --locked --release --test sharing simulation -- --nocapture

lint:
	scripts/prerequisites.sh lint
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	scripts/rooms.py
	scripts/deny.sh
	scripts/package.sh

# Against Redis itself and other proxies, into docs/; then the core's instruction counts, which must
# not have grown (benches/README.md).
bench:
	scripts/prerequisites.sh bench
	python3 benches/peers
	benches/core.py
