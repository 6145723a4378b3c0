//! The Docker engine: starts, watches and removes containers. Reached when it is first needed, and again after it was away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as DockerError;
use bollard::models::{
    ContainerCreateBody, DeviceRequest, HostConfig, PortBinding, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, ListContainersOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StatsOptionsBuilder,
    StopContainerOptionsBuilder, WaitContainerOptions,
};
use futures::StreamExt;
use parking_lot::Mutex;

use super::Container;

/// Label of every runner container, and of the instance that it belongs to.
const CREATOR: &str = "creator";
const CREATOR_NAME: &str = "ai-worker";
const CREATOR_ID: &str = "creator_id";
/// Port of the runner inside its container.
const INNER_PORT: &str = "8000/tcp";
/// How long a container may take to end by itself, seconds.
const GRACE: i32 = 8;
/// How long the engine may take for one answer.
const ANSWER: u64 = 60;
/// Ports that are tried after a pipeline's own first one.
const PORTS: u16 = 100;

/// Why something with a container did not work. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// No engine.
    #[error(
        "no Docker engine can be reached: {0}; start dockerd, or give the model a url or \"runner\": \"native\""
    )]
    NoEngine(DockerError),
    /// The image is not here and cannot be had.
    #[error(
        "image {image} cannot be pulled: {source}; load it by hand, or name another with -aiRunnerImageOverrides"
    )]
    Pull {
        /// Which.
        image: String,
        /// What the engine says.
        source: DockerError,
    },
    /// The container cannot be made or started.
    #[error("container {name} cannot be started: {source}")]
    Start {
        /// Which.
        name: String,
        /// What the engine says.
        source: DockerError,
    },
    /// No port is free.
    #[error("no port from {0} on is free for a container; stop what listens there")]
    NoPort(u16),
}

/// What all containers of this node have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Tells this node's containers from a neighbour's: its service address.
    pub id: String,
    /// Mounted as `/models`.
    pub models_dir: PathBuf,
    /// Log what containers say.
    pub verbose: bool,
    /// Cards by index or UUID; none without a card.
    pub gpus: Vec<String>,
    /// Weight against other processes when all want the processors, which have 1024; `None` = the engine's own.
    pub cpu_weight: Option<i64>,
}

/// See the module.
pub struct Engine {
    instance: Instance,
    docker: tokio::sync::Mutex<Option<Docker>>,
    taken: Mutex<Taken>,
}

/// What running containers hold.
#[derive(Default)]
struct Taken {
    ports: BTreeSet<u16>,
    /// Containers on each card.
    cards: BTreeMap<String, usize>,
}

impl Engine {
    /// An engine that nobody has asked yet.
    pub fn new(instance: Instance) -> Arc<Self> {
        Arc::new(Self {
            instance,
            docker: tokio::sync::Mutex::new(None),
            taken: Mutex::default(),
        })
    }

    async fn docker(&self) -> Result<Docker, ContainerError> {
        let mut known = self.docker.lock().await;
        if let Some(docker) = &*known
            && docker.ping().await.is_ok()
        {
            return Ok(docker.clone());
        }
        *known = None;
        let docker = Docker::connect_with_defaults().map_err(ContainerError::NoEngine)?;
        let docker = docker.with_timeout(Duration::from_secs(ANSWER));
        let docker = docker
            .negotiate_version()
            .await
            .map_err(ContainerError::NoEngine)?;
        docker.ping().await.map_err(ContainerError::NoEngine)?;
        // What an earlier life of this node left behind, or what ran while the engine was away.
        self.remove_orphans(&docker)
            .await
            .map_err(ContainerError::NoEngine)?;
        *known = Some(docker.clone());
        Ok(docker)
    }

