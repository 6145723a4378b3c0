//! The machine in one line: processor, cores, memory, system. No names of hosts.

use std::fs;
use std::thread::available_parallelism;

/// e.g. `2 cores of AMD EPYC 7B13, 24 GiB, Debian GNU/Linux 12 (bookworm)`.
pub fn line() -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let kib = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok())
        .unwrap_or_default();
    let system = field("/etc/os-release", "PRETTY_NAME").unwrap_or_else(|| "Linux".into());
    let gib = kib / f64::from(1 << 20);
    format!("{cores} cores of {model}, {gib:.0} GiB, {system}")
}

/// Value of the first line of `file` that begins with `name`.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let value = line.split_once([':', '='])?.1;
    Some(value.trim().trim_matches('"').to_owned())
}
