//! The process of the development node: on a free port, silent, gone when dropped or when the test process ends.

use std::collections::HashSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The states of past blocks that it keeps, all in memory: more than any test goes back.
const STATES: &str = "256";

/// A running anvil.
pub(crate) struct Anvil {
    port: u16,
    // a shell that holds anvil and kills it when its standard input is closed, in whatever way this process ends
    holder: Child,
}

impl Anvil {
    pub(crate) fn start(port: u16, options: &[String]) -> Self {
        let binary = binary();
        assert!(
            binary.is_file(),
            "{} is missing: run ./setup.sh test",
            binary.display()
        );
        let holder = Command::new("sh")
            .args(["-c", r#""$@" & read _; kill -9 $!"#, "sh"])
            .arg(binary)
            .args(["--quiet", "--host", "127.0.0.1", "--port"])
            .arg(port.to_string())
            // else it writes gigabytes of old states under the home directory, and a killed one leaves them there
            .args(["--prune-history", STATES])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start anvil");
        Self { port, holder }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// The binary inside the platform package.
fn binary() -> PathBuf {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("node_modules/@foundry-rs")
        .join(format!("anvil-{system}-{machine}/bin/anvil"))
}

/// A port that is free now and is given out once by this process.
pub fn free_port() -> u16 {
    static GIVEN: parking_lot::Mutex<Option<HashSet<u16>>> = parking_lot::Mutex::new(None);
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        if GIVEN.lock().get_or_insert_default().insert(port) {
            return port;
        }
    }
}
