//! Generates the Rust code of the wire contract. protox reads the .proto files, so no protoc is
//! needed on the machine that builds.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "holdfast/v1/error.proto",
        "holdfast/v1/session.proto",
        "holdfast/v1/lock.proto",
        "holdfast/v1/queue.proto",
        "holdfast/v1/cache.proto",
        "holdfast/v1/watch.proto",
        "holdfast/v1/cluster.proto",
        "holdfast/peer/v1/peer.proto",
    ];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost_encode(&descriptors))?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}

/// Descriptors in wire form, for the reflection service.
fn prost_encode(set: &impl prost::Message) -> Vec<u8> {
    set.encode_to_vec()
}
