//! Checks what came back: pixels, timeline, audio, first picture, playability. Decoding happens in a worker process of our own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host::job::{ProbeJob, ProbeReport};
use protocol::profile::VideoProfile;
use tokio::sync::mpsc;

use super::audio;
use super::client::Delivered;
use super::media::{Media, frame_ticks};
use super::sheet::{Picture, SheetPlan};
use super::source::Source;
use super::timeline::{SourceTimes, TimelineCheck};
use super::workers::{LocalWorker, LocalWorkers, WorkerError};

/// Longest time to decode one segment.
const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// A delivered segment to be checked.
#[derive(Debug)]
pub struct Check {
    /// Which stream, from 0.
    pub stream: usize,
    /// Which segment, from 0.
    pub seq: i64,
    /// Its position in the source.
    pub index: usize,
    /// How much later its times are than in the source, ticks.
    pub shift: i64,
    /// What came back, in the order of the profiles.
    pub renditions: Vec<Delivered>,
}

/// What the checks found for one profile.
#[derive(Debug, Clone, Default)]
pub struct ProfileFindings {
    /// Frames decoded.
    pub frames: u64,
    /// Renditions without a fault.
    pub verified: u64,
    /// Size of the decoded pictures.
    pub size: Option<(u32, u32)>,
}

/// What all checks found.
#[derive(Debug, Default)]
pub struct Findings {
    /// By profile, in order.
    pub profiles: Vec<ProfileFindings>,
    /// What is wrong, each with stream, segment and rendition.
    pub faults: Vec<String>,
    /// Pictures for the contact sheet.
    pub pictures: Vec<Picture>,
}

/// Decodes and compares, one segment after the other.
pub struct Verifier {
    source: Arc<Source>,
    profiles: Vec<VideoProfile>,
    workers: LocalWorkers,
    worker: Option<LocalWorker>,
    sheet: Option<SheetPlan>,
    /// Whether faults count; else only pictures are taken.
    strict: bool,
    sources: HashMap<usize, (SourceTimes, ProbeReport, Bytes)>,
    timelines: HashMap<(usize, usize), TimelineCheck>,
    findings: Findings,
}

impl Verifier {
    /// A verifier that finds faults if `strict`, and takes the pictures of `sheet`.
    pub fn new(
        source: Arc<Source>,
        profiles: Vec<VideoProfile>,
        workers: LocalWorkers,
        strict: bool,
        sheet: Option<SheetPlan>,
    ) -> Self {
        let findings = Findings {
            profiles: vec![ProfileFindings::default(); profiles.len()],
            ..Findings::default()
        };
        let (sources, timelines) = (HashMap::new(), HashMap::new());
        Self {
            source,
            profiles,
            workers,
            worker: None,
            sheet,
            strict,
            sources,
            timelines,
            findings,
        }
    }

    /// Checks what arrives until no more comes. Per stream, segments must come in their order.
    pub async fn run(mut self, mut checks: mpsc::Receiver<Check>) -> Findings {
        while let Some(check) = checks.recv().await {
            let pictured = self
                .sheet
                .as_ref()
                .is_some_and(|sheet| check.stream == 0 && sheet.wants(check.seq));
            if self.strict || pictured {
                self.segment(&check, pictured).await;
            }
        }
        self.findings
    }

    async fn segment(&mut self, check: &Check, pictured: bool) {
        if let Err(error) = self.learn(check.index).await {
            self.fault(check, "source", &format!("cannot be decoded: {error}"));
            return;
        }
        if pictured && let Some((_, report, thumbnails)) = self.sources.get(&check.index) {
            self.findings
                .pictures
                .extend(Picture::cut(check.seq, 0, report, thumbnails));
        }
        for (n, rendition) in check.renditions.iter().enumerate() {
            let Some(profile) = self.profiles.get(n).cloned() else {
                break;
            };
            match self.probe(rendition.bytes.clone(), pictured).await {
                Ok((report, thumbnails)) => {
                    if pictured {
                        self.findings.pictures.extend(Picture::cut(
                            check.seq,
                            n + 1,
                            &report,
                            &thumbnails,
                        ));
                    }
                    self.compare(check, n, &profile, rendition, &report);
                }
                Err(error) => {
                    self.fault(check, &profile.name, &format!("cannot be decoded: {error}"))
                }
            }
        }
    }

