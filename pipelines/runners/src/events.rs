//! Server-sent events of language models: the `data:` lines of a stream, however it is cut.

use serde_json::Value;

/// Longest line of a stream, bytes. Gateways stop at 64 KiB.
const LINE_MOST: usize = 64 << 10;

/// Whether a part of a language model's stream is its last.
pub fn is_last(part: &Value) -> bool {
    let finish = part["choices"][0]["finish_reason"].as_str();
    finish.is_some_and(|reason| !reason.is_empty())
}

/// Splits a stream of bytes into the values of its `data:` lines.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    /// More of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next value; `None` until more bytes come.
    ///
    /// # Errors
    /// What is wrong with the stream.
    pub fn part(&mut self) -> Result<Option<Value>, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_however_it_is_cut() {
        let whole = "data: {\"choices\":[{\"delta\":{}}]}\n\n: comment\ndata: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        for cut in 1..whole.len() {
            let mut lines = Lines::default();
            let mut parts = Vec::new();
            for piece in whole.as_bytes().chunks(cut) {
                lines.push(piece);
                while let Some(part) = lines.part().expect("good stream") {
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
            assert!(lines.part().unwrap_err().contains(text));
        }
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_MOST + 1]);
        assert!(lines.part().unwrap_err().contains("longer"));
    }
}
