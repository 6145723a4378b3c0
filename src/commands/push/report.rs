//! What a push is judged by: a table for people, JSON for programs, and whether it was a success.

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use protocol::profile::VideoProfile;
use serde::Serialize;

use super::latency::{Percentiles, percentiles};
use super::pay::statement::{self, Statement};
use super::stream::Record;
use super::verify::Findings;

/// Faults printed one by one; the rest is counted.
const SHOWN: usize = 20;

/// The outcome of a push.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Every segment was delivered, and verified if that was asked.
    pub ok: bool,
    /// Streams pushed.
    pub streams: usize,
    /// Segments that were to be pushed.
    pub segments: usize,
    /// Segments that came back.
    pub delivered: usize,
    /// Segments that did not.
    pub lost: usize,
    /// Segments that came back later than their own length after they were due.
    pub late: usize,
    /// Tries beyond the first, over all segments.
    pub retries: u64,
    /// Length of what was delivered, s.
    pub media_s: f64,
    /// From the start to the last segment, s.
    pub wall_s: f64,
    /// Time until delivery ÷ length, over all delivered segments. Below 1 is real time.
    pub real_time_ratio: f64,
    /// From sending a segment to the last byte of its last rendition.
    pub latency_ms: Percentiles,
    /// From sending a segment to the end of the answer.
    pub answer_ms: Percentiles,
    /// Whether renditions were decoded and compared.
    pub verified: bool,
    /// By profile, in order.
    pub profiles: Vec<ProfileReport>,
    /// What each account paid; none off-chain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<Statement>,
    /// What went wrong.
    pub faults: Vec<String>,
    /// Each segment.
    pub records: Vec<Record>,
}

/// The outcome for one profile.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ProfileReport {
    /// Its name.
    pub name: String,
    /// Renditions delivered.
    pub segments: u64,
    /// Renditions that were verified and have no fault.
    pub verified: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Frames decoded; `None` where nothing was verified.
    pub frames: Option<u64>,
    /// Pixels billed.
    pub pixels: u64,
    /// Width and height of the pictures, where verified.
    pub size: Option<(u32, u32)>,
}

/// What a push was to do.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    /// Renditions asked for.
    pub profiles: &'a [VideoProfile],
    /// Streams.
    pub streams: usize,
    /// Segments per stream.
    pub count: usize,
    /// From the start to the end, s.
    pub wall_s: f64,
}

impl Report {
    /// Sums up. `findings` is `None` where nothing was verified; `faults` are those found outside of segments.
    pub fn new(
        intent: Intent<'_>,
        records: Vec<Record>,
        findings: Option<&Findings>,
        faults: Vec<String>,
    ) -> Self {
        let delivered: Vec<&Record> = records
            .iter()
            .filter(|record| record.delivered_ms.is_some())
            .collect();
        let segments = intent.streams * intent.count;
        let media_ms: f64 = delivered
            .iter()
            .map(|record| f64::from(record.duration_ms))
            .sum();
        let waited_ms: f64 = delivered
            .iter()
            .filter_map(|record| record.delivered_ms)
            .sum();
        let latency_ms = percentiles(delivered.iter().filter_map(|record| record.delivered_ms));
        let answer_ms = percentiles(delivered.iter().filter_map(|record| record.answered_ms));
        let profiles = intent
            .profiles
            .iter()
            .enumerate()
            .map(|(n, profile)| ProfileReport::new(n, profile, &delivered, findings));
        let mut all = faults;
        all.extend(records.iter().filter_map(|record| {
            record
                .error
                .as_ref()
                .map(|error| format!("stream {}, segment {}: {error}", record.stream, record.seq))
        }));
        all.extend(
            findings
                .map(|findings| findings.faults.clone())
                .unwrap_or_default(),
        );
        Self {
            ok: all.is_empty() && delivered.len() == segments,
            streams: intent.streams,
            segments,
            delivered: delivered.len(),
            lost: segments.saturating_sub(delivered.len()),
            late: delivered.iter().filter(|record| record.late).count(),
            retries: delivered
                .iter()
                .map(|record| u64::from(record.attempts.saturating_sub(1)))
                .sum(),
            media_s: media_ms / 1000.0,
            wall_s: intent.wall_s,
            real_time_ratio: if media_ms > 0.0 {
                waited_ms / media_ms
            } else {
                0.0
            },
            latency_ms,
            answer_ms,
            verified: findings.is_some(),
            profiles: profiles.collect(),
            payments: Vec::new(),
            faults: all,
            records,
        }
    }

