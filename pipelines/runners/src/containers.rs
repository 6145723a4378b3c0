//! Containers that the node starts: images, names, labels, ports and mounts as the reference's workers have them, so that what
//! operators built around these (scripts, dashboards, image caches) goes on working.
//!
//! Every container carries the label of its instance: what an earlier life of the node left behind is removed, and what belongs
//! to a neighbour on the same machine is left alone.

mod engine;
mod images;

pub use engine::{ContainerError, Engine, Instance};
pub use images::Images;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use protocol::ai::Pipeline;
use reqwest::{Client, Url};

use crate::http::{HttpRunner, RunnerAddress};
use crate::launch::{Launch, LaunchError, Launched, Need};

/// How long a container may take from its start to its first good answer, its image's download included.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Containers of one model.
pub struct Container {
    /// Where they run.
    pub engine: Arc<Engine>,
    /// Their pipeline.
    pub pipeline: Pipeline,
    /// Their model.
    pub model: String,
    /// Their image.
    pub image: String,
    /// Further environment.
    pub flags: BTreeMap<String, String>,
    /// Asks them.
    pub client: Client,
    /// Time for one answer.
    pub answer: Duration,
}

#[async_trait]
impl Launch for Container {
    fn need(&self) -> Need {
        Need {
            places: 1,
            ..Need::default()
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn launch(&self) -> Result<Launched, LaunchError> {
        let failed = |error: ContainerError| LaunchError(error.to_string());
        let started = self.engine.start(self).await.map_err(failed)?;
        let url = Url::parse(&format!("http://127.0.0.1:{}", started.port()));
        let url = url.map_err(|error| LaunchError(error.to_string()))?;
        let address = RunnerAddress { url, token: None };
        let runner = HttpRunner::new(self.pipeline, address, self.client.clone(), self.answer);
        let started = Arc::new(started);
        let (watched, measured) = (Arc::clone(&started), Arc::clone(&started));
        Ok(Launched {
            runner: Arc::new(runner),
            name: started.name().to_owned(),
            ended: async move { watched.ended().await }.boxed(),
            stop: async move { started.stop().await }.boxed(),
            memory: Some(Box::new(move || {
                let measured = Arc::clone(&measured);
                async move { measured.memory().await }.boxed()
            })),
        })
    }
}
