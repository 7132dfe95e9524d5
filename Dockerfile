# syntax=docker/dockerfile:1
# The one binary of the suite in an image without a shell, a package manager or root.
#
# Both bases are named by digest, which the pipeline gives:
#   docker build --build-arg RUST=rust:1.95-bookworm@sha256:... \
#     --build-arg BASE=gcr.io/distroless/cc-debian12:nonroot@sha256:... --tag clientele .
# The build links against the C library of Debian 12, which is that of the image it ends in.
ARG RUST=rust:1.95-bookworm
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST} AS build
WORKDIR /source
COPY . .
# The registry and the target folder outlive the build, and with them OpenSSL, which takes minutes.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --package clientele --features postgres-tls \
    && cp target/release/clientele /clientele

FROM ${BASE}
COPY --from=build /clientele /usr/local/bin/clientele
# `nonroot` of the base, by its number: Kubernetes can't tell whether a name is root.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/clientele"]
