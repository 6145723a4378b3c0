//! The figures of one pass, under the names that `livepeer_bench` gives them, and some it does not have.

use std::collections::BTreeMap;

use comfy_table::{Table, presets::ASCII_FULL};
use serde::Serialize;

use super::options::Options;
use super::session::Measured;
use crate::commands::push::latency::{Percentiles, percentiles};

/// One pass of all sessions over the input.
#[derive(Debug, Clone, Serialize)]
pub struct PassReport {
    /// Sessions at once.
    pub concurrent_sessions: usize,
    /// Segments transcoded.
    pub transcoded: usize,
    /// Segments that failed.
    pub failed: usize,
    /// Segments transcoded in no more than their own length.
    pub real_time: usize,
    /// Share of them among all, failed ones included.
    pub real_time_segments_ratio: f64,
    /// Length of what was transcoded, s.
    pub source_s: f64,
    /// Sum of transcode times, s.
    pub transcoding_s: f64,
    /// Transcode time ÷ length; lower is better.
    pub real_time_duration_ratio: f64,
    /// Time per segment.
    pub transcode_ms: Percentiles,
    /// CPU time of the worker per segment, s.
    pub cpu_s_per_segment: f64,
    /// Peak resident memory of each session's worker, bytes.
    pub peak_rss: Vec<u64>,
    /// Each segment.
    pub segments: Vec<Measured>,
}

impl PassReport {
    /// Sums up.
    pub fn new(concurrent_sessions: usize, rows: &[Measured]) -> Self {
        let done: Vec<&Measured> = rows.iter().filter(|row| row.error.is_none()).collect();
        let sum = |of: fn(&Measured) -> f64| done.iter().map(|row| of(row)).sum::<f64>();
        let (source_s, transcoding_s) = (sum(|row| row.duration_s), sum(|row| row.transcode_s));
        let real_time = done
            .iter()
            .filter(|row| row.transcode_s <= row.duration_s)
            .count();
        let mut peaks = BTreeMap::<usize, u64>::new();
        for row in &done {
            let peak = peaks.entry(row.session).or_default();
            *peak = row.peak_rss.max(*peak);
        }
        Self {
            concurrent_sessions,
            transcoded: done.len(),
            failed: rows.len() - done.len(),
            real_time,
            real_time_segments_ratio: ratio(real_time as f64, rows.len() as f64),
            source_s,
            transcoding_s,
            real_time_duration_ratio: ratio(transcoding_s, source_s),
            transcode_ms: percentiles(done.iter().map(|row| row.transcode_s * 1000.0)),
            cpu_s_per_segment: ratio(sum(|row| row.cpu_s), done.len() as f64),
            peak_rss: peaks.into_values().collect(),
            segments: rows.to_vec(),
        }
    }

    /// The table for people.
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        let Percentiles { p50, p95, p99, max } = self.transcode_ms;
        let peak = self.peak_rss.iter().max().copied().unwrap_or(0) as f64 / f64::from(1 << 20);
        table.load_preset(ASCII_FULL);
        for (name, value) in [
            ("Concurrent Sessions", self.concurrent_sessions.to_string()),
            ("Total Segs Transcoded", self.transcoded.to_string()),
            ("Real-Time Segs Transcoded", self.real_time.to_string()),
            (
                "* Real-Time Segs Ratio *",
                format!("{:.4}", self.real_time_segments_ratio),
            ),
            ("Total Source Duration", format!("{:.3}s", self.source_s)),
            (
                "Total Transcoding Duration",
                format!("{:.3}s", self.transcoding_s),
            ),
            (
                "* Real-Time Duration Ratio *",
                format!("{:.4}", self.real_time_duration_ratio),
            ),
            ("Failed Segs", self.failed.to_string()),
            (
                "Transcode Time per Seg",
                format!("p50 {p50:.0} ms, p95 {p95:.0} ms, p99 {p99:.0} ms, max {max:.0} ms"),
            ),
            (
                "CPU Time per Seg",
                format!("{:.3}s", self.cpu_s_per_segment),
            ),
            ("Peak Memory per Worker", format!("{peak:.1} MiB")),
        ] {
            table.add_row([name.to_owned(), value]);
        }
        table
    }
}

fn ratio(part: f64, of: f64) -> f64 {
    if of > 0.0 { part / of } else { 0.0 }
}

/// What is about to be measured.
pub fn settings_table(options: &Options) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_FULL);
    let mut rows = vec![
        ("Source File", options.input.display().to_string()),
        ("Transcoding Options", options.ladder.clone()),
        ("Concurrent Sessions", options.sessions.to_string()),
        ("Live Mode", options.live.to_string()),
    ];
    if !options.nvidia.is_empty() {
        let ids: Vec<String> = options.nvidia.iter().map(u32::to_string).collect();
        rows.push(("Nvidia GPU IDs", ids.join(",")));
    }
    if options.repeat > 1 {
        rows.push(("Repeat Times", options.repeat.to_string()));
    }
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(session: usize, transcode_s: f64, error: Option<&str>) -> Measured {
        Measured {
            at_ms: 0,
            session,
            segment: 0,
            duration_s: 2.0,
            transcode_s,
            frames: 60,
            cpu_s: 1.5,
            peak_rss: 100 + session as u64,
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn figures_are_those_of_livepeer_bench_and_failures_are_counted() {
        let rows = [
            row(0, 1.0, None),
            row(0, 3.0, None),
            row(1, 2.0, None),
            row(1, 0.0, Some("TranscoderInvalidVideo")),
        ];
        let report = PassReport::new(2, &rows);
        assert_eq!(
            (report.transcoded, report.failed, report.real_time),
            (3, 1, 2)
        );
        assert!((report.real_time_segments_ratio - 0.5).abs() < 1e-9);
        assert!((report.real_time_duration_ratio - 1.0).abs() < 1e-9);
        assert_eq!(report.peak_rss, [100, 101]);
        let table = report.table().to_string();
        for name in [
            "Total Segs Transcoded",
            "* Real-Time Segs Ratio *",
            "Total Transcoding Duration",
        ] {
            assert!(table.contains(name), "{table}");
        }
    }

    #[test]
    fn nothing_measured_divides_by_nothing() {
        assert_eq!(PassReport::new(1, &[]).real_time_duration_ratio, 0.0);
    }
}
