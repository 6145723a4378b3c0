//! From the settings to runners: which models the node serves, and what answers for each.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::model_catalog::Models;
use actors::model_seat::Plan;
use async_trait::async_trait;
use config::{AiModel, Backend, Settings};
use host::job::{Device, FoundModel, ModelSettings};
use host::process::{WorkerLauncher, WorkerLimits};
use protocol::ai::Pipeline;
use reqwest::Client;
use runners::containers::{Container, Engine, Images, Instance};
use runners::http::{HttpRunner, RunnerAddress};
use runners::installed;
use runners::launch::{External, Launch, LaunchError, Launched, Native, Need};
use telemetry::metrics::label::RunnerKind;

use super::{shares, worker_binary};

/// Time for one answer that is not streamed: a long recording or many pictures.
const ANSWER: Duration = Duration::from_secs(900);
/// Time for a native model to load.
const LOAD: Duration = Duration::from_secs(170);

/// Everything that plans are made with.
#[derive(Clone)]
pub struct Planner {
    launcher: Arc<WorkerLauncher>,
    binary: PathBuf,
    client: Client,
    engine: Arc<Engine>,
}

impl Planner {
    /// For the workers of this machine.
    ///
    /// # Errors
    /// When there is no HTTP client.
    pub fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let binary = worker_binary(settings.program.worker_binary.as_deref());
        let limits = WorkerLimits {
            memory: memory(settings),
            hello: LOAD,
            niceness: shares::niceness_of_ai(settings),
        };
        Ok(Self {
            launcher: Arc::new(WorkerLauncher::new(binary.clone(), limits, None)),
            binary,
            engine: Engine::new(instance(settings)),
            client: Client::builder()
                .no_proxy()
                .connect_timeout(Duration::from_secs(5))
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
        })
    }

    /// Makes `models` serve what the settings name.
    pub async fn apply(&self, settings: &Settings, models: &Models) {
        let mut plans = Vec::new();
        if settings.roles.ai_worker {
            for model in &settings.ai.models {
                // Prices for single gateways are entries of their own.
                if let Some(plan) = self.plan(settings, model).await
                    && !plans
                        .iter()
                        .any(|other: &Plan| same(other, &plan) && model.gateway.is_some())
                {
                    plans.push(plan);
                }
            }
        }
        number(&mut plans);
        models.configure(plans).await;
    }

    async fn plan(&self, settings: &Settings, model: &AiModel) -> Option<Plan> {
        let pipeline = Pipeline::from_name(&model.pipeline)?;
        let (kind, launch): (_, Arc<dyn Launch>) = match &model.backend {
            Backend::External { url, token } => {
                let address = RunnerAddress {
                    url: url.clone(),
                    token: token.as_ref().map(|token| token.expose().to_owned()),
                };
                let runner = HttpRunner::new(pipeline, address, self.client.clone(), ANSWER);
                (RunnerKind::External, Arc::new(External(runner)))
            }
            Backend::Native => {
                let native = self.native(settings, model, pipeline).await;
                let launch: Arc<dyn Launch> = match native {
                    Ok(native) => Arc::new(native),
                    Err(why) => Arc::new(Impossible(why)),
                };
                (RunnerKind::Native, launch)
            }
            Backend::Container => {
                let container = Container {
                    engine: Arc::clone(&self.engine),
                    pipeline,
                    model: model.model_id.clone(),
                    image: images(settings).of(pipeline),
                    flags: model.flags.clone(),
                    client: self.client.clone(),
                    answer: ANSWER,
                };
                (RunnerKind::Container, Arc::new(container))
            }
        };
        Some(Plan {
            pipeline,
            model: model.model_id.clone(),
            warm: model.warm,
            capacity: match kind {
                RunnerKind::Container => 1,
                _ => model.capacity as usize,
            },
            kind,
            launch,
            identity: format!("{model:?} {}", threads(settings)),
            guest: false,
        })
    }

    async fn native(
        &self,
        settings: &Settings,
        model: &AiModel,
        pipeline: Pipeline,
    ) -> Result<Native, String> {
        let path = installed::find(&settings.ai.models_dir, &model.model_id);
        let path = path.map_err(|error| error.to_string())?;
        let found = self.look(pipeline, &model.model_id, &path).await?;
        Ok(Native {
            launcher: Arc::clone(&self.launcher),
            binary: self.binary.clone(),
            pipeline,
            settings: ModelSettings {
                pipeline: pipeline.name().to_owned(),
                model_id: model.model_id.clone(),
                path,
                device: device(settings, &found),
                threads: threads(settings),
            },
            parallel: model.capacity as usize,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            found,
        })
    }

    async fn look(
        &self,
        pipeline: Pipeline,
        model: &str,
        path: &Path,
    ) -> Result<FoundModel, String> {
        let looked = installed::look(&self.binary, pipeline.name(), model, path).await;
        looked.map_err(|error| error.to_string())
    }
}

