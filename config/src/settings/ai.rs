//! AI models: which ones, what answers for them, what they cost. The JSON of `-aiModels` is the reference's with one field more,
//! `runner`; numbers of prices are taken as they are written, so that they stay exact.

use super::prices::{Currency, Price};
use super::{Reader, Roles};
use crate::decimal::Decimal;
use crate::kind::list_items;
use crate::money::Account;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use url::Url;

/// Batch pipelines of the network.
pub const PIPELINES: [&str; 9] = [
    "text-to-image",
    "image-to-image",
    "image-to-video",
    "upscale",
    "audio-to-text",
    "segment-anything-2",
    "llm",
    "image-to-text",
    "text-to-speech",
];
/// The pipeline of live video, which has no batch requests.
const LIVE: &str = "live-video-to-video";
/// Pipelines whose entries are left out: live video has no batch requests, and frames are not made into a video yet.
const NOT_SERVED: [&str; 2] = [LIVE, "image-to-video"];
/// Most requests at once of one entry.
const CAPACITY_MOST: u32 = 1024;

/// The AI side of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ai {
    /// Models by pipeline and ID; several entries may share both.
    pub models: Vec<AiModel>,
    /// The file that `-aiModels` names; `None` where it is a list, or empty.
    pub file: Option<PathBuf>,
    /// Where weights are (`-aiModelsDir`).
    pub models_dir: PathBuf,
    /// Images of runner containers.
    pub images: Images,
    /// Containers that share one GPU.
    pub per_gpu: u32,
    /// Log what containers say.
    pub verbose: bool,
    /// Threads of each native model; `None` = one per two cores.
    pub threads: Option<u32>,
    /// Memory of all native models together, bytes; `None` = three quarters of the machine's.
    pub memory: Option<u64>,
}

/// Images of runner containers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Images {
    /// For pipelines without one of their own.
    pub default: String,
    /// By pipeline.
    pub batch: BTreeMap<String, String>,
    /// By model of live video.
    pub live: BTreeMap<String, String>,
}

/// What answers for a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A container that the node starts.
    Container,
    /// A runner that the operator runs elsewhere.
    External {
        /// Base URL.
        #[serde(serialize_with = "without_credentials")]
        url: Url,
        /// Sent as a bearer token.
        token: Option<Secret>,
    },
    /// A process of the node's own.
    Native,
}

/// One entry of `-aiModels`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AiModel {
    /// One of [`PIPELINES`].
    pub pipeline: String,
    /// Exact.
    pub model_id: String,
    /// Started with the node, and again when it dies.
    pub warm: bool,
    /// What answers.
    pub backend: Backend,
    /// Requests at once.
    pub capacity: u32,
    /// Environment of containers.
    pub flags: BTreeMap<String, String>,
    /// The gateway that the price is for; `None` = all.
    pub gateway: Option<Account>,
    /// `None`: the base price.
    pub price: Option<Price>,
}

/// Whoever reads the settings sees where a runner is, but not with which password.
fn without_credentials<S: serde::Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    let mut url = url.clone();
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    serializer.collect_str(&url)
}

#[derive(Deserialize)]
struct Entry<'e> {
    pipeline: String,
    model_id: String,
    #[serde(default)]
    warm: bool,
    #[serde(default)]
    url: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    capacity: u32,
    #[serde(default)]
    optimization_flags: BTreeMap<String, Flag>,
    #[serde(default)]
    gateway: String,
    #[serde(default, borrow)]
    price_per_unit: Option<&'e RawValue>,
    #[serde(default, borrow)]
    pixels_per_unit: Option<&'e RawValue>,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    runner: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Text(String),
    Bool(bool),
}

pub(super) fn read(reader: &mut Reader<'_>, roles: &Roles, data_dir: &Path) -> Ai {
    let text = reader.text("aiModels").trim().to_owned();
    let models_dir = reader
        .path("aiModelsDir")
        .unwrap_or_else(|| data_dir.join("models"));
    let wanted = roles.orchestrator || roles.ai_worker;
    let (models, file) = if text.is_empty() || !wanted {
        (Vec::new(), None)
    } else {
        models(reader, &text)
    };
    if roles.ai_worker && models.is_empty() {
        reader.wrong(
            "aiWorker",
            "serves models, which -aiModels names; give them, or leave -aiWorker out",
        );
    }
    let threads = reader.number::<u32>("aiThreads");
    Ai {
        models,
        file,
        models_dir,
        images: images(reader),
        per_gpu: reader.number("aiRunnerContainersPerGPU").unwrap_or(1),
        verbose: reader.bool("aiVerboseLogs"),
        threads: threads.filter(|threads| *threads > 0),
        memory: Some(reader.bytes("aiMemory")).filter(|bytes| *bytes > 0),
    }
}

