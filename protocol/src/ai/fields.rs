//! Which fields each pipeline's request has, and what each may hold.

use serde_json::Value;

use super::Pipeline;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number within bounds, both included.
    Int(i64, i64),
    /// A finite number.
    Float,
    /// `true` or `false`.
    Bool,
    /// Messages of a conversation: a list of objects with `role` and `content`.
    Messages,
}

/// One field of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// Largest side of a picture, pixels.
const SIDE: Kind = Kind::Int(1, 8192);
/// Steps of a diffusion; what is above asks for minutes of a GPU at the price of one picture.
const STEPS: Kind = Kind::Int(1, 1000);
const ANY_INT: Kind = Kind::Int(i64::MIN, i64::MAX);

macro_rules! fields {
    ($($name:literal $kind:expr),* $(,)?) => { &[$(Field { name: $name, kind: $kind },)*] };
}

impl Pipeline {
    /// The fields of its request beside the file, in the order in which forms carry them.
    pub fn fields(self) -> &'static [Field] {
        use Kind::{Bool, Float, Messages, Text};
        match self {
            Self::TextToImage => fields![
                "prompt" Text, "model_id" Text, "loras" Text, "height" SIDE, "width" SIDE,
                "guidance_scale" Float, "negative_prompt" Text, "safety_check" Bool,
                "seed" ANY_INT, "num_inference_steps" STEPS, "num_images_per_prompt" ANY_INT,
            ],
            Self::ImageToImage => fields![
                "prompt" Text, "model_id" Text, "loras" Text, "strength" Float,
                "guidance_scale" Float, "image_guidance_scale" Float, "negative_prompt" Text,
                "safety_check" Bool, "seed" ANY_INT, "num_inference_steps" STEPS,
                "num_images_per_prompt" ANY_INT,
            ],
            Self::ImageToVideo => fields![
                "model_id" Text, "height" SIDE, "width" SIDE, "fps" Kind::Int(1, 120),
                "motion_bucket_id" ANY_INT, "noise_aug_strength" Float, "safety_check" Bool,
                "seed" ANY_INT, "num_inference_steps" STEPS,
            ],
            Self::Upscale => fields![
                "prompt" Text, "model_id" Text, "safety_check" Bool, "seed" ANY_INT,
                "num_inference_steps" STEPS,
            ],
            Self::AudioToText => fields![
                "model_id" Text, "return_timestamps" Text, "metadata" Text,
            ],
            Self::SegmentAnything2 => fields![
                "model_id" Text, "point_coords" Text, "point_labels" Text, "box" Text,
                "mask_input" Text, "multimask_output" Bool, "return_logits" Bool,
                "normalize_coords" Bool,
            ],
            Self::Llm => fields![
                "messages" Messages, "model" Text, "max_tokens" ANY_INT, "temperature" Float,
                "top_p" Float, "top_k" ANY_INT, "stream" Bool,
            ],
            Self::ImageToText => fields!["prompt" Text, "model_id" Text],
            Self::TextToSpeech => fields!["text" Text, "model_id" Text, "description" Text],
        }
    }
}

/// What is wrong with the messages of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageProblem {
    /// Not a list.
    #[error("is no list of objects with role and content")]
    NotAList,
    /// An entry is no object with two texts.
    #[error("has an entry without the texts role and content")]
    Entry,
}

impl Field {
    /// The value as it is handed on; `None` for null, which is absent.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn json(&self, value: Value) -> Result<Option<Value>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let fits = match self.kind {
            Kind::Text => value.is_string(),
            Kind::Bool => value.is_boolean(),
            Kind::Float => value.is_number(),
            Kind::Int(least, most) => match value.as_i64() {
                Some(number) => return self.within(number, least, most).map(Some),
                None => false,
            },
            Kind::Messages => {
                return messages(value)
                    .map(Some)
                    .map_err(|problem| format!("{} {problem}", self.name));
            }
        };
        if fits {
            return Ok(Some(value));
        }
        Err(format!("{} must be {}", self.name, self.kind.wanted()))
    }

    /// The value of a form's field.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn text(&self, text: &str) -> Result<Value, String> {
        let wrong = || format!("{} must be {}", self.name, self.kind.wanted());
        match self.kind {
            Kind::Text => Ok(text.into()),
            Kind::Bool => match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true.into()),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false.into()),
                _ => Err(wrong()),
            },
            Kind::Float => {
                let number: f64 = text.parse().map_err(|_| wrong())?;
                serde_json::Number::from_f64(number)
                    .map(Value::Number)
                    .ok_or_else(wrong)
            }
            Kind::Int(least, most) => {
                let number = text.parse().map_err(|_| wrong())?;
                self.within(number, least, most)
            }
            Kind::Messages => {
                let value = serde_json::from_str(text).map_err(|_| wrong())?;
                messages(value).map_err(|problem| format!("{} {problem}", self.name))
            }
        }
    }

    fn within(&self, number: i64, least: i64, most: i64) -> Result<Value, String> {
        if (least..=most).contains(&number) {
            return Ok(number.into());
        }
        Err(format!(
            "{} is {number}, must be {least} to {most}",
            self.name
        ))
    }
}

impl Kind {
    fn wanted(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Int(..) => "a whole number",
            Self::Float => "a number",
            Self::Bool => "true or false",
            Self::Messages => "a list of messages",
        }
    }
}

fn messages(value: Value) -> Result<Value, MessageProblem> {
    let entries = value.as_array().ok_or(MessageProblem::NotAList)?;
    let whole = entries
        .iter()
        .all(|entry| entry["role"].is_string() && entry["content"].is_string());
    if !whole {
        return Err(MessageProblem::Entry);
    }
    Ok(value)
}
