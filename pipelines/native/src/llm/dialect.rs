//! The tokenizer of a model, from the GGUF file itself or from a `tokenizer.json` beside it.

use std::path::Path;

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{PreTokenizerWrapper, Tokenizer};

use crate::NativeError;

/// Names of tokens that end a turn, beside the one that the file names.
const ENDS: [&str; 5] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "</s>",
    "<|endoftext|>",
];
/// Pre-tokenizers that take digits one by one before they split as GPT-2 does.
const DIGITS_APART: [&str; 5] = ["smollm", "starcoder", "refact", "command-r", "codeshell"];

/// Words and tokens.
pub(super) struct Dialect {
    pub(super) tokenizer: Tokenizer,
    /// Tokens that end an answer.
    ends: Vec<u32>,
    pub(super) bos: String,
    pub(super) eos: String,
}

impl Dialect {
    pub(super) fn read(content: &Content, path: &Path) -> Result<Self, NativeError> {
        let beside = path.with_file_name("tokenizer.json");
        let tokenizer = if beside.is_file() {
            Tokenizer::from_file(&beside).map_err(|error| NativeError::weights(&beside, error))?
        } else {
            from_gguf(content).map_err(|error| NativeError::weights(path, error))?
        };
        let token = |key: &str| {
            let id = content.metadata.get(key)?.to_u32().ok()?;
            Some((id, tokenizer.id_to_token(id).unwrap_or_default()))
        };
        let bos = token("tokenizer.ggml.bos_token_id");
        let eos = token("tokenizer.ggml.eos_token_id");
        let named = ENDS.iter().filter_map(|end| tokenizer.token_to_id(end));
        let ends = named.chain(eos.as_ref().map(|(id, _)| *id)).collect();
        Ok(Self {
            ends,
            bos: bos.map(|(_, text)| text).unwrap_or_default(),
            eos: eos.map(|(_, text)| text).unwrap_or_default(),
            tokenizer,
        })
    }

    /// The tokens of a rendered prompt. Templates write every special token themselves.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, tokenizers::Error> {
        let encoding = self.tokenizer.encode_fast(text, false)?;
        Ok(encoding.get_ids().to_vec())
    }

    pub(super) fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }
}

fn from_gguf(content: &Content) -> candle_core::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_gguf(content)?;
    let text = |key: &str| content.metadata.get(key)?.to_string().ok();
    let pre = text("tokenizer.ggml.pre").map_or("", String::as_str);
    // The reader's own fall-back puts a blank before the first word and keeps digits together.
    let bytes = ByteLevel::new(false, false, true);
    let splitter: Option<PreTokenizerWrapper> = if DIGITS_APART.contains(&pre) {
        Some(Sequence::new(vec![Digits::new(true).into(), bytes.into()]).into())
    } else if matches!(pre, "" | "default" | "gpt-2" | "gpt2") {
        Some(bytes.into())
    } else {
        None
    };
    if let Some(splitter) = splitter {
        tokenizer.with_pre_tokenizer(Some(splitter));
        tokenizer.with_decoder(Some(ByteLevelDecoder::default()));
    }
    Ok(tokenizer)
}