    /// Two tables and the faults.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.profile_table(), self.total_table());
        if !self.payments.is_empty() {
            text += &statement::text(&self.payments);
        }
        for fault in self.faults.iter().take(SHOWN) {
            text += &format!("fault: {fault}\n");
        }
        if self.faults.len() > SHOWN {
            text += &format!("… and {} more\n", self.faults.len() - SHOWN);
        }
        text + match (self.ok, self.verified) {
            (true, true) => "every segment delivered and verified\n",
            (true, false) => "every segment delivered; nothing was verified\n",
            (false, _) => "FAILED\n",
        }
    }

    fn profile_table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY).set_header([
            "rendition",
            "size",
            "segments",
            "verified",
            "frames",
            "pixels",
            "bytes",
        ]);
        for profile in &self.profiles {
            let size = profile.size.map_or_else(
                || "-".to_owned(),
                |(width, height)| format!("{width}x{height}"),
            );
            table.add_row([
                profile.name.clone(),
                size,
                profile.segments.to_string(),
                if self.verified {
                    profile.verified.to_string()
                } else {
                    "-".to_owned()
                },
                profile
                    .frames
                    .map_or_else(|| "-".to_owned(), |frames| frames.to_string()),
                profile.pixels.to_string(),
                profile.bytes.to_string(),
            ]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn total_table(&self) -> Table {
        let mut table = Table::new();
        let Percentiles { p50, p95, p99, max } = self.latency_ms;
        table.load_preset(UTF8_BORDERS_ONLY);
        table.add_row(["streams".to_owned(), self.streams.to_string()]);
        table.add_row([
            "segments".to_owned(),
            format!(
                "{} delivered, {} lost, {} late, {} retries",
                self.delivered, self.lost, self.late, self.retries
            ),
        ]);
        table.add_row([
            "media".to_owned(),
            format!("{:.1} s in {:.1} s", self.media_s, self.wall_s),
        ]);
        table.add_row([
            "real-time ratio".to_owned(),
            format!("{:.3}", self.real_time_ratio),
        ]);
        table.add_row([
            "latency".to_owned(),
            format!("p50 {p50:.0} ms, p95 {p95:.0} ms, p99 {p99:.0} ms, max {max:.0} ms"),
        ]);
        table
    }
}

impl ProfileReport {
    fn new(
        n: usize,
        profile: &VideoProfile,
        delivered: &[&Record],
        findings: Option<&Findings>,
    ) -> Self {
        let sum = |of: fn(&Record) -> &Vec<u64>| {
            delivered
                .iter()
                .filter_map(|record| of(record).get(n))
                .sum()
        };
        let found = findings.and_then(|findings| findings.profiles.get(n));
        Self {
            name: profile.name.clone(),
            segments: delivered.len() as u64,
            verified: found.map_or(0, |found| found.verified),
            bytes: sum(|record| &record.bytes),
            frames: found.map(|found| found.frames),
            pixels: sum(|record| &record.pixels),
            size: found.and_then(|found| found.size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: i64, error: Option<&str>) -> Record {
        Record {
            stream: 0,
            seq,
            duration_ms: 2000,
            answered_ms: error.is_none().then_some(400.0),
            delivered_ms: error.is_none().then_some(500.0),
            late: false,
            attempts: 1,
            error: error.map(str::to_owned),
            bytes: vec![10, 20],
            pixels: vec![100, 200],
        }
    }

    fn report(records: Vec<Record>, findings: Option<&Findings>) -> Report {
        let profiles = protocol::profile::presets("P144p30fps16x9,P240p30fps16x9").unwrap();
        Report::new(
            Intent {
                profiles: &profiles,
                streams: 1,
                count: 2,
                wall_s: 4.0,
            },
            records,
            findings,
            Vec::new(),
        )
    }

    #[test]
    fn all_delivered_is_a_success() {
        let report = report(vec![record(0, None), record(1, None)], None);
        assert!(report.ok);
        assert_eq!(
            (report.profiles[1].bytes, report.profiles[1].pixels),
            (40, 400)
        );
        assert!((report.real_time_ratio - 0.25).abs() < 1e-9);
        assert!(report.text().contains("nothing was verified"));
    }

    #[test]
    fn a_lost_an_unsent_or_a_faulty_segment_is_a_failure() {
        assert!(
            !report(
                vec![record(0, None), record(1, Some("OrchestratorBusy"))],
                None
            )
            .ok
        );
        assert!(!report(vec![record(0, None)], None).ok);
        let findings = Findings {
            faults: vec!["stream 0, segment 1: short".into()],
            ..Findings::default()
        };
        let report = report(vec![record(0, None), record(1, None)], Some(&findings));
        assert!(!report.ok && report.text().contains("fault: stream 0, segment 1: short"));
    }
}
