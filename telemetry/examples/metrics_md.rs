//! Prints the page about metrics: `cargo run -q -p orchestrion-telemetry --example metrics_md > docs/metrics.md`.

fn main() {
    print!("{}", orchestrion_telemetry::metrics::markdown());
}
