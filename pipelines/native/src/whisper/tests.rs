//! A tiny model with made-up weights, held against an independent implementation: `tests/whisper/reference.py`.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use host::job::{Blame, ModelSettings};
use host::worker::Unwanted;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::mel::Mel;
use super::rules::best;
use super::transcribe::Transcription;
use super::words;
use super::{Whisper, inspect, load, segments};
use crate::{Model, NativeError, Parts, Request};

fn reference() -> Value {
    serde_json::from_str(include_str!("../../tests/whisper/reference.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(floats).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn tokens(value: &Value) -> Vec<u32> {
    floats(value)
        .into_iter()
        .map(|value| value as u32)
        .collect()
}

fn close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let apart = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (f64::from(*found) - expected).abs());
    let most = apart.fold(0.0, f64::max);
    assert!(most < tolerance, "{what}: {most} apart");
}

/// −1 to 1, as the reference makes it.
fn noise(name: &str, count: usize) -> Vec<f64> {
    let seed = name.bytes().fold(0x811c_9dc5u32, |seed, byte| {
        (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let mixed = (0..count as u32).map(|at| {
        let mut h = seed.wrapping_add(at.wrapping_mul(2_654_435_761));
        h ^= h >> 15;
        h = h.wrapping_mul(2_246_822_519);
        h ^= h >> 13;
        h = h.wrapping_mul(3_266_489_917);
        h ^= h >> 16;
        f64::from(h) / 2f64.powi(31) - 1.0
    });
    mixed.collect()
}

fn signal(seconds: f64) -> Vec<f32> {
    let count = (seconds * 16_000.0) as usize;
    let tau = std::f64::consts::TAU;
    let noise = noise("signal", count).into_iter().enumerate();
    let sample = noise.map(|(at, noise)| {
        let t = at as f64 / 16_000.0;
        let on = if (tau * 1.7 * t).sin() > -0.3 {
            0.4
        } else {
            0.0
        };
        let sweep = on * (tau * (300.0 + 900.0 * t) * t).sin();
        (sweep + 0.2 * (tau * 2500.0 * t).sin() + 0.02 * noise) as f32
    });
    sample.collect()
}

fn weight(name: &str, shape: &[usize]) -> Tensor {
    let scale = |value: f64| match () {
        () if name.contains("norm") && name.ends_with("weight") => 1.0 + 0.2 * value,
        () if name.ends_with("bias") => 0.2 * value,
        () if shape.len() == 3 => 0.3 * value,
        () if !name.contains("embed") => 0.6 * value,
        () => value,
    };
    let values = noise(name, shape.iter().product());
    let values: Vec<f32> = values
        .into_iter()
        .map(|value| scale(value) as f32)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Writes the files of the tiny model.
fn model_files(directory: &Path, reference: &Value) {
    let names =
        |key: &str| -> Vec<String> { serde_json::from_value(reference[key].clone()).unwrap() };
    let text = names("text");
    let vocabulary: Map<String, Value> = text
        .iter()
        .enumerate()
        .map(|(number, token)| (token.clone(), json!(number)))
        .collect();
    let special: Vec<Value> = (text.len()..)
        .zip(names("special"))
        .map(|(id, content)| {
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "added_tokens": special,
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "vocab": vocabulary, "merges": [],
        },
    });
    let shapes: HashMap<String, Vec<usize>> =
        serde_json::from_value(reference["shapes"].clone()).unwrap();
    let weights: HashMap<String, Tensor> = shapes
        .iter()
        .map(|(name, shape)| (name.clone(), weight(name, shape)))
        .collect();
    let write = |name: &str, value: &Value| {
        std::fs::write(directory.join(name), value.to_string()).unwrap();
    };
    write("config.json", &reference["config"]);
    write("generation_config.json", &reference["generation"]);
    write("tokenizer.json", &tokenizer);
    candle_core::safetensors::save(&weights, directory.join("model.safetensors")).unwrap();
}

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    model_files(directory.path(), &reference());
    directory
}

fn model() -> Whisper {
    Whisper::read(directory().path(), Device::Cpu).unwrap()
}

/// Waits for so many more steps.
struct Waiting(Mutex<usize>);

impl Waiting {
    fn forever() -> Self {
        Self(Mutex::new(usize::MAX))
    }
}

impl Parts for Waiting {
    fn send(&self, _: &Value) -> Result<(), Unwanted> {
        self.check()
    }

    fn check(&self) -> Result<(), Unwanted> {
        let mut left = self.0.lock();
        *left = left.checked_sub(1).ok_or(Unwanted)?;
        Ok(())
    }
}

fn wav(samples: &[f32]) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for sample in samples {
        writer.write_sample(*sample).unwrap();
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn ask(model: &dyn Model, samples: &[f32], timestamps: Option<Value>) -> Value {
    let mut fields = Map::new();
    fields.insert("metadata".into(), json!("{\"duration\":\"3\"}"));
    if let Some(timestamps) = timestamps {
        fields.insert("return_timestamps".into(), timestamps);
    }
    let request = Request {
        fields: &fields,
        file: &wav(samples),
        parts: &Waiting::forever(),
    };
    model.run(&request).unwrap()
}

#[test]
fn mel_filters_are_those_of_slaney() {
    let reference = reference();
    for (bins, expected) in reference["filters"].as_object().unwrap() {
        let filters = Mel::new(bins.parse().unwrap()).dense();
        let sums: Vec<f32> = filters
            .iter()
            .map(|row| row.iter().sum::<f64>() as f32)
            .collect();
        close(&sums, &floats(&expected["sums"]), 1e-6, "sums");
        for (row, expected) in expected["rows"].as_object().unwrap() {
            let row: Vec<f32> = filters[row.parse::<usize>().unwrap()]
                .iter()
                .map(|value| *value as f32)
                .collect();
            close(&row, &floats(expected), 1e-7, "row");
        }
    }
}

#[test]
fn spectrograms_are_those_of_the_reference() {
    let reference = reference();
    for (key, bins, every, each) in [("mel", 80, 5, 3), ("mel128", 128, 16, 9)] {
        let whole = Mel::new(bins).spectrogram(&signal(0.75), 100);
        let found: Vec<f32> = whole
            .chunks(100)
            .step_by(every)
            .flat_map(|row| row.iter().step_by(each).copied().collect::<Vec<_>>())
            .collect();
        close(&found, &floats(&reference[key]), 2e-5, key);
    }
}

#[test]
fn sound_is_encoded_as_by_the_reference() {
    let encoded = model().encode(&signal(0.75)).unwrap();
    let found = encoded.flatten_all().unwrap().to_vec1().unwrap();
    close(&found, &floats(&reference()["encoded"]), 1e-3, "encoded");
}

#[test]
fn logits_are_those_of_the_reference_however_the_tokens_come() {
    let (reference, model) = (reference(), model());
    let (tokens, expected) = (tokens(&reference["tokens"]), floats(&reference["logits"]));
    let encoded = model.encode(&signal(0.75)).unwrap();
    let memory = model.network.listen(&encoded).unwrap();
    for step in [1, 3, tokens.len()] {
        let mut memory = memory.clone();
        let mut found: Vec<f32> = Vec::new();
        for some in tokens.chunks(step) {
            let logits = model.network.read(some, &mut memory).unwrap();
            found.extend(logits.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        }
        close(&found, &expected, 2e-3, &format!("logits by {step}"));
    }
}

#[test]
fn one_window_is_written_as_by_the_reference() {
    let (reference, model) = (reference(), model());
    let samples = signal(0.75);
    let waiting = Waiting::forever();
    let transcription = Transcription::new(&model, &samples, false, &waiting);
    let encoded = model.encode(&samples).unwrap();
    let written = transcription
        .write(model.network.listen(&encoded).unwrap())
        .unwrap();
    let expected = &reference["written"];
    assert_eq!(written.tokens, tokens(&expected["tokens"]));
    assert_eq!(
        written.language.map(u64::from),
        expected["language"].as_u64()
    );
    let found = [written.likelihood, written.no_speech];
    close(
        &found,
        &[
            floats(&expected["likelihood"])[0],
            floats(&expected["no_speech"])[0],
        ],
        1e-3,
        "written",
    );
}

/// Parts of the reference as the model must answer: seconds and text.
fn sentences(reference: &Value) -> Vec<Value> {
    let text: Vec<String> = serde_json::from_value(reference["text"].clone()).unwrap();
    let windows = reference["long"].as_array().unwrap().iter();
    let part = |at: f64, part: &Value| {
        let seconds =
            |step: &Value| ((at * 0.01 + step.as_f64().unwrap() * 0.02) * 100.0).round() / 100.0;
        let words = tokens(&part[2])
            .into_iter()
            .map(|token| text[token as usize].replace('Ġ', " "));
        json!({ "timestamp": [seconds(&part[0]), seconds(&part[1])], "text": words.collect::<String>() })
    };
    windows
        .flat_map(|window| {
            let at = window["at"].as_f64().unwrap();
            window["parts"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |found| part(at, found))
        })
        .collect()
}

#[test]
fn a_recording_of_several_windows_is_answered_as_runners_answer() {
    let (reference, directory) = (reference(), directory());
    let settings = ModelSettings {
        pipeline: "audio-to-text".into(),
        model_id: "openai/whisper-tiny".into(),
        path: directory.path().to_owned(),
        device: host::job::Device::Cpu,
        threads: 0,
    };
    let model = load(&settings).unwrap();
    let expected = sentences(&reference);
    let text: String = expected
        .iter()
        .map(|chunk| chunk["text"].as_str().unwrap())
        .collect();
    for given in [
        None,
        Some(json!("true")),
        Some(json!("1")),
        Some(json!("Sentence")),
        Some(json!(true)),
    ] {
        let answer = ask(&*model, &signal(3.3), given);
        assert_eq!(answer, json!({ "text": text, "chunks": expected }));
    }
    for given in [json!("false"), json!("0"), json!(false)] {
        let answer = ask(&*model, &signal(3.3), Some(given));
        assert_eq!(answer, json!({ "text": text, "chunks": [] }));
    }
}

#[test]
fn words_start_where_the_reference_hears_them() {
    let (reference, model) = (reference(), model());
    let samples = signal(3.3);
    let names: Vec<String> = serde_json::from_value(reference["text"].clone()).unwrap();
    let mut expected = Vec::new();
    for window in reference["long"].as_array().unwrap() {
        let text: Vec<u32> = window["parts"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|part| tokens(&part[2]))
            .collect();
        let starts = tokens(&window["starts"]);
        let seconds = |step: u32| {
            let seconds = window["at"].as_f64().unwrap() * 0.01 + f64::from(step) * 0.02;
            (seconds * 100.0).round() / 100.0
        };
        for (at, token) in text.iter().enumerate() {
            let name = names[*token as usize].replace('Ġ', " ");
            let times = (seconds(starts[at]), seconds(starts[at + 1]));
            match expected.last_mut() {
                Some((text, end, _)) if !name.starts_with(' ') && at > 0 => {
                    *text = format!("{text}{name}");
                    *end = times.1;
                }
                _ => expected.push((name, times.1, times.0)),
            }
        }
    }
    let expected: Vec<Value> = expected
        .into_iter()
        .map(|(text, end, start)| json!({ "timestamp": [start, end], "text": text }))
        .collect();
    let answer = ask(&model, &samples, Some(json!("word")));
    assert_eq!(answer["chunks"], json!(expected));
}

#[test]
fn an_unknown_kind_of_timestamps_is_blamed_on_the_input() {
    let mut fields = Map::new();
    fields.insert("return_timestamps".into(), json!("letters"));
    let request = Request {
        fields: &fields,
        file: &wav(&[0.0; 100]),
        parts: &Waiting::forever(),
    };
    let error = model().run(&request).unwrap_err();
    assert_eq!(error.blame, Blame::Input);
    assert!(error.text.contains("letters"), "{error}");
}

#[test]
fn nothing_is_computed_for_nobody() {
    let model = model();
    let run = |waits: usize| {
        let waiting = Waiting(Mutex::new(waits));
        let request = Request {
            fields: &Map::new(),
            file: &wav(&signal(3.3)),
            parts: &waiting,
        };
        (model.run(&request).is_err(), *waiting.0.lock())
    };
    for waits in [0, 1, 2, 20] {
        assert_eq!(
            run(waits),
            (true, 0),
            "stops when the caller goes after {waits} steps"
        );
    }
}

#[test]
fn a_model_of_english_alone_gets_no_language() {
    let reference = reference();
    let directory = tempfile::tempdir().unwrap();
    model_files(directory.path(), &reference);
    std::fs::write(
        directory.path().join("generation_config.json"),
        "{\"is_multilingual\":false}",
    )
    .unwrap();
    let model = Whisper::read(directory.path(), Device::Cpu).unwrap();
    let samples = signal(0.75);
    let waiting = Waiting::forever();
    let transcription = Transcription::new(&model, &samples, false, &waiting);
    let encoded = model.encode(&samples).unwrap();
    let written = transcription
        .write(model.network.listen(&encoded).unwrap())
        .unwrap();
    assert_eq!(written.language, None);
    assert!(!written.tokens.is_empty());
}

#[test]
fn times_come_in_pairs_and_in_order() {
    let model = model();
    let rules = super::rules::Rules {
        vocabulary: &model.vocabulary,
        config: &model.config,
    };
    let size = model.config.vocab_size;
    let (end, times) = (
        model.vocabulary.end as usize,
        model.vocabulary.times() as usize,
    );
    let possible = |written: &[u32]| -> Vec<usize> {
        // text is so likely that no sum of times outweighs it
        let mut logits: Vec<f32> = (0..size)
            .map(|token| if token <= end { 20.0 } else { 0.0 })
            .collect();
        rules.apply(&mut logits, written);
        (0..size)
            .filter(|token| logits[*token] > f32::NEG_INFINITY)
            .collect()
    };
    let time = |step: usize| (times + step) as u32;
    assert_eq!(
        possible(&[]),
        (times..=times + 20).collect::<Vec<_>>(),
        "first an early time"
    );
    assert!(
        possible(&[time(3)]).iter().all(|token| *token <= end),
        "then text"
    );
    let later: Vec<usize> = possible(&[time(3), 7])
        .into_iter()
        .filter(|token| *token >= times)
        .collect();
    assert_eq!(
        later,
        (times + 4..size).collect::<Vec<_>>(),
        "text takes time"
    );
    let after = possible(&[time(3), 7, time(9)]);
    assert_eq!(
        after,
        std::iter::once(end)
            .chain(times + 9..size)
            .collect::<Vec<_>>()
    );
    assert!(
        possible(&[time(3), 7])
            .iter()
            .all(|token| ![5, 6].contains(token)),
        "never these"
    );
    assert!(
        possible(&[time(50), 7]).iter().all(|token| *token < times),
        "no time after the last"
    );
}

#[test]
fn nothing_possible_ends_the_text() {
    assert_eq!(best(&[f32::NEG_INFINITY, f32::NAN]), None);
    assert_eq!(best(&[-2.0, -1.0, -1.0]), Some((1, -1.0)));
}

#[test]
fn windows_always_go_on_and_never_past_the_end() {
    let model = model();
    let time = |step: u32| model.vocabulary.times() + step;
    let cut = |written: &[u32], frames| segments::cut(written, &model.vocabulary, frames);
    assert_eq!(cut(&[], 100), (Vec::new(), 100));
    assert_eq!(
        cut(&[time(0), 1, time(2), time(2), 3], 100).1,
        10,
        "at least a little"
    );
    assert_eq!(cut(&[time(0), 1, time(2), time(2), 3], 5).1, 5);
    let (parts, advance) = cut(
        &[time(0), 1, time(20), time(25), 3, time(40), time(40), 4],
        100,
    );
    assert_eq!(advance, 80, "the third part is left to the next window");
    assert_eq!(
        parts
            .iter()
            .map(|part| (part.start, part.end))
            .collect::<Vec<_>>(),
        [(0, 20), (25, 40)]
    );
    let (parts, advance) = cut(&[time(4), 1, time(45)], 60);
    assert_eq!(
        (parts[0].start, parts[0].end, advance),
        (4, 30, 60),
        "no time after the sound"
    );
}

#[test]
fn alignment_follows_the_path_of_attention() {
    // three tokens that look at two, one and three positions in turn
    let row = |from: usize, to: usize| -> Vec<f32> {
        (0..6)
            .map(|at| if (from..to).contains(&at) { 1.0 } else { -1.0 })
            .collect()
    };
    assert_eq!(words::starts(&[row(0, 2), row(2, 3), row(3, 6)]), [0, 2, 3]);
    assert_eq!(words::starts(&[vec![], vec![]]), [0, 0]);
    assert_eq!(words::starts(&[]), [] as [u32; 0]);
}

#[test]
fn unusable_directories_say_what_is_wrong() {
    let reference = reference();
    let broken = |change: &dyn Fn(&Path)| {
        let directory = tempfile::tempdir().unwrap();
        model_files(directory.path(), &reference);
        change(directory.path());
        Whisper::read(directory.path(), Device::Cpu).err().unwrap()
    };
    let changed = |key: &str, value: Value| {
        let mut config = reference["config"].clone();
        config[key] = value;
        broken(&|path| std::fs::write(path.join("config.json"), config.to_string()).unwrap())
    };
    let remove =
        |name: &'static str| broken(&|path| std::fs::remove_file(path.join(name)).unwrap());
    assert!(matches!(
        changed("model_type", json!("bert")),
        NativeError::Architecture { .. }
    ));
    assert!(matches!(
        changed("decoder_attention_heads", json!(3)),
        NativeError::Weights { .. }
    ));
    assert!(matches!(
        changed("max_source_positions", json!(1u64 << 40)),
        NativeError::Weights { .. }
    ));
    assert!(matches!(
        changed("d_model", json!(32)),
        NativeError::Weights { .. }
    ));
    assert!(matches!(
        changed("vocab_size", json!(50)),
        NativeError::Weights { .. }
    ));
    assert!(matches!(remove("config.json"), NativeError::File { .. }));
    assert!(matches!(
        remove("tokenizer.json"),
        NativeError::Empty { .. }
    ));
    assert!(matches!(
        remove("model.safetensors"),
        NativeError::Empty { .. }
    ));
    let cut = broken(&|path| {
        let path = path.join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(matches!(cut, NativeError::Weights { .. }), "{cut}");
}

#[test]
fn what_is_needed_is_known_before_loading() {
    let directory = directory();
    let size = inspect(directory.path()).unwrap();
    let whole = std::fs::metadata(directory.path().join("model.safetensors"))
        .unwrap()
        .len();
    assert_eq!(size.weights, whole);
    let apart = size.memory.abs_diff(whole) as f64 / whole as f64;
    assert!(
        apart < 0.2,
        "estimated {}, stored as floats {whole}",
        size.memory
    );
    assert!(size.per_request > crate::audio::MEMORY);
}