    /// Decodes a segment of the source once.
    async fn learn(&mut self, index: usize) -> Result<(), WorkerError> {
        if self.sources.contains_key(&index) {
            return Ok(());
        }
        let (report, thumbnails) = self
            .probe(self.source.bytes(index), self.sheet.is_some())
            .await?;
        let mut pts = report.video_pts.clone();
        pts.sort_unstable();
        let times = SourceTimes {
            frame: frame_ticks(&pts),
            pts,
        };
        self.sources.insert(index, (times, report, thumbnails));
        Ok(())
    }

    async fn probe(
        &mut self,
        bytes: Bytes,
        pictured: bool,
    ) -> Result<(ProbeReport, Bytes), WorkerError> {
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.workers.start_prober().await?,
        };
        let sheet = self.sheet.as_ref().filter(|_| pictured);
        let spec = ProbeJob {
            decode: true,
            thumbnails: sheet.map_or(0, SheetPlan::per_segment),
            thumbnail_width: super::sheet::CELL_WIDTH,
        };
        let outcome = worker.probe(spec, bytes, PROBE_LIMIT).await;
        // A worker that broke is not used again.
        if matches!(outcome, Ok(_) | Err(WorkerError::Job(_))) {
            self.worker = Some(worker);
        }
        outcome
    }

    fn compare(
        &mut self,
        check: &Check,
        n: usize,
        profile: &VideoProfile,
        rendition: &Delivered,
        report: &ProbeReport,
    ) {
        let mut faults = picture_faults(rendition.pixels, report);
        if let Some((times, _, _)) = self.sources.get(&check.index) {
            let moved = SourceTimes {
                pts: times.pts.iter().map(|pts| pts + check.shift).collect(),
                frame: times.frame,
            };
            let mut frames = report.video_pts.clone();
            frames.sort_unstable();
            let timeline = self.timelines.entry((check.stream, n)).or_default();
            faults.extend(timeline.check(check.seq, &moved, &frames, profile.frame_rate()));
        }
        match (
            self.source.media(check.index),
            Media::parse(&rendition.bytes),
        ) {
            (Some(source), Ok(found)) => faults.extend(audio::differs(source, check.shift, &found)),
            (_, Err(error)) => faults.push(error.to_string()),
            (None, Ok(_)) => {}
        }
        if let Some(of) = self.findings.profiles.get_mut(n) {
            of.frames += report.frames;
            of.verified += u64::from(faults.is_empty());
            of.size = Some((report.width, report.height));
        }
        for fault in faults {
            self.fault(check, &profile.name, &fault);
        }
    }

    fn fault(&mut self, check: &Check, of: &str, what: &str) {
        if self.strict {
            self.findings.faults.push(format!(
                "stream {}, segment {}, {of}: {what}",
                check.stream, check.seq
            ));
        }
    }
}

/// What is wrong with the pictures of a rendition that bills `billed` pixels.
fn picture_faults(billed: u64, report: &ProbeReport) -> Vec<String> {
    let mut faults = Vec::new();
    let decoded = u64::from(report.width) * u64::from(report.height) * report.frames;
    if decoded != billed {
        faults.push(format!("{billed} pixels billed, {decoded} decoded"));
    }
    if report.frames == 0 {
        faults.push("nothing can be played".to_owned());
    }
    if report.key_frames.first() != Some(&0) {
        faults.push("does not begin with a key picture".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_exact_and_the_first_picture_is_key() {
        let report = ProbeReport {
            width: 426,
            height: 240,
            frames: 60,
            key_frames: vec![0, 30],
            ..ProbeReport::default()
        };
        assert_eq!(
            picture_faults(426 * 240 * 60, &report),
            Vec::<String>::new()
        );
        assert_eq!(picture_faults(426 * 240 * 60 - 1, &report).len(), 1);
        let late = ProbeReport {
            key_frames: vec![1],
            ..report
        };
        assert_eq!(
            picture_faults(426 * 240 * 60, &late),
            ["does not begin with a key picture"]
        );
        assert_eq!(picture_faults(0, &ProbeReport::default()).len(), 2);
    }
}
