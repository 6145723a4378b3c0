//! One session: a worker process and its segments, one after the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use host::job::{EncoderSettings, SegmentJob};
use protocol::profile::VideoProfile;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::commands::push::source::{Segment, Source};
use crate::commands::push::workers::{LocalWorker, LocalWorkers, Transcoded, WorkerError};

/// Longest time for one segment; a benchmark of a slow machine is still one.
const LIMIT: Duration = Duration::from_secs(600);

/// What a session does.
pub struct Session {
    /// Its number, from 0.
    pub number: usize,
    /// Segments to transcode.
    pub count: usize,
    /// Delay before the first one.
    pub delay: Duration,
    /// Wait until each segment would have been recorded.
    pub live: bool,
    /// Where segments come from.
    pub source: Arc<Source>,
    /// Starts its worker.
    pub workers: Arc<LocalWorkers>,
    /// Renditions.
    pub profiles: Vec<VideoProfile>,
    /// Settings of its worker.
    pub encoder: EncoderSettings,
    /// Where renditions are written, if at all.
    pub out_prefix: Option<String>,
    /// Make the perceptual hash of each rendition too.
    pub sign: bool,
    /// Where results go.
    pub rows: mpsc::Sender<Measured>,
}

/// One segment measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Unix milliseconds at its end.
    pub at_ms: u64,
    /// Session number, from 0.
    pub session: usize,
    /// Segment number, from 0.
    pub segment: usize,
    /// Length of the segment, s.
    pub duration_s: f64,
    /// From handing it over to the last rendition, s.
    pub transcode_s: f64,
    /// Frames of the first rendition.
    pub frames: u64,
    /// CPU time of the worker, s.
    pub cpu_s: f64,
    /// Peak resident memory of the worker so far, bytes.
    pub peak_rss: u64,
    /// Why it failed.
    pub error: Option<String>,
}

impl Measured {
    /// A line as `livepeer_bench` prints it, times in UTC.
    pub fn csv(&self) -> String {
        let Self {
            session,
            segment,
            duration_s,
            transcode_s,
            frames,
            ..
        } = self;
        format!(
            "{},{session},{segment},{duration_s:.4},{transcode_s:.4},{frames}",
            date_time(self.at_ms)
        )
    }
}

impl Session {
    /// Transcodes all segments. A failed one is reported and the next one gets a new worker where the old one is gone.
    pub async fn run(self) {
        tokio::time::sleep(self.delay).await;
        let mut worker = None;
        for position in 0..self.count {
            let begun = Instant::now();
            let row = self.measure(&mut worker, position).await;
            let length = Duration::from_secs_f64(row.duration_s);
            if self.rows.send(row).await.is_err() {
                return;
            }
            if self.live {
                tokio::time::sleep(length.saturating_sub(begun.elapsed())).await;
            }
        }
    }

    async fn measure(&self, worker: &mut Option<LocalWorker>, position: usize) -> Measured {
        let mut row = Measured {
            at_ms: 0,
            session: self.number,
            segment: position,
            duration_s: f64::from(self.source.duration_ms(position)) / 1000.0,
            transcode_s: 0.0,
            frames: 0,
            cpu_s: 0.0,
            peak_rss: 0,
            error: None,
        };
        match self.transcode(worker, position).await {
            Ok((transcoded, time)) => {
                row.transcode_s = time.as_secs_f64();
                row.frames = transcoded
                    .renditions
                    .iter()
                    .find(|(rendition, _)| rendition.index == 0)
                    .map_or(0, |(first, _)| first.frames);
                row.cpu_s = transcoded.stats.cpu_us as f64 / 1e6;
                row.peak_rss = transcoded.stats.peak_rss;
            }
            Err(error) => row.error = Some(error),
        }
        row.at_ms = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
        row
    }

    async fn transcode(
        &self,
        slot: &mut Option<LocalWorker>,
        position: usize,
    ) -> Result<(Transcoded, Duration), String> {
        let segment = self
            .source
            .segment(position)
            .map_err(|error| error.to_string())?;
        let mut worker = match slot.take() {
            Some(worker) => worker,
            None => self
                .workers
                .start(self.encoder.clone())
                .await
                .map_err(|error| error.to_string())?,
        };
        let begun = Instant::now();
        let outcome = worker
            .transcode(self.job(&segment), segment.bytes.clone(), LIMIT)
            .await;
        let time = begun.elapsed();
        if matches!(outcome, Ok(_) | Err(WorkerError::Job(_))) {
            *slot = Some(worker);
        }
        let transcoded = outcome.map_err(|error| error.to_string())?;
        if transcoded.renditions.len() != self.profiles.len() {
            return Err(format!(
                "{} renditions instead of {}",
                transcoded.renditions.len(),
                self.profiles.len()
            ));
        }
        self.save(position, &transcoded)
            .await
            .map_err(|error| format!("cannot be saved: {error}"))?;
        Ok((transcoded, time))
    }

    fn job(&self, segment: &Segment) -> SegmentJob {
        SegmentJob {
            stream: format!("bench-{}", self.number),
            seq: segment.seq,
            profiles: self.profiles.clone(),
            duration_ms: segment.duration_ms,
            clip: None,
            provider: "orchestrion bench".to_owned(),
            perceptual_hash: self.sign,
        }
    }

    /// Writes `<prefix>_<profile>_<n>_<session>_<segment>.ts`, as `livepeer_bench` names them.
    async fn save(&self, position: usize, transcoded: &Transcoded) -> std::io::Result<()> {
        let Some(prefix) = &self.out_prefix else {
            return Ok(());
        };
        for (rendition, bytes) in &transcoded.renditions {
            if let Some(profile) = self.profiles.get(rendition.index) {
                let name = protocol::result::encode_path([profile.name.as_str()]);
                let ending = profile.format.extension();
                let path = PathBuf::from(format!(
                    "{prefix}_{name}_{}_{}_{position}{ending}",
                    rendition.index, self.number
                ));
                let (file, hash) = rendition.split(bytes.clone());
                if !hash.is_empty() {
                    // where the reference's encoder leaves it
                    let mut beside = path.clone().into_os_string();
                    beside.push(".bin");
                    tokio::fs::write(beside, hash).await?;
                }
                tokio::fs::write(path, file).await?;
            }
        }
        Ok(())
    }
}

/// `2006-01-02 15:04:05.9999` of Unix milliseconds, UTC (days to a date after Hinnant's `civil_from_days`).
fn date_time(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}",
        ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_livepeer_bench() {
        let row = Measured {
            at_ms: 1_709_210_096_789,
            session: 1,
            segment: 4,
            duration_s: 2.0,
            transcode_s: 0.61234,
            frames: 60,
            cpu_s: 1.0,
            peak_rss: 5,
            error: None,
        };
        assert_eq!(row.csv(), "2024-02-29 12:34:56.789,1,4,2.0000,0.6123,60");
        assert_eq!(date_time(0), "1970-01-01 00:00:00.000");
        assert_eq!(date_time(951_868_800_000), "2000-03-01 00:00:00.000");
    }
}
