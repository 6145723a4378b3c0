//! Our side: one worker process per stream, started and driven as the node does it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use host::job::{EncoderSettings, JobId, SegmentJob};
use host::message::{Command, Report};
use host::process::{WorkerLauncher, WorkerLimits, WorkerProcess, write_registry};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::footage::{DURATION_MS, Footage};
use super::round::{Round, StreamRun, cpu_of_ended_children};

/// A segment that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(300);

/// Starts workers.
pub struct Workers {
    launcher: WorkerLauncher,
    runtime: Runtime,
}

impl Workers {
    /// Lets the release build's worker look at all plugins once; `directory` takes the list.
    pub fn prepare(directory: &Path) -> Self {
        let daemon = Path::new(env!("CARGO_BIN_EXE_orchestrion"));
        let binary = daemon.with_file_name("orchestrion-worker");
        assert!(
            binary.is_file(),
            "{} is missing: run `make bench`",
            binary.display()
        );
        let registry = directory.join("registry.bin");
        write_registry(&binary, &registry).expect("list of media plugins");
        Self {
            launcher: WorkerLauncher::new(binary, WorkerLimits::default(), Some(registry)),
            runtime: Runtime::new().expect("runtime"),
        }
    }

    /// Transcodes the first `segments` of the footage in `streams` streams at once. Start and end of the processes count as CPU
    /// time; the start does not count as time of a segment, because the node keeps a worker ready.
    pub fn round(
        &self,
        settings: &EncoderSettings,
        footage: &Footage,
        streams: usize,
        segments: usize,
    ) -> (Round, Vec<StreamRun>) {
        let before = cpu_of_ended_children();
        let runs = self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for _ in 0..streams {
                let (launcher, settings) = (self.launcher.clone(), settings.clone());
                let jobs = jobs(footage, segments);
                running.spawn(async move {
                    let worker = launcher.launch(settings).await.expect("start a worker");
                    stream(worker, jobs).await
                });
            }
            running.join_all().await
        });
        let cpu = cpu_of_ended_children() - before;
        (Round::new(cpu, &runs), runs)
    }
}

fn jobs(footage: &Footage, segments: usize) -> Vec<(SegmentJob, Bytes)> {
    let segments = footage.segments.iter().take(segments).enumerate();
    segments
        .map(|(number, segment)| {
            let job = SegmentJob {
                stream: "bench".to_owned(),
                seq: number as i64,
                profiles: footage.ladder.clone(),
                duration_ms: DURATION_MS,
                clip: None,
                provider: "bench".to_owned(),
                perceptual_hash: false,
            };
            (job, segment.bytes.clone())
        })
        .collect()
}

async fn stream(mut worker: WorkerProcess, jobs: Vec<(SegmentJob, Bytes)>) -> StreamRun {
    let mut run = StreamRun::default();
    for (number, (spec, input)) in jobs.into_iter().enumerate() {
        let begun = Instant::now();
        let job = JobId(number as u64);
        let renditions = transcode(&mut worker, job, spec, input);
        let renditions = tokio::time::timeout(PATIENCE, renditions)
            .await
            .expect("a segment in time");
        run.wall_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
        run.renditions.push(renditions);
    }
    run.peak_mib = peak_mib(worker.handle.pid());
    worker
        .sender
        .send(Command::Shutdown, None)
        .await
        .expect("tell the worker to end");
    // its link must be read until it closes
    while worker.receiver.recv().await.is_ok() {}
    worker.handle.exit().await;
    run
}

async fn transcode(
    worker: &mut WorkerProcess,
    job: JobId,
    spec: SegmentJob,
    input: Bytes,
) -> Vec<Bytes> {
    let WorkerProcess {
        sender, receiver, ..
    } = worker;
    let mut renditions = vec![Bytes::new(); spec.profiles.len()];
    let sizes: Vec<_> = spec
        .profiles
        .iter()
        .map(|profile| (profile.width, profile.height))
        .collect();
    let feed = async {
        sender.send(Command::Segment { job, spec }, None).await?;
        sender.send(Command::Input { job }, Some(input)).await?;
        sender.send(Command::InputEnd { job }, None).await
    };
    let read = async {
        loop {
            let (report, bytes) = receiver.recv().await.expect("a report");
            match report {
                Report::Rendition { rendition, .. } => {
                    // the rival makes exactly what was asked, so the pair is one only when ours did
                    assert_eq!(
                        (rendition.width, rendition.height),
                        sizes[rendition.index],
                        "size of a rendition"
                    );
                    renditions[rendition.index] = bytes;
                }
                Report::Done { .. } => return renditions,
                Report::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    };
    let (fed, renditions) = tokio::join!(feed, read);
    fed.expect("feed a worker");
    renditions
}

/// Largest resident memory of a running process.
fn peak_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status of a worker");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.map(|line| line.trim().trim_end_matches(" kB"));
    kib.and_then(|kib| kib.parse::<f64>().ok()).expect("VmHWM") / 1024.0
}
