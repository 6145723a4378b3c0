//! What runners say: errors, server-sent events, cards.

use protocol::pb;
use serde_json::Value;

/// Longest line of a stream, bytes. Gateways stop at 64 KiB.
const LINE_MOST: usize = 64 << 10;

/// The message in the body of an error: `{"detail":{"msg":…}}`, or the whole body where the form is another.
pub(super) fn message(status: u16, body: &[u8]) -> String {
    let text = || String::from_utf8_lossy(body).trim().to_owned();
    if status == 413 {
        return "file too large; max file size is 50MB".into();
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => match value["detail"]["msg"].as_str() {
            Some(message) => message.to_owned(),
            None => text(),
        },
        Err(_) if body.is_empty() => "no text".into(),
        Err(_) => text(),
    }
}

/// Whether a part of a language model's stream is its last.
pub(super) fn is_last(part: &Value) -> bool {
    let finish = part["choices"][0]["finish_reason"].as_str();
    finish.is_some_and(|reason| !reason.is_empty())
}

/// Splits a stream of bytes into the values of its `data:` lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next value; `None` until more bytes come.
    ///
    /// # Errors
    /// What is wrong with the stream.
    pub(super) fn next(&mut self) -> Result<Option<Value>, String> {
        loop {
            let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
                if self.buffer.len() > LINE_MOST {
                    return Err(format!("a line is longer than {LINE_MOST} bytes"));
                }
                return Ok(None);
            };
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            if line.len() > LINE_MOST {
                return Err(format!("a line is longer than {LINE_MOST} bytes"));
            }
            let line = String::from_utf8_lossy(&line);
            let Some(data) = line.trim().strip_prefix("data:") else {
                continue;
            };
            let data = data.trim();
            if data == "[DONE]" {
                continue;
            }
            let value: Value = serde_json::from_str(data)
                .map_err(|error| format!("a part of it is no JSON: {error}"))?;
            if let Some(error) = value.get("error") {
                let text = error
                    .as_str()
                    .map_or_else(|| error.to_string(), str::to_owned);
                return Err(format!("the runner failed: {text}"));
            }
            // Gateways cannot read a part without choices.
            if value["choices"].as_array().is_none_or(Vec::is_empty) {
                return Err("a part of it has no choices".into());
            }
            return Ok(Some(value));
        }
    }
}

/// The cards in an answer to `/hardware/info`; `None` when it is something else.
pub(super) fn hardware(value: &Value) -> Option<pb::HardwareInformation> {
    fn text(value: &Value) -> Option<String> {
        value.as_str().map(str::to_owned)
    }
    let gpus = value["gpu_info"].as_object()?.iter().map(|(index, gpu)| {
        let number = |name: &str| gpu[name].as_u64().and_then(|n| u32::try_from(n).ok());
        let info = pb::GpuComputeInfo {
            id: text(&gpu["id"]).unwrap_or_default(),
            name: text(&gpu["name"]).unwrap_or_default(),
            major: number("major").unwrap_or_default(),
            minor: number("minor").unwrap_or_default(),
            memory_free: gpu["memory_free"].as_i64().unwrap_or_default(),
            memory_total: gpu["memory_total"].as_i64().unwrap_or_default(),
        };
        (index.clone(), info)
    });
    Some(pb::HardwareInformation {
        pipeline: text(&value["pipeline"])?,
        model_id: text(&value["model_id"]).unwrap_or_default(),
        gpu_info: gpus.collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_of_every_form_become_a_text() {
        assert_eq!(
            message(400, br#"{"detail":{"msg":"bad prompt"}}"#),
            "bad prompt"
        );
        let form = br#"{"detail":[{"loc":["body"],"msg":"m","type":"t"}]}"#;
        assert_eq!(message(422, form), String::from_utf8_lossy(form));
        assert_eq!(message(500, b"gone\n"), "gone");
        assert_eq!(message(500, b""), "no text");
        assert!(message(413, b"").contains("50MB"));
    }

    #[test]
    fn a_stream_is_read_however_it_is_cut() {
        let whole = "data: {\"choices\":[{\"delta\":{}}]}\n\n: comment\ndata: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        for cut in 1..whole.len() {
            let mut lines = Lines::default();
            let mut parts = Vec::new();
            for piece in whole.as_bytes().chunks(cut) {
                lines.push(piece);
                while let Some(part) = lines.next().expect("good stream") {
                    parts.push(is_last(&part));
                }
            }
            assert_eq!(parts, [false, true], "cut at {cut}");
        }
    }

    #[test]
    fn a_stream_that_no_gateway_could_read_is_an_error() {
        for (bad, text) in [
            ("data: {\"error\": \"out of memory\"}\n", "out of memory"),
            ("data: {\"choices\":[]}\n", "no choices"),
            ("data: {\n", "no JSON"),
        ] {
            let mut lines = Lines::default();
            lines.push(bad.as_bytes());
            assert!(lines.next().unwrap_err().contains(text));
        }
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_MOST + 1]);
        assert!(lines.next().unwrap_err().contains("longer"));
    }

    #[test]
    fn cards_are_told_as_gateways_read_them() {
        let value = json!({"pipeline": "llm", "model_id": "m", "gpu_info": {"0": {
            "id": "GPU-1", "name": "H100", "memory_total": 80i64 << 30, "memory_free": 1, "major": 9, "minor": 0}}});
        let hardware = hardware(&value).expect("hardware");
        let card = &hardware.gpu_info["0"];
        assert_eq!((card.id.as_str(), card.memory_total), ("GPU-1", 80 << 30));
        assert_eq!(super::hardware(&json!({})), None);
    }
}