    /// Removes this instance's containers, and those of nobody, except running ones of this life.
    async fn remove_orphans(&self, docker: &Docker) -> Result<(), DockerError> {
        let label = format!("{CREATOR}={CREATOR_NAME}");
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        for found in docker.list_containers(Some(options)).await? {
            let owner = found
                .labels
                .as_ref()
                .and_then(|labels| labels.get(CREATOR_ID));
            let ours = owner.is_none_or(|owner| *owner == self.instance.id);
            if let (true, Some(id)) = (ours, found.id) {
                tracing::info!(container = ?found.names, "a container of an earlier life is removed");
                remove(docker, &id).await;
            }
        }
        Ok(())
    }

    /// Starts a container; its image is pulled first where it is missing.
    ///
    /// # Errors
    /// [`ContainerError`]; then nothing of it is left behind.
    pub async fn start(self: &Arc<Self>, spec: &Container) -> Result<Started, ContainerError> {
        let docker = self.docker().await?;
        ensure_image(&docker, &spec.image).await?;
        let lease = Lease::take(self, spec.pipeline.port_base())?;
        let model = spec.model.replace(['/', '_'], "-");
        let name = format!("{}_{model}_{}", spec.pipeline, lease.port);
        let failed = |source| ContainerError::Start {
            name: name.clone(),
            source,
        };
        // A container of that name is one of ours that nobody owns any more.
        remove(&docker, &name).await;
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let body = self.body(spec, &lease);
        let created = docker
            .create_container(Some(options), body)
            .await
            .map_err(failed)?;
        if let Err(source) = docker.start_container(&created.id, None).await {
            remove(&docker, &created.id).await;
            return Err(failed(source));
        }
        let started = Started {
            docker,
            id: created.id,
            name,
            lease,
        };
        if self.instance.verbose {
            started.log();
        }
        Ok(started)
    }

