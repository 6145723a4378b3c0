//! A request as a gateway sent it: only known fields, each of its kind, absent ones absent.

use serde_json::{Map, Value};

use super::{Field, Kind, Pipeline};

/// A request beside its file.
#[derive(Debug, Clone, PartialEq)]
pub struct AiRequest {
    pipeline: Pipeline,
    fields: Map<String, Value>,
}

/// Why a request is refused; what the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(pub String);

impl AiRequest {
    /// From the bytes of a JSON object. What follows the object, and fields that nobody knows, are ignored.
    pub fn from_json(pipeline: Pipeline, body: &[u8]) -> Result<Self, BadRequest> {
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
        let value = match values.next() {
            Some(value) => value.map_err(|error| BadRequest(format!("invalid JSON: {error}")))?,
            None => return Err(BadRequest("the body is empty".into())),
        };
        Self::from_value(pipeline, value)
    }

    /// From a JSON object.
    pub fn from_value(pipeline: Pipeline, value: Value) -> Result<Self, BadRequest> {
        let Value::Object(mut given) = value else {
            return Err(BadRequest("the body must be a JSON object".into()));
        };
        let mut fields = Map::new();
        for field in pipeline.fields() {
            let Some(value) = given.remove(field.name) else {
                continue;
            };
            if let Some(value) = field.json(value).map_err(BadRequest)? {
                fields.insert(field.name.to_owned(), value);
            }
        }
        Ok(Self { pipeline, fields })
    }

    /// From the fields of a form. Of two with one name the first counts; unknown ones are ignored.
    pub fn from_form<'f>(
        pipeline: Pipeline,
        form: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<Self, BadRequest> {
        let mut fields = Map::new();
        for (name, text) in form {
            let field = pipeline.fields().iter().find(|field| field.name == name);
            if let Some(field) = field
                && !fields.contains_key(name)
            {
                fields.insert(name.to_owned(), field.text(text).map_err(BadRequest)?);
            }
        }
        Ok(Self { pipeline, fields })
    }

    /// Whose request it is.
    pub fn pipeline(&self) -> Pipeline {
        self.pipeline
    }

    /// Its fields by name.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Sets a field, as a runner needs it.
    pub fn set(&mut self, name: &'static str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// Model ID.
    ///
    /// # Errors
    /// When the request names none.
    pub fn model(&self) -> Result<&str, BadRequest> {
        let field = self.pipeline.model_field();
        let model = self.str(field).filter(|model| !model.is_empty());
        model.ok_or_else(|| BadRequest(format!("{field} is missing")))
    }

    /// Whether the answer is wanted in parts, as it comes.
    pub fn streams(&self) -> bool {
        self.pipeline == Pipeline::Llm && self.fields.get("stream") == Some(&Value::Bool(true))
    }

    /// A text field.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    /// A field that is a whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.fields.get(name).and_then(Value::as_i64)
    }

    /// Its fields as a form to a runner carries them, in the usual order: numbers with a point have six places.
    pub fn form(&self) -> impl Iterator<Item = (&'static str, String)> {
        let fields = self.pipeline.fields().iter();
        fields.filter_map(|Field { name, kind }| {
            let value = self.fields.get(*name)?;
            let text = match (kind, value) {
                (Kind::Float, value) => format!("{:.6}", value.as_f64()?),
                (_, Value::String(text)) => text.clone(),
                (_, value) => value.to_string(),
            };
            Some((*name, text))
        })
    }
}
