//! Gives both ends of the link a build id: a hash over everything that decides what travels on it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What the link carries, seen from this package.
const SOURCES: [&str; 3] = [
    "src",
    "../../protocol/src/profile.rs",
    "../../protocol/src/segment.rs",
];

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        collect(Path::new(source), &mut files)?;
    }
    files.sort();
    // FNV-1a, 64 bits: no security hangs on it, only equality of two honest builds.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        for byte in fs::read(file)? {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!("cargo::rustc-env=LINK_BUILD_ID={version}-{hash:016x}");
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else {
        files.push(path.to_owned());
    }
    Ok(())
}
