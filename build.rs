//! Compiles the services of `protocol/proto`, server and client; their messages come from `protocol`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(["lp_rpc.proto", "redeemer.proto"], ["protocol/proto"])?;
    tonic_prost_build::configure()
        .extern_path(".net", "::protocol::pb")
        .compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=protocol/proto");
    Ok(())
}
