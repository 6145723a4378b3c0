//! Both ends of the link against each other, with a real child process that echoes, crashes, hangs or lies.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use orchestrion_host::job::{
    Blame, Device, EncoderSettings, JobError, JobId, ProbeJob, SegmentJob,
};
use orchestrion_host::message::{Command, Report};
use orchestrion_host::process::{
    Exit, HostError, INPUT_WINDOW, WorkerLauncher, WorkerLimits, WorkerProcess, WorkerReceiver,
};

const JOB: JobId = JobId(1);

fn launcher(mode: &str) -> WorkerLauncher {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_echo-worker"));
    let limits = WorkerLimits {
        hello: Duration::from_secs(60),
        ..WorkerLimits::default()
    };
    WorkerLauncher::new(binary, limits, None).argument(mode)
}

fn settings() -> EncoderSettings {
    EncoderSettings {
        device: Device::Cpu,
        x264_preset: "medium".into(),
        x264_lookahead: None,
        x264_threads: 1,
    }
}

async fn worker() -> WorkerProcess {
    launcher("echo").launch(settings()).await.unwrap()
}

fn segment(job: JobId, behaviour: &str) -> Command {
    Command::Segment {
        job,
        spec: SegmentJob {
            stream: behaviour.into(),
            seq: 0,
            profiles: Vec::new(),
            duration_ms: 2000,
            clip: None,
            provider: String::new(),
            perceptual_hash: false,
        },
    }
}

/// The next report that is not mere progress.
async fn answer(receiver: &mut WorkerReceiver) -> Result<(Report, Bytes), HostError> {
    loop {
        match receiver.recv().await? {
            (Report::Progress { .. }, _) => {}
            other => return Ok(other),
        }
    }
}

#[tokio::test]
async fn a_job_larger_than_the_window_comes_back_whole() {
    let WorkerProcess {
        sender,
        mut receiver,
        handle,
        ..
    } = worker().await;
    let input: Bytes = (0..3 * INPUT_WINDOW + 17)
        .map(|n| (n % 251) as u8)
        .collect();
    let send = async {
        sender.send(segment(JOB, "echo"), None).await.unwrap();
        let command = Command::Input { job: JOB };
        sender.send(command, Some(input.clone())).await.unwrap();
        let end = Command::InputEnd { job: JOB };
        sender.send(end, None).await.unwrap();
    };
    let (rendition, ()) = tokio::join!(answer(&mut receiver), send);
    let (report, bytes) = rendition.unwrap();
    assert!(matches!(report, Report::Rendition { job: JOB, .. }));
    assert!(bytes == input);
    let (report, _) = answer(&mut receiver).await.unwrap();
    assert!(matches!(report, Report::Done { job: JOB, .. }));

    sender.send(Command::Shutdown, None).await.unwrap();
    assert_eq!(handle.exit().await, Exit::Clean);
}

#[tokio::test]
async fn a_probe_answers_with_its_report_and_bytes() {
    let mut worker = worker().await;
    let spec = ProbeJob {
        decode: true,
        thumbnails: 0,
        thumbnail_width: 0,
    };
    let send = |command, bytes| worker.sender.send(command, bytes);
    send(Command::Probe { job: JOB, spec }, None).await.unwrap();
    let input = Some(Bytes::from_static(b"abc"));
    send(Command::Input { job: JOB }, input).await.unwrap();
    send(Command::InputEnd { job: JOB }, None).await.unwrap();
    let (report, bytes) = answer(&mut worker.receiver).await.unwrap();
    assert!(matches!(report, Report::Probed { report, .. } if report.frames == 3));
    assert_eq!(bytes, "abc");
}

#[tokio::test]
async fn heartbeats_are_answered_while_a_job_hangs_with_its_window_full() {
    let WorkerProcess {
        sender,
        mut receiver,
        handle,
        ..
    } = worker().await;
    sender.send(segment(JOB, "hang"), None).await.unwrap();
    let feeder = sender.clone();
    let stuck = tokio::spawn(async move {
        let input = Bytes::from(vec![0; 2 * INPUT_WINDOW]);
        feeder.send(Command::Input { job: JOB }, Some(input)).await
    });
    for number in 0..50 {
        sender.send(Command::Ping { number }, None).await.unwrap();
        let (report, _) = answer(&mut receiver).await.unwrap();
        assert!(matches!(report, Report::Pong { number: n, rss } if n == number && rss > 0));
    }
    handle.kill();
    assert_eq!(handle.exit().await, Exit::Killed);
    assert!(matches!(receiver.recv().await, Err(HostError::Closed)));
    // the link's end also wakes whoever waits for room
    assert!(matches!(stuck.await.unwrap(), Err(HostError::Closed)));
}