/// The models, and the file that they are from.
fn models(reader: &mut Reader<'_>, text: &str) -> (Vec<AiModel>, Option<PathBuf>) {
    let path = reader.directory.join(text);
    let content = crate::path_or_value::content(reader.directory, text);
    let json = content.as_deref().unwrap_or(text);
    let entries = if json.trim_start().starts_with('[') {
        from_json(json)
    } else if content.is_some() {
        Err("must be a JSON list of models".to_owned())
    } else {
        from_list(text)
    };
    let file = content.is_some().then_some(path);
    let entries = match entries {
        Ok(entries) => entries,
        Err(mistake) => {
            reader.wrong("aiModels", &mistake);
            return (Vec::new(), file);
        }
    };
    let mut models: Vec<AiModel> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        match entry {
            Ok(Some(model)) => {
                let same = |other: &&AiModel| {
                    (&other.pipeline, &other.model_id) == (&model.pipeline, &model.model_id)
                };
                if models
                    .iter()
                    .find(same)
                    .is_some_and(|other| other.warm != model.warm)
                {
                    reader.wrong(
                        "aiModels",
                        &format!("entry {index}: its model is both warm and cold; choose one"),
                    );
                }
                models.push(model);
            }
            Ok(None) => reader.report.warn(format!(
                "-aiModels: entry {index}: its pipeline is not in this build, left out"
            )),
            Err(mistake) => reader.wrong("aiModels", &format!("entry {index}: {mistake}")),
        }
    }
    (models, file)
}

type Parsed = Result<Option<AiModel>, String>;

fn from_json(json: &str) -> Result<Vec<Parsed>, String> {
    // Texts of errors hold values, and values may be tokens: nothing of an entry is repeated.
    let entries: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("is no JSON list: look at line {line}, column {column}")
    })?;
    let parsed = entries.into_iter().map(|raw| {
        let entry: Entry<'_> =
            serde_json::from_str(raw.get()).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                format!("pipeline or model_id is missing, or a field is of the wrong kind: look at its line {line}, column {column}")
            })?;
        model(entry)
    });
    Ok(parsed.collect())
}

/// `pipeline:model:warm`, parted by commas.
fn from_list(text: &str) -> Result<Vec<Parsed>, String> {
    let parsed = list_items(text).map(|item| {
        let parts: Vec<&str> = item.split(':').collect();
        let &[pipeline, model_id, warm] = parts.as_slice() else {
            return Err("must be pipeline:model_id:warm".to_owned());
        };
        let warm = crate::go_values::boolean(warm).ok_or("warm must be true or false")?;
        model(Entry {
            pipeline: pipeline.to_owned(),
            model_id: model_id.to_owned(),
            warm,
            url: String::new(),
            token: String::new(),
            capacity: 1,
            optimization_flags: BTreeMap::new(),
            gateway: String::new(),
            price_per_unit: None,
            pixels_per_unit: None,
            currency: String::new(),
            runner: String::new(),
        })
    });
    Ok(parsed.collect())
}

/// `None` for a pipeline that is not served.
fn model(entry: Entry<'_>) -> Parsed {
    if NOT_SERVED.contains(&entry.pipeline.as_str()) {
        return Ok(None);
    }
    if !PIPELINES.contains(&entry.pipeline.as_str()) {
        return Err(format!(
            "its pipeline is not known; known are {}",
            PIPELINES.join(", ")
        ));
    }
    if entry.model_id.is_empty() || entry.model_id.chars().any(char::is_control) {
        return Err("model_id is missing or has control characters".to_owned());
    }
    if entry.capacity > CAPACITY_MOST {
        return Err(format!("capacity must be 1 to {CAPACITY_MOST}"));
    }
    let gateway = match entry.gateway.as_str() {
        "" | "default" => None,
        text => Some(Account::parse(text).map_err(|wanted| format!("gateway {wanted}"))?),
    };
    Ok(Some(AiModel {
        backend: backend(&entry)?,
        price: price(&entry)?,
        pipeline: entry.pipeline,
        model_id: entry.model_id,
        warm: entry.warm,
        capacity: entry.capacity.max(1),
        flags: entry
            .optimization_flags
            .into_iter()
            .map(|(name, flag)| match flag {
                Flag::Text(text) => (name, text),
                Flag::Bool(value) => (name, value.to_string()),
            })
            .collect(),
        gateway,
    }))
}

fn backend(entry: &Entry<'_>) -> Result<Backend, String> {
    match (entry.runner.as_str(), entry.url.as_str()) {
        ("" | "container", "") => Ok(Backend::Container),
        ("native", "") => Ok(Backend::Native),
        ("" | "external", url) if !url.is_empty() => {
            let url = Url::parse(url).ok();
            let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            let url = url.ok_or("url must be http://host:port or https://host:port")?;
            let token = (!entry.token.is_empty()).then(|| Secret::new(entry.token.as_str()));
            Ok(Backend::External { url, token })
        }
        ("external", _) => Err("runner external needs a url".to_owned()),
        ("container" | "native", _) => {
            Err("a url is for runner external; leave one of them out".to_owned())
        }
        _ => Err("its runner is not known; known are container, external, native".to_owned()),
    }
}

