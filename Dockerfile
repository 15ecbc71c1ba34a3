# The image holds one static binary, the CA certificates and a configuration of four lines: no shell,
# no package manager, nothing to be root for. docs/deploy/docker.md says how to run it.
#
#   docker build -t redoubt .
#   buildah bud --format docker -t redoubt .    (the OCI format has no HEALTHCHECK)

FROM docker.io/library/rust:1.95-slim-bookworm AS build
WORKDIR /build
# The C library goes into the binary, and no directory's name, so that it is the same wherever it is
# built. With --target the flags leave build scripts alone.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/usr/local/cargo=/cargo --remap-path-prefix=/build=/redoubt"

# The dependencies are a layer of their own, kept for as long as Cargo.lock stays the same.
COPY Cargo.toml Cargo.lock ./
COPY core/Cargo.toml core/Cargo.toml
COPY tests/fuzz_checks/Cargo.toml tests/fuzz_checks/Cargo.toml
COPY tests/support/Cargo.toml tests/support/Cargo.toml
RUN mkdir -p core/src src benches/load tests/fuzz_checks/src tests/support/src \
    && touch core/src/lib.rs src/lib.rs benches/core.rs benches/load/main.rs \
        tests/fuzz_checks/src/lib.rs tests/support/src/lib.rs \
    && echo 'fn main() {}' >src/main.rs \
    && cargo build --locked --release --bin redoubt --target "$(rustc --print host-tuple)"

COPY core core
COPY src src
# Newer than what stood in for it, whatever times the files came with.
RUN find core src -exec touch {} + \
    && cargo build --locked --release --bin redoubt --target "$(rustc --print host-tuple)" \
    && mv target/*/release/redoubt /build/redoubt

COPY LICENSE ./
COPY config/image config/image
COPY scripts/rootfs.sh scripts/rootfs.sh
RUN scripts/rootfs.sh /build/redoubt /rootfs

FROM scratch
ARG VERSION=0.1.0
ARG SOURCE=
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Redoubt" \
      org.opencontainers.image.description="An authenticating, command-filtering proxy for Redis" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /rootfs/ /
# As a number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 999:999
ENV PATH=/usr/bin REDOUBT_CONFIG=/etc/redoubt/redoubt.toml
EXPOSE 6380
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/bin/redoubt", "healthcheck"]
ENTRYPOINT ["/usr/bin/redoubt"]
CMD ["serve"]
