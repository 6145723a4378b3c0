//! Brings weights into a form that the library multiplies fast.
//!
//! For some quantisations (Q4_1, Q5_0, Q5_1) it has scalar code only, several times slower than Q8_0, which holds their values to
//! 1/254 of a block's largest. The file is written over in memory as it is read, with everything else as it was.

use std::io::{Cursor, Read, Seek};

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, write};
use candle_core::quantized::{GgmlDType, QTensor};

/// Without fast code in the library.
const SLOW: [GgmlDType; 3] = [GgmlDType::Q4_1, GgmlDType::Q5_0, GgmlDType::Q5_1];

/// Whether anything would change.
pub(super) fn is_slow(content: &Content) -> bool {
    let mut tensors = content.tensor_infos.values();
    tensors.any(|tensor| SLOW.contains(&tensor.ggml_dtype))
}

/// The same model without slow tensors, and without the vocabulary, which is read elsewhere.
pub(super) fn quickened<R: Read + Seek>(
    content: &Content,
    reader: &mut R,
) -> candle_core::Result<Cursor<Vec<u8>>> {
    let metadata: Vec<_> = content
        .metadata
        .iter()
        .filter(|(key, _)| !key.starts_with("tokenizer."))
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let mut tensors = Vec::new();
    for name in content.tensor_infos.keys() {
        let tensor = content.tensor(reader, name, &Device::Cpu)?;
        let tensor = if SLOW.contains(&tensor.dtype()) {
            let floats = tensor.dequantize(&Device::Cpu)?;
            QTensor::quantize(&floats, GgmlDType::Q8_0)?
        } else {
            tensor
        };
        tensors.push((name.as_str(), tensor));
    }
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (*name, tensor))
        .collect();
    let mut file = Cursor::new(Vec::new());
    write(&mut file, &metadata, &tensors)?;
    file.set_position(0);
    Ok(file)
}