fn price(entry: &Entry<'_>) -> Result<Option<Price>, String> {
    let number = |raw: &RawValue, name: &str| {
        Decimal::parse(raw.get().trim_matches('"'))
            .ok_or_else(|| format!("{name} must be a number, 0 or more, of at most 38 digits"))
    };
    let Some(amount) = entry.price_per_unit else {
        return Ok(None);
    };
    let amount = number(amount, "price_per_unit")?;
    if amount.is_zero() {
        return Ok(None);
    }
    let pixels = match entry.pixels_per_unit {
        Some(pixels) => number(pixels, "pixels_per_unit")?,
        None => Decimal::ONE,
    };
    if pixels.is_zero() {
        return Err("pixels_per_unit must be above 0".to_owned());
    }
    let currency = Currency::parse(&entry.currency).ok_or("currency must be letters, as USD")?;
    Ok(Some(Price {
        amount,
        currency,
        pixels,
    }))
}

fn images(reader: &mut Reader<'_>) -> Images {
    let text = reader.value_or_file("aiRunnerImageOverrides");
    let mut images = if text.is_empty() {
        Images::default()
    } else {
        serde_json::from_str(&text).unwrap_or_else(|error| {
            reader.wrong(
                "aiRunnerImageOverrides",
                &format!(r#"must be {{"default":"…","batch":{{"llm":"…"}},"live":{{}}}}: {error}"#),
            );
            Images::default()
        })
    };
    if images.default.is_empty() {
        reader.text("aiRunnerImage").clone_into(&mut images.default);
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(json: &str) -> Result<AiModel, String> {
        let mut parsed = from_json(&format!("[{json}]"))?;
        parsed.remove(0).map(|model| model.expect("batch"))
    }

    #[test]
    fn an_entry_of_the_reference_is_read_as_it_stands() {
        let model = one(
            r#"{"pipeline":"text-to-image","model_id":"a/b","warm":true,"capacity":2,
                "price_per_unit":4768371,"pixels_per_unit":1e3,"currency":"usd",
                "url":"http://10.0.0.5:8000","token":"t",
                "optimization_flags":{"SFAST":true,"X":"y"},"something":"else"}"#,
        )
        .unwrap();
        assert_eq!(model.capacity, 2);
        assert_eq!(model.flags["SFAST"], "true");
        assert_eq!(
            model.price.unwrap().to_string(),
            "4768371 USD for 1000 pixels"
        );
        let Backend::External { url, token } = model.backend else {
            panic!("external")
        };
        assert_eq!(
            (url.as_str(), token.unwrap().expose()),
            ("http://10.0.0.5:8000/", "t")
        );
    }

    #[test]
    fn what_answers_follows_from_url_and_runner() {
        let backend = |more: &str| {
            one(&format!(r#"{{"pipeline":"llm","model_id":"m"{more}}}"#)).map(|model| model.backend)
        };
        assert_eq!(backend(""), Ok(Backend::Container));
        assert_eq!(backend(r#","runner":"native""#), Ok(Backend::Native));
        assert!(backend(r#","runner":"native","url":"http://x""#).is_err());
        assert!(backend(r#","runner":"external""#).is_err());
        assert!(backend(r#","runner":"else""#).is_err());
        assert!(backend(r#","url":"file:///etc""#).is_err());
    }

    #[test]
    fn mistakes_name_what_is_wrong() {
        for (json, text) in [
            (r#"{"pipeline":"llm"}"#, "model_id"),
            (
                r#"{"pipeline":"text-to-fish","model_id":"m"}"#,
                "text-to-image",
            ),
            (r#"{"pipeline":"llm","model_id":""}"#, "model_id"),
            (
                r#"{"pipeline":"llm","model_id":"m","capacity":5000}"#,
                "capacity",
            ),
            (
                r#"{"pipeline":"llm","model_id":"m","gateway":"0x1"}"#,
                "gateway",
            ),
            (
                r#"{"pipeline":"llm","model_id":"m","price_per_unit":"x"}"#,
                "price_per_unit",
            ),
            (
                r#"{"pipeline":"llm","model_id":"m","price_per_unit":1,"pixels_per_unit":0}"#,
                "pixels_per_unit",
            ),
            (
                r#"{"pipeline":"llm","model_id":"m","price_per_unit":1,"currency":"€"}"#,
                "currency",
            ),
        ] {
            let mistake = one(json).unwrap_err();
            assert!(mistake.contains(text), "{json}: {mistake}");
        }
    }

    #[test]
    fn the_short_form_splits_at_every_colon() {
        let mut parsed = from_list("llm:m:true, upscale:n:false").unwrap();
        let second = parsed.remove(1).unwrap().unwrap();
        assert_eq!((second.model_id.as_str(), second.warm), ("n", false));
        assert!(parsed.remove(0).unwrap().unwrap().warm);
        for bad in ["llm:m", "llm:a:b:true", "llm:m:maybe"] {
            assert!(from_list(bad).unwrap().remove(0).is_err(), "{bad}");
        }
        for missing in ["live-video-to-video:noop:true", "image-to-video:svd:true"] {
            assert_eq!(from_list(missing).unwrap().remove(0), Ok(None));
        }
    }
}
