//! The operator's page about metrics, written from the table.

use std::fmt::Write;

use super::table::{Declared, PROCESS, TABLE};

const HEAD: &str = "\
# Metrics

<!-- Written by `cargo run -q -p orchestrion-telemetry --example metrics_md > docs/metrics.md`; a test fails when it is old. -->

`GET /metrics` on the operator port, only with `-monitor`, in the Prometheus text format. Every `livepeer_` and
`orchestrion_` series carries `node_id` and `node_type` (`livepeer_versions` only `node_type`); `process_` series carry
no labels. Labels without a value are empty, which Prometheus treats as absent: `manifest_id` is filled only with
`-metricsPerStream`, `client_ip` only with `-metricsClientIP`, `sender` as `manifest_id`, but always for the float and the
face value of a gateway. Series of a stream vanish when the stream has ended. Amounts are floats of the unit in the help text:
good for charts and alerts; the exact ones are in the database.
Counters have the name as written; nothing is appended.
";

/// The page, in Markdown.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "Names shared with go-livepeer", "livepeer_");
    section(&mut page, "Names of our own", "orchestrion_");
    page.push_str("\n## The process\n\n| Name | Type | Meaning |\n|---|---|---|\n");
    for (name, kind, help) in PROCESS {
        let _ = writeln!(page, "| `{name}` | {} | {help} |", kind.as_str());
    }
    page
}

fn section(page: &mut String, title: &str, prefix: &str) {
    let _ = write!(
        page,
        "\n## {title}\n\n| Name | Type | Labels | Meaning |\n|---|---|---|---|\n"
    );
    for metric in TABLE
        .iter()
        .filter(|metric| metric.name.starts_with(prefix))
    {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {}{} |",
            metric.name,
            metric.kind.as_str(),
            list(metric.labels.iter().map(|label| format!("`{label}`"))),
            metric.help,
            buckets(metric),
        );
    }
}

fn buckets(metric: &Declared) -> String {
    if metric.buckets.is_empty() {
        return String::new();
    }
    format!(
        " Buckets: {}.",
        list(metric.buckets.iter().map(f64::to_string))
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