#[tokio::test]
async fn a_kill_from_outside_is_nobodys_guilt() {
    let worker = worker().await;
    let pid = nix::unistd::Pid::from_raw(worker.handle.pid().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let exit = worker.handle.exit().await;
    assert_eq!(exit, Exit::Outside(9));
    assert!(!exit.accuses_job());
}

#[tokio::test]
async fn a_job_that_crashes_its_worker_is_accused() {
    let mut worker = worker().await;
    let send = |command, bytes| worker.sender.send(command, bytes);
    send(segment(JOB, "abort"), None).await.unwrap();
    let input = Some(Bytes::from_static(b"x"));
    send(Command::Input { job: JOB }, input).await.unwrap();
    assert!(answer(&mut worker.receiver).await.is_err());
    let exit = worker.handle.exit().await;
    assert_eq!(exit, Exit::Crash(6));
    assert!(exit.accuses_job());
}

#[tokio::test]
async fn a_failed_or_panicked_job_leaves_its_neighbours_alone() {
    let mut worker = worker().await;
    let send = |command, bytes| worker.sender.send(command, bytes);
    for (number, behaviour) in [(2, "reject"), (3, "panic"), (4, "echo")] {
        send(segment(JobId(number), behaviour), None).await.unwrap();
    }
    for number in [2, 3, 4] {
        let job = JobId(number);
        let input = Some(Bytes::from_static(b"x"));
        send(Command::Input { job }, input).await.unwrap();
        send(Command::InputEnd { job }, None).await.unwrap();
    }
    let mut ends = std::collections::BTreeMap::new();
    while ends.len() < 3 {
        match answer(&mut worker.receiver).await.unwrap().0 {
            Report::Failed { job, error } => ends.insert(job, Some(error)),
            Report::Done { job, .. } => ends.insert(job, None),
            _ => None,
        };
    }
    let blame = |job| {
        ends[&JobId(job)]
            .as_ref()
            .map(|error: &JobError| error.blame)
    };
    assert_eq!(blame(2), Some(Blame::Input));
    assert_eq!(blame(3), Some(Blame::Worker));
    assert_eq!(blame(4), None);
}

#[tokio::test]
async fn a_cancelled_job_publishes_nothing() {
    let mut worker = worker().await;
    let send = |command, bytes| worker.sender.send(command, bytes);
    send(segment(JOB, "echo"), None).await.unwrap();
    let input = Some(Bytes::from_static(b"x"));
    send(Command::Input { job: JOB }, input).await.unwrap();
    send(Command::Cancel { job: JOB }, None).await.unwrap();
    send(Command::InputEnd { job: JOB }, None).await.unwrap();
    send(Command::Shutdown, None).await.unwrap();
    // the process ends only when the job has ended
    assert!(matches!(
        answer(&mut worker.receiver).await,
        Err(HostError::Closed)
    ));
    assert_eq!(worker.handle.exit().await, Exit::Clean);
}

#[tokio::test]
async fn dropping_the_handle_kills() {
    let WorkerProcess { handle, .. } = worker().await;
    let exit = handle.exit();
    drop(handle);
    assert!(matches!(exit.await, Exit::Killed | Exit::Clean));
}

#[tokio::test]
async fn a_worker_outlives_the_thread_that_asked_for_it() {
    let runtime = tokio::runtime::Handle::current();
    let asking = std::thread::spawn(move || runtime.block_on(worker()));
    let mut worker = tokio::task::spawn_blocking(|| asking.join().unwrap())
        .await
        .unwrap();
    let ping = Command::Ping { number: 1 };
    worker.sender.send(ping, None).await.unwrap();
    assert!(answer(&mut worker.receiver).await.is_ok());
}

#[tokio::test]
async fn a_frame_above_the_limit_breaks_the_link() {
    let mut worker = launcher("oversized").launch(settings()).await.unwrap();
    assert!(matches!(
        worker.receiver.recv().await,
        Err(HostError::Frame(_))
    ));
}

#[tokio::test]
async fn a_worker_of_another_build_is_refused() {
    let started = launcher("other-build").launch(settings()).await;
    assert!(
        matches!(started, Err(HostError::OtherBuild { worker, .. }) if worker == "another-build")
    );
}

#[tokio::test]
async fn a_worker_that_ends_at_once_tells_its_code() {
    let started = launcher("early-end").launch(settings()).await;
    assert!(matches!(started, Err(HostError::EndedEarly(Exit::Code(7)))));
}

#[tokio::test]
async fn a_silent_worker_is_given_up() {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_echo-worker"));
    let limits = WorkerLimits {
        hello: Duration::from_millis(200),
        ..WorkerLimits::default()
    };
    let launcher = WorkerLauncher::new(binary, limits, None).argument("silent");
    let started = launcher.launch(settings()).await;
    assert!(matches!(started, Err(HostError::NoAnswer(_))));
}

#[tokio::test]
async fn a_missing_binary_is_named() {
    let binary = PathBuf::from("/nonexistent/worker");
    let launcher = WorkerLauncher::new(binary, WorkerLimits::default(), None);
    let error = launcher.launch(settings()).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/worker"));
}
