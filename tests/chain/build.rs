//! Compiles the Solidity doubles when one of them changed.

use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for input in ["contracts", "compile.mjs", "package-lock.json"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let target = Path::new(&std::env::var("OUT_DIR")?).join("doubles.json");
    let compiled = Command::new("node").arg("compile.mjs").arg(target).status();
    match compiled {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => {
            Err("the doubles do not compile: if packages are missing, run ./setup.sh test".into())
        }
        Err(error) => Err(format!("node does not start ({error}): run ./setup.sh test").into()),
    }
}
