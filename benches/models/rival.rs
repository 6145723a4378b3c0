//! llama.cpp, as `./setup.sh rival` installs it.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::client::{LLM, models_dir};

/// What it says about an answer.
#[derive(Debug, Deserialize)]
pub struct Answer {
    tokens: f64,
    seconds: f64,
    prompt_seconds: f64,
}

impl Answer {
    pub fn per_second(&self) -> f64 {
        self.tokens / self.seconds
    }

    /// From the question to the first token, ms.
    pub fn first_ms(&self) -> f64 {
        (self.prompt_seconds + self.seconds / self.tokens) * 1000.0
    }
}

/// Asks it once.
pub fn ask(threads: usize, tokens: usize, question: &str) -> Answer {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".cache/rival/bin/python");
    assert!(
        python.is_file(),
        "llama.cpp is missing: `./setup.sh rival` installs it"
    );
    let output = Command::new(python)
        .arg(root.join("benches/models/llama_cpp.py"))
        .arg(models_dir().join(format!("{LLM}.gguf")))
        .args([threads.to_string(), tokens.to_string(), question.to_owned()])
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "llama.cpp: {said}");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|line| line.starts_with('{'));
    serde_json::from_str(line.expect("a line of JSON")).expect("its figures")
}
