//! A node as a child process: started on free ports, ready when it says so, gone when dropped.

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::sync::OnceCell;

/// How long anything that only has to happen may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

const BINARY: &str = env!("CARGO_BIN_EXE_orchestrion");

/// A running node.
pub struct Node {
    /// Base URL of the public port.
    pub public: String,
    /// Base URL of the operator port.
    pub operator: String,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// From the start of the process until it said that it is ready.
    pub ready_after: Duration,
    child: Child,
    // kills the node when this process ends in whatever way: statics are never dropped
    watchdog: Child,
}

/// Ports and a data directory that outlast the process of a node, for one that is killed and started again. Removed when
/// dropped.
pub struct Home {
    scheme: &'static str,
    public: u16,
    operator: u16,
    directory: tempfile::TempDir,
}

impl Home {
    /// An empty one for a node in plain text.
    pub fn plain() -> Self {
        Self::of("http")
    }

    /// An empty one for a node with TLS.
    pub fn with_tls() -> Self {
        Self::of("https")
    }

    fn of(scheme: &'static str) -> Self {
        Self {
            scheme,
            public: free_port(),
            operator: free_port(),
            directory: scratch(),
        }
    }

    /// The service address of a node that lives here.
    pub fn service(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.public)
    }

    /// The data directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The program with the arguments of a node that lives here and `options`; its output is to be said by the caller.
    pub fn command(&self, options: &[&str]) -> Command {
        let public = format!("{}://127.0.0.1:{}", self.scheme, self.public);
        let operator = format!("127.0.0.1:{}", self.operator);
        command(&public, &operator, self.directory(), options)
    }

    /// Starts a node here and returns when it is ready.
    pub async fn start(&self, options: &[&str]) -> Node {
        self.launch(self.command(options)).await
    }

    /// Opens the public port for nodes that live here.
    pub fn socket(&self) -> TcpListener {
        TcpListener::bind(("127.0.0.1", self.public)).expect("the public port")
    }

    /// The same as [`Self::start`] with a public port that was opened beforehand, passed on as systemd does it.
    pub async fn start_on(&self, socket: &TcpListener, options: &[&str]) -> Node {
        // A copy outlives the call that starts a program; the original never does.
        let copy = nix::unistd::dup(socket).expect("a copy of the socket");
        let first = format!(
            "exec 3<&{}; export LISTEN_PID=$$ LISTEN_FDS=1",
            copy.as_raw_fd()
        );
        self.start_after(&first, options).await
    }

    /// The same as [`Self::start`], in a process in which the shell has done something `first`.
    pub async fn start_after(&self, first: &str, options: &[&str]) -> Node {
        let node = self.command(options);
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &format!("{first}; exec \"$@\""), "bash"])
            .arg(node.get_program())
            .args(node.get_args());
        for (name, value) in node.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        self.launch(shell).await
    }

    async fn launch(&self, command: Command) -> Node {
        let service = self.service();
        let operator = format!("127.0.0.1:{}", self.operator);
        Node::launch(command, service, operator, self.directory(), false).await
    }
}

/// The program as a node with these addresses and options.
fn command(public: &str, operator: &str, data_dir: &Path, options: &[&str]) -> Command {
    let mut command = program(&[
        "run",
        "-serviceAddr",
        public,
        "-httpAddr",
        public,
        "-cliAddr",
        operator,
        "-dataDir",
    ]);
    command
        .arg(data_dir)
        .args([
            "-monitor",
            "-v",
            "5",
            "-x264Preset",
            "ultrafast",
            "-x264Threads",
            "1",
        ])
        .args(options);
    command
}

/// A worker as the operator port shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct Worker {
    /// `cpu-3`.
    pub name: String,
    /// 0 while there is no process.
    pub pid: i32,
    /// `busy` from before a segment is sent to it until it is answered.
    pub state: String,
}

#[derive(Debug, Deserialize)]
struct Session {
    session_id: String,
    worker: String,
}

/// The node that stateless checks share: TLS, no address is held off, room for many streams.
pub async fn shared() -> &'static Node {
    static SHARED: OnceCell<Node> = OnceCell::const_new();
    SHARED
        .get_or_init(|| Node::start(&["-maxSessions", "500", "-failureRatePerMinute", "1000000"]))
        .await
}

/// A node without TLS, which fetches from this machine.
pub async fn plain() -> &'static Node {
    static PLAIN: OnceCell<Node> = OnceCell::const_new();
    PLAIN
        .get_or_init(|| {
            Node::start_plain(&[
                "-maxSessions",
                "500",
                "-failureRatePerMinute",
                "1000000",
                "-segmentUrlAllow",
                "127.0.0.1",
            ])
        })
        .await
}

/// The program with `arguments`, and nothing of this environment that would set options.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::null());
    // cargo's: directories that a worker with a user of its own may not be able to enter
    command.env_remove("LD_LIBRARY_PATH");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LP_") {
            command.env_remove(name);
        }
    }
    command
}

/// An empty directory under the target directory.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("scratch directory")
}

impl Node {
    /// Starts a node with TLS.
    pub async fn start(options: &[&str]) -> Self {
        Self::launch_anywhere("https", options).await
    }

    /// Starts a node in plain text.
    pub async fn start_plain(options: &[&str]) -> Self {
        Self::launch_anywhere("http", options).await
    }

    async fn launch_anywhere(scheme: &str, options: &[&str]) -> Self {
        let directory = scratch().keep();
        let public = format!("{scheme}://127.0.0.1:{}", free_port());
        let operator = format!("127.0.0.1:{}", free_port());
        let command = command(&public, &operator, &directory, options);
        Self::launch(command, public, operator, &directory, true).await
    }

