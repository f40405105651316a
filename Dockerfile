# Two images: the agent, and chaosctl for pipelines in a cluster.
#
#   docker build --target chaos-daemon --tag chaos-daemon:0.1.0 .
#   docker build --target chaosctl --tag chaosctl:0.1.0 .
#
# Both hold one static program and nothing else: no shell, no libraries, nothing to update but the program.

# Debian 12, because its LLVM is that of the compiler in rust-toolchain.toml, which links the BPF programs.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# It installs what it needs: LLVM, bpf-linker, musl.
RUN cargo xtask build --release --static \
    && mkdir /out \
    && mv target/x86_64-unknown-linux-musl/release/chaos-daemon target/x86_64-unknown-linux-musl/release/chaosctl /out/

# Nobody but a number: to own a process takes no entry in a passwd file.
FROM scratch AS chaosctl
COPY --from=build /out/chaosctl /usr/local/bin/chaosctl
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/chaosctl"]

# The agent is root: a process that is not gets no capability from `capabilities.add` of a pod. What root may do is for
# the pod's security context to bound (deploy/kubernetes/base/agent.yaml). Last, so that it is what is built by default.
FROM scratch AS chaos-daemon
COPY --from=build /out/chaos-daemon /usr/local/bin/chaos-daemon
# hadolint ignore=DL3002
USER 0:0
ENTRYPOINT ["/usr/local/bin/chaos-daemon"]
