//! What runners say: errors, server-sent events, cards.

use protocol::pb;
use serde_json::Value;

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
    fn cards_are_told_as_gateways_read_them() {
        let value = json!({"pipeline": "llm", "model_id": "m", "gpu_info": {"0": {
            "id": "GPU-1", "name": "H100", "memory_total": 80i64 << 30, "memory_free": 1, "major": 9, "minor": 0}}});
        let hardware = hardware(&value).expect("hardware");
        let card = &hardware.gpu_info["0"];
        assert_eq!((card.id.as_str(), card.memory_total), ("GPU-1", 80 << 30));
        assert_eq!(super::hardware(&json!({})), None);
    }
}
