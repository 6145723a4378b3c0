//! Replays the fuzz corpus with the stable compiler: what once went wrong must not again.

#[path = "../../fuzz/checks/ai.rs"]
mod ai;
#[path = "../../fuzz/checks/money.rs"]
mod checks;
#[path = "../../fuzz/checks/remote.rs"]
mod remote;

use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        println!("{}", path.display());
        check(&std::fs::read(&path)?);
        seen += 1;
    }
    assert!(seen > 0, "no corpus in {}", folder.display());
    Ok(())
}

#[test]
fn ai_requests_from_the_corpus_hold() -> std::io::Result<()> {
    replay("ai", ai::request)
}

#[test]
fn payments_from_the_corpus_hold() -> std::io::Result<()> {
    replay("payment", checks::payment)
}

#[test]
fn results_from_the_corpus_hold() -> std::io::Result<()> {
    replay("results", remote::results)
}

#[test]
fn tickets_from_the_corpus_hold() -> std::io::Result<()> {
    replay("ticket", checks::ticket)
}
