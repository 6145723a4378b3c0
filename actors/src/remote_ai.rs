//! AI workers on other machines: each of their models is a runner among the others, for as long as they are connected.
//!
//! A request becomes a task with a number that nobody guesses; its input lies in the node's store until the task is over. A
//! worker that goes takes its tasks along at once: whoever waits is told, and may be served elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use parking_lot::Mutex;
use protocol::ai::{Pipeline, WorkerJob};
use protocol::capabilities::{Capabilities, Capability};
use protocol::pb;
use runners::launch::{Launch, LaunchError, Launched, Need};
use runners::{Answer, Facts, Health, Request, RunError, Runner};
use serde_json::Value;
use telemetry::metrics::label::RunnerKind;
use tokio::sync::{mpsc, watch};

use crate::capability_broadcaster::Broadcast;
use crate::model_catalog::Models;
use crate::model_seat::Plan;
use crate::segment_store::{Object, SegmentStore};

/// How long a worker may take for an answer.
const ANSWER: Duration = Duration::from_secs(900);
/// Notices that wait for the connection to take them.
const NOTICES: usize = 64;
/// Most requests at once of one model of a worker; what is claimed above it is not believed.
const CAPACITY_MOST: u32 = 1024;

/// Most models of one worker: each is a runner and a row of metrics.
const MODELS_MOST: usize = 64;

/// What a worker said about a task.
pub type TaskResult = Result<Answer, RunError>;

/// Everybody who is connected, and their tasks. Cheap to clone.
#[derive(Clone)]
pub struct AiWorkers {
    tasks: Arc<Mutex<HashMap<i64, Task>>>,
    models: Models,
    store: SegmentStore,
    broadcast: Broadcast,
}

struct Task {
    worker: u64,
    pipeline: Pipeline,
    answer: mpsc::Sender<TaskResult>,
}

/// The door's end of a registration. The worker leaves the node when it is dropped.
pub struct AiConnection {
    notices: mpsc::Receiver<pb::NotifyAiJob>,
    workers: AiWorkers,
    worker: u64,
    seats: Vec<u64>,
    _here: watch::Sender<()>,
}

impl AiConnection {
    /// What is to be sent next.
    pub async fn next(&mut self) -> Option<pb::NotifyAiJob> {
        self.notices.recv().await
    }
}

impl Drop for AiConnection {
    fn drop(&mut self) {
        self.workers.left(self.worker);
        let (models, seats) = (self.workers.models.clone(), std::mem::take(&mut self.seats));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { models.leave(seats).await });
        }
    }
}

impl AiWorkers {
    /// Nobody yet.
    pub fn new(models: Models, store: SegmentStore, broadcast: Broadcast) -> Self {
        Self {
            tasks: Arc::default(),
            models,
            store,
            broadcast,
        }
    }

    /// Takes a worker in, with the models that it names.
    ///
    /// # Errors
    /// When it names none that this node can ask for.
    pub async fn register(
        &self,
        address: &str,
        capabilities: &Capabilities,
        hardware: &[pb::HardwareInformation],
    ) -> Result<AiConnection, &'static str> {
        let worker = rand_number();
        let (tell, notices) = mpsc::channel(NOTICES);
        let (here, gone) = watch::channel(());
        let mut plans = Vec::new();
        for (number, models) in &capabilities.models {
            // Capability 35 has no batch requests, and others mean nothing here.
            let pipeline = Capability::from_number(*number).and_then(Pipeline::from_capability);
            let Some(pipeline) = pipeline else { continue };
            for (model, constraint) in models {
                let cards = hardware
                    .iter()
                    .find(|cards| cards.pipeline == pipeline.name() && cards.model_id == *model);
                let link = Link {
                    worker,
                    address: address.to_owned(),
                    pipeline,
                    facts: Facts {
                        version: constraint.runner_version.clone(),
                        hardware: cards.cloned(),
                    },
                    workers: self.clone(),
                    notices: tell.clone(),
                    gone: gone.clone(),
                };
                plans.push(Plan {
                    pipeline,
                    model: model.clone(),
                    warm: constraint.warm,
                    capacity: constraint.capacity.clamp(1, CAPACITY_MOST) as usize,
                    kind: RunnerKind::Remote,
                    launch: Arc::new(link),
                    identity: format!("{worker} {pipeline} {model}"),
                    guest: true,
                });
            }
        }
        plans.truncate(MODELS_MOST);
        if plans.is_empty() {
            return Err("the worker names no model of a batch pipeline");
        }
        let seats = self.models.join(plans).await;
        Ok(AiConnection {
            notices,
            workers: self.clone(),
            worker,
            seats,
            _here: here,
        })
    }

    /// Whose task it is; `None` for one that nobody waits for.
    pub fn pipeline_of(&self, task: i64) -> Option<Pipeline> {
        self.tasks.lock().get(&task).map(|task| task.pipeline)
    }

    /// Hands in an answer. Whether anybody waited for it.
    pub fn deliver(&self, task: i64, result: TaskResult) -> bool {
        let task = self.tasks.lock().remove(&task);
        task.is_some_and(|task| task.answer.try_send(result).is_ok())
    }

    /// A worker is gone, and its tasks with it.
    fn left(&self, worker: u64) {
        self.tasks.lock().retain(|_, task| task.worker != worker);
    }
}

