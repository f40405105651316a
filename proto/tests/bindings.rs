//! The committed bindings are what the `.proto` files say. `UPDATE_BINDINGS=1` rewrites them.

use std::path::Path;

#[test]
fn committed_bindings_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let files = protox::compile(["chaos/v1/agent.proto"], [root]).unwrap();
    tonic_prost_build::configure()
        .out_dir(out.path())
        .compile_fds(files)
        .unwrap();
    let fresh = std::fs::read_to_string(out.path().join("chaos.v1.rs")).unwrap();
    let committed = root.join("src/chaos.v1.rs");
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        std::fs::write(&committed, &fresh).unwrap();
    }
    let current = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        current == fresh,
        "proto/src/chaos.v1.rs is stale: run UPDATE_BINDINGS=1 cargo test -p chaos-proto"
    );
}
