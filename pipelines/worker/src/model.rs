//! Gives AI requests of the link to the model that this process holds.

use std::sync::Arc;

use host::job::{Blame, InferJob, JobError, ModelSettings};
use host::worker::{Chunks, Outcome, RunningJob, WorkHandler};
use native::{Model, NativeError, Request};

/// Longest file of a request, bytes; the doors have smaller limits of their own.
const INPUT_MOST: usize = 256 << 20;

/// Answers with one model.
pub(crate) struct ModelHost(Arc<dyn Model>);

impl ModelHost {
    pub(crate) fn load(settings: &ModelSettings) -> Result<Self, NativeError> {
        Ok(Self(native::load(settings)?.into()))
    }
}

impl WorkHandler for ModelHost {
    fn infer(&self, spec: InferJob, chunks: Chunks) -> Result<Box<dyn RunningJob>, JobError> {
        Ok(Box::new(Inference {
            model: Arc::clone(&self.0),
            spec,
            chunks,
            input: Vec::new(),
        }))
    }
}

/// A request whose file is coming.
struct Inference {
    model: Arc<dyn Model>,
    spec: InferJob,
    chunks: Chunks,
    input: Vec<u8>,
}

impl RunningJob for Inference {
    fn push(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        if self.input.len() + bytes.len() > INPUT_MOST {
            return Err(JobError {
                text: "the file is too large".into(),
                detail: format!("more than {INPUT_MOST} bytes"),
                blame: Blame::Input,
            });
        }
        self.input.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Outcome, JobError> {
        let request = Request {
            fields: &self.spec.fields,
            file: &self.input,
            parts: &self.chunks,
        };
        let answer = self.model.run(&request)?;
        Ok(Outcome::Inferred(answer.to_string().into_bytes()))
    }
}