    fn body(&self, spec: &Container, lease: &Lease) -> ContainerCreateBody {
        let mut environment = vec![
            format!("PIPELINE={}", spec.pipeline),
            format!("MODEL_ID={}", spec.model),
        ];
        environment.extend(
            spec.flags
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        if self.instance.verbose {
            environment.push("VERBOSE_LOGGING=1".to_owned());
        }
        let labels = HashMap::from([
            (CREATOR.to_owned(), CREATOR_NAME.to_owned()),
            (CREATOR_ID.to_owned(), self.instance.id.clone()),
        ]);
        let port = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some(lease.port.to_string()),
        };
        let card = lease.card.as_ref().map(|card| DeviceRequest {
            device_ids: Some(vec![card.clone()]),
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..DeviceRequest::default()
        });
        let models = self.instance.models_dir.display();
        ContainerCreateBody {
            image: Some(spec.image.clone()),
            env: Some(environment),
            labels: Some(labels),
            exposed_ports: Some(vec![INNER_PORT.to_owned()]),
            host_config: Some(HostConfig {
                binds: Some(vec![format!("{models}:/models")]),
                port_bindings: Some(HashMap::from([(INNER_PORT.to_owned(), Some(vec![port]))])),
                device_requests: card.map(|card| vec![card]),
                cpu_shares: self.instance.cpu_weight,
                // The node starts it again, and knows why it ended.
                restart_policy: Some(RestartPolicy {
                    name: Some(RestartPolicyNameEnum::NO),
                    maximum_retry_count: None,
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}

async fn ensure_image(docker: &Docker, image: &str) -> Result<(), ContainerError> {
    if docker.inspect_image(image).await.is_ok() {
        return Ok(());
    }
    tracing::info!(image, "pulling an image");
    let options = CreateImageOptionsBuilder::new().from_image(image).build();
    let mut progress = docker.create_image(Some(options), None, None);
    let mut told = String::new();
    while let Some(step) = progress.next().await {
        let step = step.map_err(|source| ContainerError::Pull {
            image: image.to_owned(),
            source,
        })?;
        let status = step.status.unwrap_or_default();
        if status != told {
            tracing::info!(image, status, "pulling an image");
            told = status;
        }
    }
    Ok(())
}

/// Removes a container, running or not. One that is not there is removed already.
async fn remove(docker: &Docker, name: &str) {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    match docker.remove_container(name, Some(options)).await {
        Ok(())
        | Err(DockerError::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        }) => {}
        Err(error) => tracing::warn!(container = name, %error, "a container cannot be removed"),
    }
}

/// A port and a card, until dropped.
struct Lease {
    engine: Arc<Engine>,
    port: u16,
    card: Option<String>,
}

impl Lease {
    fn take(engine: &Arc<Engine>, first: u16) -> Result<Self, ContainerError> {
        let mut taken = engine.taken.lock();
        let mut ports = first..first.saturating_add(PORTS);
        let port = ports.find(|port| {
            !taken.ports.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok()
        });
        let port = port.ok_or(ContainerError::NoPort(first))?;
        let load = |card: &&String| taken.cards.get(*card).copied().unwrap_or(0);
        let card = engine.instance.gpus.iter().min_by_key(load).cloned();
        taken.ports.insert(port);
        if let Some(card) = &card {
            *taken.cards.entry(card.clone()).or_default() += 1;
        }
        Ok(Self {
            engine: Arc::clone(engine),
            port,
            card,
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut taken = self.engine.taken.lock();
        taken.ports.remove(&self.port);
        if let Some(card) = &self.card
            && let Some(load) = taken.cards.get_mut(card)
        {
            *load = load.saturating_sub(1);
        }
    }
}

/// A started container.
pub struct Started {
    docker: Docker,
    id: String,
    name: String,
    lease: Lease,
}

impl Started {
    /// Its port on this machine.
    pub fn port(&self) -> u16 {
        self.lease.port
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns when it has ended, or when the engine is away; with what it said last.
    pub async fn ended(&self) -> String {
        let mut waited = self
            .docker
            .wait_container(&self.id, None::<WaitContainerOptions>);
        let why = match waited.next().await {
            Some(Ok(exit)) => format!(
                "container {} ended with code {}",
                self.name, exit.status_code
            ),
            Some(Err(DockerError::DockerContainerWaitError { code, .. })) => {
                format!("container {} ended with code {code}", self.name)
            }
            Some(Err(error)) => return format!("the Docker engine is away: {error}"),
            None => return "the Docker engine is away".to_owned(),
        };
        match self.last_words().await {
            words if words.is_empty() => why,
            words => format!("{why}: {words}"),
        }
    }

    async fn last_words(&self) -> String {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail("3")
            .build();
        let lines = self.docker.logs(&self.id, Some(options));
        let lines = lines.filter_map(|line| async { line.ok() });
        let lines: Vec<String> = lines.map(|line| line.to_string()).collect().await;
        lines.concat().trim().replace('\n', " | ")
    }

    /// Ends it: it is asked, then killed, then removed.
    pub async fn stop(&self) {
        let options = StopContainerOptionsBuilder::new().t(GRACE).build();
        // One that has ended already, or an engine that is away, is no trouble here.
        let _ = self.docker.stop_container(&self.id, Some(options)).await;
        remove(&self.docker, &self.id).await;
    }

    /// Memory that it holds, bytes.
    pub async fn memory(&self) -> Option<u64> {
        let options = StatsOptionsBuilder::new()
            .stream(false)
            .one_shot(true)
            .build();
        let mut stats = self.docker.stats(&self.id, Some(options));
        stats.next().await?.ok()?.memory_stats?.usage
    }

    /// Brings what it says into the log.
    fn log(&self) {
        let options = LogsOptionsBuilder::new()
            .follow(true)
            .stdout(true)
            .stderr(true)
            .build();
        let (docker, id, name) = (self.docker.clone(), self.id.clone(), self.name.clone());
        tokio::spawn(async move {
            let mut lines = docker.logs(&id, Some(options));
            while let Some(Ok(line)) = lines.next().await {
                tracing::info!(container = name, "{}", line.to_string().trim_end());
            }
        });
    }
}
