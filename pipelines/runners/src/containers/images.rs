//! Which image serves a pipeline: the operator's, else the network's usual one.

use std::collections::BTreeMap;

use protocol::ai::Pipeline;

/// Pipelines whose usual image bears their own name.
const OWN: [Pipeline; 4] = [
    Pipeline::SegmentAnything2,
    Pipeline::TextToSpeech,
    Pipeline::AudioToText,
    Pipeline::Llm,
];

/// Images by pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Images {
    /// For pipelines that share one.
    pub default: String,
    /// The operator's choice by pipeline.
    pub batch: BTreeMap<String, String>,
}

impl Images {
    /// The image of `pipeline`.
    pub fn of(&self, pipeline: Pipeline) -> String {
        if let Some(image) = self.batch.get(pipeline.name()) {
            return image.clone();
        }
        if OWN.contains(&pipeline) {
            return format!("livepeer/ai-runner:{pipeline}");
        }
        if self.default.is_empty() {
            "livepeer/ai-runner:latest".to_owned()
        } else {
            self.default.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_image_stands_before_the_usual_one() {
        let images = Images {
            default: "mine:1".into(),
            batch: [("llm".to_owned(), "llm:2".to_owned())].into(),
        };
        assert_eq!(images.of(Pipeline::Llm), "llm:2");
        assert_eq!(images.of(Pipeline::Upscale), "mine:1");
        assert_eq!(
            images.of(Pipeline::AudioToText),
            "livepeer/ai-runner:audio-to-text"
        );
        let none = Images::default();
        assert_eq!(none.of(Pipeline::Upscale), "livepeer/ai-runner:latest");
    }
}