    /// `remove`: the directory goes when the node goes.
    async fn launch(
        mut command: Command,
        public: String,
        operator: String,
        data_dir: &Path,
        remove: bool,
    ) -> Self {
        let worker = Path::new(BINARY).with_file_name("orchestrion-worker");
        assert!(
            worker.is_file(),
            "{} is missing: run `make test`, or `cargo build --workspace` first",
            worker.display()
        );
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(data_dir.join("log"))
            .expect("log file");
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start the node");
        let watchdog = watchdog(child.id(), remove.then_some(data_dir));
        let mut node = Self {
            public,
            operator: format!("http://{operator}"),
            data_dir: data_dir.to_owned(),
            ready_after: Duration::ZERO,
            child,
            watchdog,
        };
        node.await_ready(started).await;
        node.ready_after = started.elapsed();
        node
    }

    async fn await_ready(&mut self, started: Instant) {
        while !self.is_ready().await {
            if let Some(status) = self.child.try_wait().expect("wait for the node") {
                panic!("the node ended with {status}:\n{}", self.log());
            }
            assert!(
                started.elapsed() < PATIENCE,
                "the node is not ready:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        let asked = client()
            .get(format!("{}/readyz", self.operator))
            .send()
            .await;
        asked.is_ok_and(|answer| answer.status() == 200)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("process ID"))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("log")).unwrap_or_default()
    }

    /// Status and text of a page of the operator port.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = client()
            .get(format!("{}{path}", self.operator))
            .send()
            .await
            .expect("operator port");
        (
            answer.status().as_u16(),
            answer.text().await.expect("operator answer"),
        )
    }

    /// Sum of the series of a metric that carry all of `labels`.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (status, page) = self.get("/metrics").await;
        assert_eq!(status, 200, "{page}");
        let wanted: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        page.lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter(|line| wanted.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .fold(0.0, |sum, value| sum + value)
    }

    /// Process of the worker that serves a session, once it has one.
    pub async fn worker_of(&self, session: &str) -> Pid {
        let found = self.until("a worker of the session", async || {
            let sessions: Vec<Session> = self.json("/api/v1/sessions").await;
            let worker = &sessions
                .iter()
                .find(|one| one.session_id == session)?
                .worker;
            let suffix = format!("-{worker}");
            let workers: Vec<Worker> = self.json("/api/v1/workers").await;
            workers
                .into_iter()
                .find(|one| one.name.ends_with(&suffix) && one.pid > 0)
        });
        Pid::from_raw(found.await.pid)
    }

    /// Waits until a worker has been given a segment.
    pub async fn is_at_work(&self, worker: Pid) {
        self.until("a worker at work", async || {
            let workers: Vec<Worker> = self.json("/api/v1/workers").await;
            workers
                .into_iter()
                .find(|one| one.pid == worker.as_raw() && one.state == "busy")
        })
        .await;
    }

    /// Every worker process of this node, spares included.
    pub fn worker_processes(&self) -> Vec<Pid> {
        let parent = self.pid();
        let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.map(Pid::from_raw)
            .filter(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                // pid (name) state ppid …; names are cut at 15 characters
                let fields = stat
                    .rsplit_once(") ")
                    .map(|(_, rest)| rest)
                    .unwrap_or_default();
                let ours = fields.split(' ').nth(1) == Some(&parent.to_string());
                ours && stat.contains("(orchestrion-wor") && !fields.starts_with('Z')
            })
            .collect()
    }

    /// Asks until there is an answer.
    pub async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited in vain for {what}:\n{}",
                self.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn json<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON of the operator port")
    }

    /// Resident bytes of a process.
    pub fn resident(pid: Pid) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{pid}/status")).expect("process status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("VmRSS");
        line.trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .expect("kB")
            << 10
    }

    /// Sends a signal to the node.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("signal the node");
    }

    /// Ends the node as a power switch does, and returns when it is gone.
    pub fn kill(self) {
        drop(self);
    }

    /// Tells the node to stop, waits until it has, and gives how it ended.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.exit().await
    }

    /// Waits until the node has ended by itself.
    pub async fn exit(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for the node") {
                return status;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "the node does not end:\n{}",
                self.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the node:\n{}", self.log_tail());
        }
        // The process stays in the table until it is waited for, so the watchdog cannot hit another.
        let _ = self.child.kill();
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
        let _ = self.child.wait();
    }
}

/// Kills `node` and removes a directory when the other end of its standard input is closed.
pub fn watchdog(node: u32, directory: Option<&Path>) -> Child {
    let mut child = Command::new("sh")
        .args([
            "-c",
            r#"read _; kill -9 "$1" 2>/dev/null; test -z "$2" || rm -rf "$2""#,
            "sh",
            &node.to_string(),
        ])
        .arg(directory.unwrap_or(Path::new("")))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start the watchdog");
    child.stdin.as_mut().map(Write::flush);
    child
}

/// A port that is free now and is given out once.
pub fn free_port() -> u16 {
    static GIVEN: parking_lot::Mutex<Option<HashSet<u16>>> = parking_lot::Mutex::new(None);
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        if GIVEN.lock().get_or_insert_default().insert(port) {
            return port;
        }
    }
}

/// A client that keeps nothing: nodes outlive the runtimes of single tests.
fn client() -> reqwest::Client {
    super::gateway::builder()
        .pool_max_idle_per_host(0)
        .build()
        .expect("client")
}
