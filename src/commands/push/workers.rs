//! Worker processes of a command's own: started as the node starts them, given one job at a time.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use host::job::{
    Device, EncoderSettings, JobError, JobId, JobStats, ProbeJob, ProbeReport, Rendition,
    SegmentJob,
};
use host::message::{Command, Report};
use host::process::{Exit, HostError, WorkerLauncher, WorkerLimits, WorkerProcess, write_registry};
use tempfile::TempDir;

use crate::assembly::worker_binary;

/// Starts workers. The registry of plugins lives as long as this.
#[derive(Debug)]
pub struct LocalWorkers {
    launcher: WorkerLauncher,
    _registry: TempDir,
}

impl LocalWorkers {
    /// With the worker binary `given`, or the one beside this program. Lets it look at all plugins once, about a second.
    ///
    /// # Errors
    /// [`WorkerError::Prepare`] when it cannot be run.
    pub async fn prepare(given: Option<&Path>) -> Result<Self, WorkerError> {
        let binary = worker_binary(given);
        let failed = |reason: String| WorkerError::Prepare { reason };
        let folder = tempfile::Builder::new()
            .prefix("orchestrion-registry-")
            .tempdir()
            .map_err(|error| failed(error.to_string()))?;
        let registry = folder.path().join("registry.bin");
        let (asked, target) = (binary.clone(), registry.clone());
        tokio::task::spawn_blocking(move || write_registry(&asked, &target))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(format!("{}: {error}", binary.display())))?;
        let launcher = WorkerLauncher::new(binary, WorkerLimits::default(), Some(registry));
        Ok(Self {
            launcher,
            _registry: folder,
        })
    }

    /// Starts a worker whose encoders are set so.
    ///
    /// # Errors
    /// [`WorkerError::Host`] when it does not come up.
    pub async fn start(&self, settings: EncoderSettings) -> Result<LocalWorker, WorkerError> {
        let process = self.launcher.launch(settings).await?;
        Ok(LocalWorker { process, jobs: 0 })
    }

    /// Starts a worker that only looks at media.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_prober(&self) -> Result<LocalWorker, WorkerError> {
        let settings = EncoderSettings {
            device: Device::Cpu,
            x264_preset: "ultrafast".to_owned(),
            x264_lookahead: None,
            x264_threads: 1,
        };
        self.start(settings).await
    }
}

/// A running worker. Dropping it kills the process.
#[derive(Debug)]
pub struct LocalWorker {
    process: WorkerProcess,
    jobs: u64,
}

/// A finished transcode.
#[derive(Debug)]
pub struct Transcoded {
    /// Renditions and their bytes, in order of their completion.
    pub renditions: Vec<(Rendition, Bytes)>,
    /// What it cost.
    pub stats: JobStats,
}

impl LocalWorker {
    /// Transcodes a segment; at most `limit` long.
    ///
    /// # Errors
    /// [`WorkerError::Job`] leaves the worker usable; after any other it is gone.
    pub async fn transcode(
        &mut self,
        spec: SegmentJob,
        input: Bytes,
        limit: Duration,
    ) -> Result<Transcoded, WorkerError> {
        let job = self.number();
        let mut renditions = Vec::new();
        let last = self.job(
            Command::Segment { job, spec },
            job,
            input,
            limit,
            |report, bytes| {
                if let Report::Rendition { rendition, .. } = report {
                    renditions.push((rendition, bytes));
                }
            },
        );
        match last.await? {
            (Report::Done { stats, .. }, _) => Ok(Transcoded { renditions, stats }),
            _ => Err(WorkerError::Confused),
        }
    }

    /// Looks at a piece of media; at most `limit` long. The bytes are the thumbnails, RGB24 one after the other.
    ///
    /// # Errors
    /// As [`transcode`](Self::transcode).
    pub async fn probe(
        &mut self,
        spec: ProbeJob,
        input: Bytes,
        limit: Duration,
    ) -> Result<(ProbeReport, Bytes), WorkerError> {
        let job = self.number();
        match self
            .job(Command::Probe { job, spec }, job, input, limit, |_, _| {})
            .await?
        {
            (Report::Probed { report, .. }, thumbnails) => Ok((report, thumbnails)),
            _ => Err(WorkerError::Confused),
        }
    }

    fn number(&mut self) -> JobId {
        self.jobs += 1;
        JobId(self.jobs)
    }

    /// Gives one job and hands on what comes in between; the report that ends it.
    async fn job(
        &mut self,
        command: Command,
        job: JobId,
        input: Bytes,
        limit: Duration,
        mut each: impl FnMut(Report, Bytes),
    ) -> Result<(Report, Bytes), WorkerError> {
        let WorkerProcess {
            sender,
            receiver,
            handle,
            ..
        } = &mut self.process;
        let feed = async {
            sender.send(command, None).await?;
            sender.send(Command::Input { job }, Some(input)).await?;
            sender.send(Command::InputEnd { job }, None).await
        };
        let read = async {
            loop {
                let (report, bytes) = receiver.recv().await?;
                match report {
                    Report::Done { job: of, .. } | Report::Probed { job: of, .. } if of == job => {
                        return Ok((report, bytes));
                    }
                    Report::Failed { job: of, error } if of == job => {
                        return Err(WorkerError::Job(error));
                    }
                    other => each(other, bytes),
                }
            }
        };
        // The link may break under the feed first; what matters is how the process ended, which the reader finds.
        let both = async { tokio::join!(feed, read).1 };
        match tokio::time::timeout(limit, both).await {
            Err(_) => {
                handle.kill();
                Err(WorkerError::Stuck(limit))
            }
            Ok(Err(WorkerError::Host(HostError::Closed))) => {
                Err(WorkerError::Ended(handle.exit().await))
            }
            Ok(outcome) => outcome,
        }
    }
}

/// Why a local worker did not do its job.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The binary cannot be used.
    #[error(
        "cannot use the worker binary: {reason}; install orchestrion-worker beside orchestrion or name it with -workerBinary"
    )]
    Prepare {
        /// Why not.
        reason: String,
    },
    /// The process or its link failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The process ended during the job.
    #[error("worker {0}")]
    Ended(Exit),
    /// The job took too long; the process was killed.
    #[error("worker did not finish within {0:?}")]
    Stuck(Duration),
    /// An answer that does not belong to the question.
    #[error("worker answered something else")]
    Confused,
    /// The job failed; the worker goes on.
    #[error(transparent)]
    Job(#[from] JobError),
}
