//! The committed bindings are what the `.proto` files say. `UPDATE_BINDINGS=1` rewrites them.

use std::{fs, path::Path};

use prost::Message as _;

#[test]
fn committed_bindings_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let agent = protox::compile(["chaos/v1/agent.proto"], [root]).unwrap();
    let serve = protox::compile(["chaos/serve/v1/serve.proto"], [root]).unwrap();
    fs::write(out.path().join("chaos.serve.v1.bin"), serve.encode_to_vec()).unwrap();
    for files in [agent, serve] {
        tonic_prost_build::configure()
            .out_dir(out.path())
            .compile_fds(files)
            .unwrap();
    }
    for name in ["chaos.v1.rs", "chaos.serve.v1.rs", "chaos.serve.v1.bin"] {
        let fresh = fs::read(out.path().join(name)).unwrap();
        let committed = root.join("src").join(name);
        if std::env::var_os("UPDATE_BINDINGS").is_some() {
            fs::write(&committed, &fresh).unwrap();
        }
        let current = fs::read(&committed).unwrap_or_default();
        assert!(
            current == fresh,
            "proto/src/{name} is stale: run UPDATE_BINDINGS=1 cargo test -p chaos-proto"
        );
    }
}