/// A model on a worker.
#[derive(Clone)]
struct Link {
    worker: u64,
    address: String,
    pipeline: Pipeline,
    facts: Facts,
    workers: AiWorkers,
    notices: mpsc::Sender<pb::NotifyAiJob>,
    gone: watch::Receiver<()>,
}

#[async_trait]
impl Launch for Link {
    fn need(&self) -> Need {
        Need::default()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn launch(&self) -> Result<Launched, LaunchError> {
        let mut gone = self.gone.clone();
        Ok(Launched {
            runner: Arc::new(self.clone()),
            ended: async move {
                // The sender sends nothing: it is dropped with the connection.
                let _ = gone.changed().await;
                "the worker has left".to_owned()
            }
            .boxed(),
            stop: futures::future::ready(()).boxed(),
            name: format!("worker {}", self.address),
            memory: None,
        })
    }
}

#[async_trait]
impl Runner for Link {
    async fn run(&self, request: Request) -> Result<Answer, RunError> {
        let pipeline = self.pipeline;
        let broken = |detail: &str| RunError::Broken {
            pipeline,
            detail: detail.to_owned(),
        };
        let (tell, mut answers) = mpsc::channel(1);
        let number = task_number();
        let task = Task {
            worker: self.worker,
            pipeline,
            answer: tell,
        };
        self.workers.tasks.lock().insert(number, task);
        let open = Open {
            workers: self.workers.clone(),
            number,
            shelf: None,
        };
        let (open, input_url) = open.with_input(&request).map_err(|error| broken(&error))?;
        let job = WorkerJob {
            request: request.ask,
            input_url,
        };
        let notice = pb::NotifyAiJob {
            ai_job_data: Some(pb::AiJobData {
                pipeline: pipeline.name().to_owned(),
                request_data: job.encode(),
            }),
            task_id: number,
        };
        let sent = self.notices.send(notice).await;
        sent.map_err(|_| broken("the worker has left"))?;
        let answer = tokio::time::timeout(ANSWER, answers.recv()).await;
        drop(open);
        match answer {
            Err(_) => Err(RunError::Late { pipeline }),
            Ok(None) => Err(broken("the worker has left")),
            Ok(Some(result)) => result,
        }
    }

    async fn health(&self) -> Result<Health, RunError> {
        Ok(Health::Ok)
    }

    async fn facts(&self) -> Facts {
        self.facts.clone()
    }
}

/// A task that somebody waits for, and its input in the store.
struct Open {
    workers: AiWorkers,
    number: i64,
    shelf: Option<String>,
}

impl Open {
    /// Puts the file of `request` where the worker finds it; the URL is empty where there is none.
    fn with_input(mut self, request: &Request) -> Result<(Self, String), String> {
        let Some(file) = &request.file else {
            return Ok((self, String::new()));
        };
        let shelf = format!("{:016x}", rand_number());
        let name = format!("{:08x}.tempfile", rand_number() as u32);
        self.workers.store.open(&shelf);
        self.shelf = Some(shelf.clone());
        let object = Object {
            bytes: file.bytes.clone(),
            mime: "application/octet-stream",
        };
        let stored = self.workers.store.put(&shelf, "", &name, object);
        stored.map_err(|error| error.to_string())?;
        let snapshot = self.workers.broadcast.load();
        let service = snapshot
            .identity()
            .service_uri
            .trim_end_matches('/')
            .to_owned();
        Ok((self, format!("{service}/stream/{shelf}/{name}")))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.workers.tasks.lock().remove(&self.number);
        if let Some(shelf) = &self.shelf {
            self.workers.store.end(shelf, std::time::Instant::now());
        }
    }
}

/// Not to be guessed by other workers: results carry nothing else that says whose they are.
fn task_number() -> i64 {
    i64::try_from(rand_number() >> 1).unwrap_or(i64::MAX)
}

fn rand_number() -> u64 {
    rand::random()
}

/// Puts the files of a worker's results, by their names, as data URLs in place of these names.
///
/// # Errors
/// What is wrong with the results.
pub fn join_files(
    value: &mut Value,
    files: &HashMap<String, (String, Bytes)>,
) -> Result<(), String> {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(url) if name == "url" => {
                        let (kind, bytes) = files
                            .get(url.as_str())
                            .ok_or_else(|| format!("the file {url:?} did not come"))?;
                        *url = data_url(kind, bytes);
                    }
                    inner => join_files(inner, files)?,
                }
            }
            Ok(())
        }
        Value::Array(values) => values
            .iter_mut()
            .try_for_each(|value| join_files(value, files)),
        _ => Ok(()),
    }
}

fn data_url(kind: &str, bytes: &Bytes) -> String {
    use base64::Engine;
    let data = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("data:{kind};base64,{data}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_take_the_place_of_their_names_and_a_missing_one_is_told() {
        let files = HashMap::from([(
            "a.png".to_owned(),
            ("image/png".to_owned(), Bytes::from("xy")),
        )]);
        let mut value = json!({"images": [{"url": "a.png", "seed": 1, "nsfw": false}]});
        join_files(&mut value, &files).expect("joined");
        assert_eq!(value["images"][0]["url"], "data:image/png;base64,eHk=");
        let mut missing = json!({"audio": {"url": "b.wav"}});
        assert!(
            join_files(&mut missing, &files)
                .unwrap_err()
                .contains("b.wav")
        );
        let mut text = json!({"text": "no files"});
        assert!(join_files(&mut text, &files).is_ok());
    }
}
