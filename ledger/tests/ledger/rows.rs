//! Any row is read or refused, and what is read goes back into the same row. The fuzz target runs the same checks.

#[path = "../../../fuzz/checks/ledger.rs"]
mod checks;

use proptest::prelude::*;

proptest! {
    #[test]
    fn any_row_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        checks::rows(&bytes);
    }
}

#[test]
fn a_good_row_is_read() {
    // the guard of the checks above: their own encoding of a good ticket is accepted
    assert!(checks::good_winner().is_ok());
}

#[test]
fn every_row_of_the_corpus_is_read_or_refused() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/ledger_row");
    let mut seen = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        checks::rows(&std::fs::read(entry.unwrap().path()).unwrap());
        seen += 1;
    }
    assert!(seen >= 6, "{seen} files");
}
