//! The request as it travels to a remote AI worker: `{"input_url":…,"request":{…}}`.

use serde_json::{Map, Value, json};

use super::{AiRequest, BadRequest, Pipeline};

/// A job of a remote AI worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerJob {
    /// The request beside its file.
    pub request: AiRequest,
    /// Where the file is fetched; empty where there is none.
    pub input_url: String,
}

impl WorkerJob {
    /// As bytes of JSON. Fields that are absent stay absent; the file's own is null.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = self.request.fields().clone();
        if let Some(file) = self.request.pipeline().body().file() {
            fields.insert(file.to_owned(), Value::Null);
        }
        json!({ "input_url": self.input_url, "request": fields })
            .to_string()
            .into_bytes()
    }

    /// From such bytes.
    pub fn decode(pipeline: Pipeline, data: &[u8]) -> Result<Self, BadRequest> {
        let wrong = |text: String| {
            BadRequest(format!(
                "AI request validation failed for {pipeline} pipeline err={text}"
            ))
        };
        let mut value: Map<String, Value> =
            serde_json::from_slice(data).map_err(|error| wrong(error.to_string()))?;
        let request = value.remove("request").unwrap_or_else(|| json!({}));
        let request = AiRequest::from_value(pipeline, request).map_err(|error| wrong(error.0))?;
        let input_url = match value.remove("input_url") {
            Some(Value::String(url)) => url,
            None | Some(Value::Null) => String::new(),
            Some(_) => return Err(wrong("input_url must be a text".into())),
        };
        Ok(Self { request, input_url })
    }
}
