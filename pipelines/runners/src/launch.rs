//! How a runner comes to be: started by the node, or found where the operator runs it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use host::job::{Device, FoundModel, ModelSettings};
use host::process::WorkerLauncher;
use protocol::ai::Pipeline;

use crate::Runner;
use crate::http::HttpRunner;
use crate::native::NativeRunner;

/// What a start takes from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    /// Memory of this machine, bytes; an estimate until the runner runs.
    pub memory: u64,
    /// Places for containers.
    pub places: usize,
    /// Processors while it computes, thousandths of a core; 0 for what computes elsewhere.
    pub cpu: u64,
}

/// A started runner.
pub struct Launched {
    /// Answers requests, once it is healthy.
    pub runner: Arc<dyn Runner>,
    /// Returns when it has ended by itself, with the reason. Never, for one that others run.
    pub ended: BoxFuture<'static, String>,
    /// Ends it, and waits until it has.
    pub stop: BoxFuture<'static, ()>,
    /// What it is, for the operator: a process, a container, an address.
    pub name: String,
    /// Tells how much memory it holds, bytes, where that is known.
    pub memory: Option<MemoryOf>,
}

/// Asks for the memory of a runner, bytes; `None` when it does not answer.
pub type MemoryOf = Box<dyn Fn() -> BoxFuture<'static, Option<u64>> + Send + Sync>;

/// Why a runner could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LaunchError(pub String);

/// Starts runners, all in the same way.
#[async_trait]
pub trait Launch: Send + Sync {
    /// What each takes.
    fn need(&self) -> Need;

    /// How long one may take from its start to its first good answer about its health.
    fn patience(&self) -> Duration;

    /// Starts one.
    async fn launch(&self) -> Result<Launched, LaunchError>;
}

/// Runners that the operator runs elsewhere.
pub struct External(pub HttpRunner);

#[async_trait]
impl Launch for External {
    fn need(&self) -> Need {
        Need::default()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }

    async fn launch(&self) -> Result<Launched, LaunchError> {
        Ok(Launched {
            name: self.0.place(),
            runner: Arc::new(self.0.clone()),
            ended: futures::future::pending().boxed(),
            stop: futures::future::ready(()).boxed(),
            memory: None,
        })
    }
}

/// Worker processes with a model in them.
pub struct Native {
    /// Starts processes.
    pub launcher: Arc<WorkerLauncher>,
    /// The worker binary, which is asked what a model needs.
    pub binary: PathBuf,
    /// For which pipeline.
    pub pipeline: Pipeline,
    /// Which model.
    pub settings: ModelSettings,
    /// Requests at once.
    pub parallel: usize,
    /// Version that it tells.
    pub version: String,
    /// What the model takes, as its files say.
    pub found: FoundModel,
}

#[async_trait]
impl Launch for Native {
    fn need(&self) -> Need {
        let requests = self.found.per_request.saturating_mul(self.parallel as u64);
        Need {
            memory: self.found.memory.saturating_add(requests),
            places: 0,
            cpu: match self.settings.device {
                Device::Cpu => u64::from(self.settings.threads) * 1000,
                Device::Nvidia(_) => 0,
            },
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(180)
    }

    async fn launch(&self) -> Result<Launched, LaunchError> {
        let started = NativeRunner::start(
            &self.launcher,
            self.pipeline,
            self.settings.clone(),
            &self.version,
        );
        let runner = started
            .await
            .map_err(|error| LaunchError(error.to_string()))?;
        let (watched, measured, stopped) = (runner.clone(), runner.clone(), runner.clone());
        Ok(Launched {
            name: format!("process {}", runner.pid()),
            ended: async move { watched.ended().await.to_string() }.boxed(),
            stop: async move {
                stopped.kill();
                stopped.ended().await;
            }
            .boxed(),
            memory: Some(Box::new(move || {
                let runner = measured.clone();
                async move { runner.memory().await.ok() }.boxed()
            })),
            runner: Arc::new(runner),
        })
    }
}
