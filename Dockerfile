# syntax=docker/dockerfile:1

# The binary and nothing else: no shell, no package manager, not root. Building needs BuildKit, for the cache mounts.

FROM node:22-bookworm-slim AS node

FROM rust:1.95-bookworm AS build
# Node builds the playground, which the binary then carries inside.
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /src
COPY . .
# A cache mount is gone when its step ends, so the binary is copied out in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/root/.npm \
    --mount=type=cache,target=/src/target,sharing=locked \
    DASHTAM_REQUIRE_PLAYGROUND=1 cargo build --release --locked --bin dashtam \
    && install -D target/release/dashtam /out/usr/local/bin/dashtam \
    && install -d -m 700 /out/data

# glibc and root certificates; its user is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/usr/local/bin/dashtam /usr/local/bin/dashtam
ENV DASHTAM_BIND=0.0.0.0:8080 DASHTAM_DATA_DIR=/data
USER 65532:65532
EXPOSE 8080
# Only used without DASHTAM_DATABASE_URL. The rest of the file system can be read-only, but for /tmp, which uploads pass through.
VOLUME /data
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["dashtam", "health"]
ENTRYPOINT ["/usr/local/bin/dashtam"]
CMD ["serve"]
