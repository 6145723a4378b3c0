//! A worker whose only rendition is its input; it misbehaves when told so. Test double, never installed.

use std::io::Write;
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use orchestrion_host::BUILD_ID;
use orchestrion_host::frame::write_frame;
use orchestrion_host::job::{JobError, JobStats, ProbeJob, ProbeReport, Rendition, SegmentJob};
use orchestrion_host::message::Report;
use orchestrion_host::sandbox::begin;
use orchestrion_host::worker::{Link, Outcome, Progress, RunningJob, WorkHandler};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let walls = begin();
    match std::env::args().nth(1).as_deref() {
        Some("other-build") => raw()?.write_hello("another-build"),
        Some("oversized") => {
            let mut link = raw()?;
            link.write_hello(BUILD_ID)?;
            link.write_all(&[0xff; 8])?;
            wait_for_ever()
        }
        Some("silent") => wait_for_ever(),
        Some("early-end") => std::process::exit(7),
        _ => {
            eprintln!("INFO echo worker started");
            let (greeted, _role) = Link::from_stdin()?.welcome()?;
            Ok(greeted.hello(walls)?.serve(Echo)?)
        }
    }
}

fn raw() -> std::io::Result<UnixStream> {
    use std::os::fd::AsFd;
    Ok(std::io::stdin().as_fd().try_clone_to_owned()?.into())
}

fn wait_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

trait Hello {
    fn write_hello(&mut self, build_id: &str) -> Result<(), Box<dyn std::error::Error>>;
}

impl Hello for UnixStream {
    fn write_hello(&mut self, build_id: &str) -> Result<(), Box<dyn std::error::Error>> {
        let hello = Report::Hello {
            build_id: build_id.into(),
            walls: Vec::new(),
        };
        Ok(write_frame(self, &hello, &[])?)
    }
}

struct Echo;

struct Job {
    behaviour: String,
    progress: Progress,
    bytes: Vec<u8>,
}

impl WorkHandler for Echo {
    fn segment(
        &self,
        spec: SegmentJob,
        progress: Progress,
    ) -> Result<Box<dyn RunningJob>, JobError> {
        Ok(Box::new(Job {
            behaviour: spec.stream,
            progress,
            bytes: Vec::new(),
        }))
    }

    fn probe(&self, _spec: ProbeJob, progress: Progress) -> Result<Box<dyn RunningJob>, JobError> {
        Ok(Box::new(Job {
            behaviour: "probe".into(),
            progress,
            bytes: Vec::new(),
        }))
    }
}

impl RunningJob for Job {
    fn push(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        self.bytes.extend_from_slice(bytes);
        match self.behaviour.as_str() {
            "abort" => std::process::abort(),
            "panic" => panic!("as told"),
            "hang" => wait_for_ever(),
            "reject" => Err(JobError {
                text: "No keyframes in input".into(),
                detail: "as told".into(),
                blame: orchestrion_host::job::Blame::Input,
            }),
            _ => {
                self.progress.decoded(self.bytes.len() as u64);
                Ok(())
            }
        }
    }

    fn finish(self: Box<Self>) -> Result<Outcome, JobError> {
        if self.behaviour == "probe" {
            let report = ProbeReport {
                frames: self.bytes.len() as u64,
                ..ProbeReport::default()
            };
            return Ok(Outcome::Probed(report, self.bytes));
        }
        let rendition = Rendition {
            hash_len: 0,
            index: 0,
            width: 1,
            height: 1,
            frames: self.bytes.len() as u64,
        };
        let renditions = vec![(rendition, Bytes::from(self.bytes))];
        Ok(Outcome::Transcoded(renditions, JobStats::default()))
    }
}
