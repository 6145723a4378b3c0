//! The operator's page about metrics says what the table says.

use std::path::Path;

#[test]
fn the_page_about_metrics_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(path).expect("docs/metrics.md");
    assert!(
        page == orchestrion_telemetry::metrics::markdown(),
        "docs/metrics.md is old; write it anew as its second line says"
    );
}
