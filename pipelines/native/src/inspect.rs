//! What lies under a path, what it needs and what it would cost, without loading it.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use host::job::FoundModel;

use crate::{NativeError, llm, locate, upscale, whisper};

/// What a process needs beside weights, bytes: code, tokenizer, plugins.
const BASE: u64 = 96 << 20;

/// Looks at `path` as the model of `pipeline`.
///
/// # Errors
/// [`NativeError`] when it could not be loaded.
pub fn inspect(pipeline: &str, path: &Path) -> Result<FoundModel, NativeError> {
    match pipeline {
        "llm" => llm(&locate::gguf(path)?),
        "audio-to-text" => {
            let size = whisper::inspect(path)?;
            Ok(FoundModel {
                pipeline: pipeline.to_owned(),
                architecture: "whisper".into(),
                weights: size.weights,
                // the file is held while it is loaded
                memory: BASE + size.memory + size.weights,
                per_request: size.per_request,
                cuda: cfg!(feature = "cuda"),
            })
        }
        "upscale" => {
            let (network, weights) = upscale::inspect(path)?;
            Ok(FoundModel {
                pipeline: pipeline.to_owned(),
                architecture: network,
                weights,
                memory: BASE + 2 * weights,
                per_request: upscale::TILE_MEMORY,
                cuda: cfg!(feature = "cuda"),
            })
        }
        other => Err(NativeError::Pipeline(other.to_owned())),
    }
}

fn llm(path: &Path) -> Result<FoundModel, NativeError> {
    let file = File::open(path).map_err(|error| NativeError::file(path, error))?;
    let weights = file
        .metadata()
        .map_err(|error| NativeError::file(path, error))?
        .len();
    let content = Content::read(&mut BufReader::new(file))
        .map_err(|error| NativeError::weights(path, error))?;
    let number = |key: &str| {
        let value = content.metadata.get(&format!("llama.{key}"));
        value.and_then(|value| value.to_u32().ok()).map(u64::from)
    };
    let text = content.metadata.get("general.architecture");
    let architecture = text.and_then(|value| value.to_string().ok().cloned());
    let elements = |name: &str| {
        let tensor = content.tensor_infos.get(name);
        tensor.map_or(0, |tensor| tensor.shape.elem_count() as u64)
    };
    let heads = number("attention.head_count").unwrap_or(1).max(1);
    let kv_heads = number("attention.head_count_kv").unwrap_or(heads);
    let width = number("embedding_length").unwrap_or(0);
    let context = number("context_length").unwrap_or(4096).min(4096);
    // keys and values, 4 bytes each, and once more while they are extended
    let cache = 4 * 4 * number("block_count").unwrap_or(0) * context * width * kv_heads / heads;
    // the library keeps embeddings as floats beside the weights
    let on_card = weights + 4 * elements("token_embd.weight");
    let memory = match llm::is_own(&content, &Device::Cpu) {
        true if cfg!(feature = "cuda") => on_card.max(packed(&content)),
        true => packed(&content),
        false => on_card,
    };
    Ok(FoundModel {
        pipeline: "llm".into(),
        architecture: architecture.unwrap_or_default(),
        weights,
        memory: BASE + memory,
        per_request: cache,
        cuda: cfg!(feature = "cuda"),
    })
}

/// What the processor's own network takes, and the largest tensor once more as floats while it is packed.
fn packed(content: &Content) -> u64 {
    let tensors = content.tensor_infos.values();
    let sizes = tensors.map(|tensor| {
        let elements = tensor.shape.elem_count() as u64;
        (llm::size(tensor.ggml_dtype, elements), 4 * elements)
    });
    let (all, largest) = sizes.fold((0, 0), |(all, largest), (size, floats)| {
        (all + size, floats.max(largest))
    });
    all + largest
}
