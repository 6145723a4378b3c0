//! Results of all benchmarks in one directory: a part per program, and `results.json` and `results.md` made of all parts.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::machine;

/// Programs in the order of their chapters.
const PARTS: [&str; 4] = ["ladder", "discovery", "payments", "models"];

/// `bench` in the directory of build results, made when missing.
pub fn directory() -> PathBuf {
    let release = Path::new(env!("CARGO_BIN_EXE_orchestrion")).parent();
    let target = release.and_then(Path::parent).expect("target directory");
    let directory = target.join("bench");
    fs::create_dir_all(&directory).expect("make the directory of results");
    directory
}

/// Keeps what the program `part` found, and writes the common files anew.
pub fn publish(part: &str, data: &impl Serialize, markdown: &str) {
    let directory = directory();
    let write = |name: &str, text: &str| {
        fs::write(directory.join(name), text).expect("write a result");
    };
    let data = serde_json::to_string_pretty(data).expect("JSON of a result");
    write(&format!("{part}.json"), &data);
    write(&format!("{part}.md"), markdown);

    let machine = machine::line();
    let mut all = Map::from_iter([("machine".to_owned(), json!(machine))]);
    let mut page = format!("Machine: {machine}.\n");
    for part in PARTS {
        let read = |suffix: &str| fs::read_to_string(directory.join(format!("{part}.{suffix}")));
        if let (Ok(data), Ok(chapter)) = (read("json"), read("md")) {
            let data: Value = serde_json::from_str(&data).expect("JSON of a part");
            all.insert(part.to_owned(), data);
            page.push('\n');
            page.push_str(&chapter);
        }
    }
    let all = serde_json::to_string_pretty(&all).expect("JSON of all results");
    write("results.json", &all);
    write("results.md", &page);
    println!("{markdown}");
    println!("results: {}", directory.join("results.md").display());
    println!("         {}", directory.join("results.json").display());
}