/// What this node's containers have in common.
fn instance(settings: &Settings) -> Instance {
    let cards = super::devices(settings).into_iter();
    Instance {
        id: settings.network.service.to_string(),
        models_dir: settings.ai.models_dir.clone(),
        verbose: settings.ai.verbose,
        cpu_weight: shares::weight_of_container(settings),
        gpus: cards
            .filter_map(|encoder| match encoder.device {
                Device::Nvidia(index) => Some(index.to_string()),
                Device::Cpu => None,
            })
            .collect(),
    }
}

fn images(settings: &Settings) -> Images {
    let given = &settings.ai.images;
    Images {
        default: given.default.clone(),
        batch: given.batch.clone(),
    }
}

/// Two plans of equal entries, as for several containers of one model, are told apart by a number.
fn number(plans: &mut [Plan]) {
    for at in 0..plans.len() {
        let before = plans[..at].iter().filter(|other| same(other, &plans[at]));
        let count = before.count();
        if let Some(plan) = plans.get_mut(at) {
            plan.identity = format!("{} #{count}", plan.identity);
        }
    }
}

fn same(one: &Plan, other: &Plan) -> bool {
    (one.pipeline, &one.model, one.kind) == (other.pipeline, &other.model, other.kind)
}

/// Native models compute on the first card, where the node has cards and the worker is built for them.
fn device(settings: &Settings, found: &FoundModel) -> Device {
    match super::devices(settings).into_iter().next() {
        Some(encoder) if found.cuda => encoder.device,
        _ => Device::Cpu,
    }
}

/// Threads of each native model. They wait for each other by spinning, and each core that another process has meanwhile costs
/// them its whole time slice (measured: 30 times slower with all cores and one busy neighbour), so half the cores is what a model
/// counts on unless its operator knows better.
fn threads(settings: &Settings) -> u32 {
    settings.ai.threads.unwrap_or_else(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        u32::try_from((cores / 2).max(1)).unwrap_or(1)
    })
}

/// What the node may take for AI.
pub fn total(settings: &Settings) -> Need {
    let cards = match super::devices(settings).as_slice() {
        // Without cards nothing but memory bounds containers.
        [only] if only.device == Device::Cpu => usize::MAX / 2,
        cards => cards.len() * settings.ai.per_gpu as usize,
    };
    Need {
        memory: memory(settings),
        places: cards,
        cpu: 0,
    }
}

/// Bytes for native models.
fn memory(settings: &Settings) -> u64 {
    settings
        .ai
        .memory
        .unwrap_or_else(|| shares::memory() / 4 * 3)
}

/// A runner that cannot be, and why: the operator finds it among the others.
struct Impossible(String);

#[async_trait]
impl Launch for Impossible {
    fn need(&self) -> Need {
        Need::default()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn launch(&self) -> Result<Launched, LaunchError> {
        Err(LaunchError(self.0.clone()))
    }
}
