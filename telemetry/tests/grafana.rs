//! Every query of the dashboards and alert rules in `grafana/` names metrics and labels that the node exports.

#![allow(clippy::expect_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use orchestrion_telemetry::metrics::names;
use orchestrion_telemetry::metrics::table::{Declared, TABLE};
use promql_parser::label::Matchers;
use promql_parser::parser::{Expr, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

/// Labels that Prometheus adds, or that every series carries.
const OTHER_LABELS: &[&str] = &["job", "instance", "node_id", "node_type", "le"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana")
}

fn files(under: &str, end: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder().join(under))
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == end))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "nothing in {under}");
    found
}

fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("readable");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text values of every field called `key`, at any depth.
fn texts<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                match inner {
                    Value::String(text) if name == key => found.push(text),
                    other => texts(other, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    labels: BTreeSet<(String, String)>,
}

impl ExprVisitor for Seen {
    type Error = String;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
        let selector = match expr {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(range) => &range.vs,
            _ => return Ok(true),
        };
        let name = selector
            .name
            .clone()
            .ok_or_else(|| format!("{expr:?} names no metric"))?;
        let Matchers { matchers, .. } = &selector.matchers;
        self.labels.extend(
            matchers
                .iter()
                .map(|matcher| (name.clone(), matcher.name.clone())),
        );
        self.names.insert(name);
        Ok(true)
    }
}

fn declared(name: &str) -> Option<&'static Declared> {
    TABLE.iter().find(|metric| {
        name.strip_prefix(metric.name)
            .is_some_and(|end| matches!(end, "" | "_bucket" | "_sum" | "_count"))
    })
}

fn check(query: &str, known: &BTreeSet<String>) -> Result<(), String> {
    // Grafana fills in its variables before Prometheus sees the query.
    let filled = query
        .replace("$__rate_interval", "1m")
        .replace("$node", ".*");
    let expr = parse(&filled).map_err(|error| format!("{query}: {error}"))?;
    let mut seen = Seen::default();
    walk_expr(&mut seen, &expr).map_err(|error| format!("{query}: {error}"))?;
    if seen.names.is_empty() {
        return Err(format!("{query}: no metric"));
    }
    if let Some(name) = seen.names.iter().find(|name| !known.contains(*name)) {
        return Err(format!("{query}: the node does not export {name}"));
    }
    for (name, label) in &seen.labels {
        let own = declared(name).map_or(&[][..], |metric| metric.labels);
        if !own.contains(&label.as_str()) && !OTHER_LABELS.contains(&label.as_str()) {
            return Err(format!("{query}: {name} has no label {label}"));
        }
    }
    Ok(())
}

fn known() -> BTreeSet<String> {
    // `up` is Prometheus' own.
    names().into_iter().chain(["up".to_owned()]).collect()
}

#[test]
fn dashboards_ask_for_what_the_node_exports() {
    let known = known();
    for path in files("dashboards", "json") {
        let text = std::fs::read_to_string(&path).expect("readable");
        let board: Value = serde_json::from_str(&text).expect("json");
        let mut queries = Vec::new();
        texts(&board, "expr", &mut queries);
        assert!(queries.len() > 8, "only {} queries found", queries.len());
        let faults: Vec<String> = queries
            .iter()
            .filter_map(|query| check(query, &known).err())
            .collect();
        assert!(
            faults.is_empty(),
            "{}:\n{}",
            path.display(),
            faults.join("\n")
        );
        let mut variables = Vec::new();
        texts(&board["templating"], "definition", &mut variables);
        for variable in variables {
            let (metric, _) = variable
                .strip_prefix("label_values(")
                .and_then(|rest| rest.split_once(','))
                .expect("label_values(metric, label)");
            assert!(known.contains(metric), "{variable}");
        }
    }
}

#[test]
fn panels_neither_overlap_nor_share_numbers() {
    for path in files("dashboards", "json") {
        let board: Value =
            serde_json::from_slice(&std::fs::read(&path).expect("readable")).expect("json");
        let mut cells = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        for panel in board["panels"].as_array().expect("panels") {
            assert!(
                numbers.insert(panel["id"].as_u64().expect("id")),
                "{}",
                panel["title"]
            );
            let side = |name: &str| panel["gridPos"][name].as_u64().expect("number");
            for column in side("x")..side("x") + side("w") {
                assert!(column < 24, "{}", panel["title"]);
                for line in side("y")..side("y") + side("h") {
                    assert!(
                        cells.insert((column, line)),
                        "{} lies on another",
                        panel["title"]
                    );
                }
            }
        }
    }
}

#[test]
fn alert_rules_ask_for_what_the_node_exports() {
    let known = known();
    for path in files("alerts", "yml") {
        let rules = yaml(&path);
        let mut alerts = BTreeSet::new();
        for rule in rules["groups"]
            .as_array()
            .expect("groups")
            .iter()
            .flat_map(|group| group["rules"].as_array().expect("rules"))
        {
            let name = rule["alert"].as_str().expect("name");
            assert!(alerts.insert(name.to_owned()), "{name} twice");
            check(rule["expr"].as_str().expect("expr"), &known).expect("query");
            assert!(
                rule["labels"]["severity"].is_string(),
                "{name} has no severity"
            );
            assert!(
                rule["annotations"]["summary"].is_string(),
                "{name} has no summary"
            );
        }
    }
}

#[test]
fn configuration_files_name_files_that_exist() {
    let compose = yaml(&folder().join("compose.yaml"));
    for service in compose["services"].as_object().expect("services").values() {
        for volume in service["volumes"].as_array().expect("volumes") {
            let source = volume
                .as_str()
                .and_then(|text| text.split(':').next())
                .expect("volume");
            let there = match source.strip_prefix("./") {
                Some(file) => folder().join(file).exists(),
                None => compose["volumes"].get(source).is_some(),
            };
            assert!(there, "{source}");
        }
    }
    let prometheus = yaml(&folder().join("prometheus.yml"));
    assert_eq!(prometheus["scrape_configs"][0]["job_name"], "orchestrion");
    let source = yaml(&folder().join("provisioning/datasources/prometheus.yml"));
    assert_eq!(source["datasources"][0]["uid"], "prometheus");
    assert!(
        yaml(&folder().join("provisioning/dashboards/orchestrion.yml"))["providers"].is_array()
    );
}

#[test]
fn a_query_for_something_else_is_found_out() {
    let known = known();
    assert!(check("rate(livepeer_segment_transcoded_totals[5m])", &known).is_err());
    assert!(check(r#"orchestrion_refusals_total{cause="capped"}"#, &known).is_err());
    assert!(
        check("sum(rate(livepeer_transcode_score[5m])) by (le)", &known).is_err(),
        "a histogram has no bare series"
    );
    assert!(check("sum(", &known).is_err());
}
