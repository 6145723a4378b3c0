//! `orchestrion ask`: an AI request to a node, as a gateway without an account sends it. The answer of a language model is printed as
//! it comes; files of other answers are fetched and saved.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use lexopt::prelude::*;
use prost::Message;
use protocol::ai::{BodyKind, Pipeline};
use protocol::capabilities::{Capabilities, Capability, ModelConstraint};
use protocol::discovery::off_chain_request;
use protocol::pb;
use protocol::segment::SegmentCredentials;
use protocol::signature::keccak256;
use reqwest::multipart::{Form, Part};
use serde_json::{Map, Value, json};

use super::push::transport::Transport;
use super::{Tool, print};
use crate::dial::{DialError, causes};

const HELP: &str = "\
usage: orchestrion ask --model ID [OPTIONS] [QUESTION]

  --orch URL         the node (https://127.0.0.1:8935)
  --pipeline NAME    llm (default), upscale, …: any batch pipeline of the network
  --model ID         the model
  --max-tokens N     llm: most tokens of the answer (256)
  --temperature T    llm: 0 takes the likeliest token always (0.7)
  --field NAME=TEXT  a further field of the request; may be given several times
  --file FILE        the picture or recording, where the pipeline takes one
  --out FILE         where the first picture, sound or video of the answer is saved
  -v N               log level, 1 to 6 (2)

Sends one request as a gateway without an account does, off-chain. QUESTION is a language model's message, and the prompt of other
pipelines.

exit codes: 0 answered, 1 not, 2 wrong use
";

struct Options {
    orchestrator: String,
    pipeline: Pipeline,
    model: String,
    fields: Map<String, Value>,
    file: Option<PathBuf>,
    out: Option<PathBuf>,
    verbosity: i32,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("{url} was not found: {why}")]
    Discovery { url: String, why: String },
    #[error(
        "{url} does not serve {model} for {pipeline} now; its operator sees why at /api/v1/models"
    )]
    NotServed {
        url: String,
        pipeline: Pipeline,
        model: String,
    },
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the request was lost: {0}")]
    Lost(String),
    #[error("refused with status {status}: {text}")]
    Refused { status: u16, text: String },
    #[error("the answer has no use: {0}")]
    Answer(String),
}

fn lost(error: reqwest::Error) -> Fault {
    Fault::Lost(causes(&error))
}

/// Runs the command.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let tool = Tool {
        name: "ask",
        help: HELP,
        read: Options::read,
        verbosity: |options: &Options| options.verbosity,
    };
    tool.run(arguments, async |options| run(options).await.map(|()| true))
}

async fn run(options: &Options) -> Result<(), Fault> {
    let transport = Transport::new()?;
    let info = discover(options, &transport).await?;
    let request = transport
        .segments
        .post(format!("{}{}", info.transcoder, options.pipeline.path()))
        .header("livepeer-segment", credentials(options, info.auth_token))
        .header("livepeer-payment", "")
        .header("authorization", "Livepeer-AI-Worker-1.0");
    let request = match options.pipeline.body() {
        BodyKind::Json => request.json(&options.fields),
        BodyKind::Image | BodyKind::Audio => request.multipart(form(options)?),
    };
    let response = request.send().await.map_err(lost)?;
    let status = response.status().as_u16();
    if status != 200 {
        let text = response.text().await.map_err(lost)?;
        let text = text.trim().to_owned();
        return Err(Fault::Refused { status, text });
    }
    if options.fields.get("stream") == Some(&Value::Bool(true)) {
        return tell(response).await;
    }
    let value: Value = response.json().await.map_err(lost)?;
    let url = [&value["images"][0]["url"], &value["audio"]["url"]];
    let url = url.into_iter().find_map(Value::as_str);
    match (url, &options.out) {
        (Some(url), Some(path)) => {
            let fetched = transport.downloads.get(url).send().await.map_err(lost)?;
            let bytes = fetched.bytes().await.map_err(lost)?;
            std::fs::write(path, &bytes).map_err(|source| Fault::File {
                path: path.clone(),
                source,
            })?;
            print(&format!("{} bytes in {}\n", bytes.len(), path.display()));
        }
        _ => print(&format!("{value:#}\n")),
    }
    Ok(())
}

/// Prints the parts of a language model's answer as they come.
async fn tell(response: reqwest::Response) -> Result<(), Fault> {
    let mut chunks = response.bytes_stream();
    let mut buffer = Vec::new();
    while let Some(chunk) = chunks.next().await {
        buffer.extend_from_slice(&chunk.map_err(lost)?);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let Some(part) = line.strip_prefix(b"data: ") else {
                continue;
            };
            let part: Value =
                serde_json::from_slice(part).map_err(|error| Fault::Answer(error.to_string()))?;
            let choice = &part["choices"][0];
            print(choice["delta"]["content"].as_str().unwrap_or_default());
            // A reader that has gone away is no error.
            let _ = std::io::stdout().flush();
            if choice["finish_reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty())
            {
                let usage = &part["usage"];
                print(&format!(
                    "\n[{} tokens of {}]\n",
                    usage["completion_tokens"], usage["total_tokens"]
                ));
            }
        }
    }
    Ok(())
}

/// What a gateway demands of a node with this model.
fn demand(options: &Options) -> Capabilities {
    let capability = options.pipeline.capability();
    let wanted = Capability::VIDEO_DEFAULT.iter().copied();
    let mut demand = Capabilities::of(wanted.chain([capability]).collect(), "");
    let models = [(options.model.clone(), ModelConstraint::default())];
    demand.models.insert(capability.number(), models.into());
    demand
}

async fn discover(options: &Options, transport: &Transport) -> Result<pb::OrchestratorInfo, Fault> {
    let url = options.orchestrator.clone();
    let mut client = transport.rpc(&url).await?;
    let demand = demand(options);
    let info = client.get_orchestrator(off_chain_request(&demand)).await;
    let info = info.map_err(|status| Fault::Discovery {
        url: url.clone(),
        why: status.message().to_owned(),
    })?;
    let info = info.into_inner();
    let offered = Capabilities::from_pb(info.capabilities.clone());
    let number = options.pipeline.capability().number();
    let served = offered.models.get(&number);
    let served = served.is_some_and(|models| models.contains_key(&options.model));
    if !served || demand.satisfied_by(&offered).is_err() {
        return Err(Fault::NotServed {
            url,
            pipeline: options.pipeline,
            model: options.model.clone(),
        });
    }
    Ok(info)
}

/// The header of an AI request: an empty segment of a stream that is named after the model.
fn credentials(options: &Options, auth_token: Option<pb::AuthToken>) -> String {
    let data = SegmentCredentials {
        manifest_id: options.pipeline.manifest(&options.model).into_bytes(),
        seq: 0,
        hash: keccak256(b""),
        profiles: Vec::new(),
        duration_ms: 0,
        capabilities: demand(options),
        auth_token,
        clip: None,
        storage: None,
        calc_perceptual_hash: false,
        force_reinit: false,
        sig: Vec::new(),
    };
    STANDARD.encode(data.to_pb().encode_to_vec())
}

fn form(options: &Options) -> Result<Form, Fault> {
    let mut form = Form::new();
    if let (Some(name), Some(path)) = (options.pipeline.body().file(), &options.file) {
        let bytes = std::fs::read(path).map_err(|source| Fault::File {
            path: path.clone(),
            source,
        })?;
        let given = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        form = form.part(
            name,
            Part::bytes(bytes).file_name(given.unwrap_or_default()),
        );
    }
    for (name, value) in &options.fields {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        form = form.text(name.clone(), text);
    }
    Ok(form)
}

impl Options {
    fn read(arguments: Vec<OsString>) -> Result<Option<Self>, String> {
        let mut orchestrator = "https://127.0.0.1:8935".to_owned();
        let (mut pipeline, mut model) = (Pipeline::Llm, None);
        let (mut file, mut out, mut verbosity) = (None, None, 2);
        let (mut tokens, mut temperature) = (256_i64, 0.7_f64);
        let mut fields = Map::new();
        let mut words = Vec::new();
        let mut parser = lexopt::Parser::from_args(arguments);
        let wrong = |error: lexopt::Error| error.to_string();
        while let Some(argument) = parser.next().map_err(wrong)? {
            let name = match argument {
                Value(word) => {
                    words.push(word.to_string_lossy().into_owned());
                    continue;
                }
                Short('h') | Long("help") => return Ok(None),
                Short('v') => "v".to_owned(),
                Long(name) => name.to_owned(),
                other => return Err(other.unexpected().to_string()),
            };
            let text = parser
                .value()
                .and_then(|value| value.string())
                .map_err(wrong)?;
            match name.as_str() {
                "orch" => orchestrator = text,
                "pipeline" => {
                    pipeline = Pipeline::from_name(&text)
                        .ok_or_else(|| format!("pipeline {text:?} is not known"))?;
                }
                "model" => model = Some(text),
                "max-tokens" => tokens = number(&text)?,
                "temperature" => temperature = number(&text)?,
                "field" => {
                    let (name, value) = text
                        .split_once('=')
                        .ok_or_else(|| format!("--field {text:?} must be NAME=TEXT"))?;
                    fields.insert(name.to_owned(), value.into());
                }
                "file" => file = Some(text.into()),
                "out" => out = Some(text.into()),
                "v" => verbosity = number(&text)?,
                other => return Err(format!("no option --{other}; `orchestrion ask --help`")),
            }
        }
        let model = model.ok_or("--model is missing")?;
        fields.insert(pipeline.model_field().to_owned(), model.as_str().into());
        let question = words.join(" ");
        match pipeline {
            Pipeline::Llm if question.is_empty() => return Err("the question is missing".into()),
            Pipeline::Llm => {
                let message = json!({ "role": "user", "content": question });
                fields.insert("messages".into(), json!([message]));
                fields.insert("max_tokens".into(), tokens.into());
                fields.insert("temperature".into(), temperature.into());
                fields.insert("stream".into(), true.into());
            }
            Pipeline::TextToSpeech => {
                fields.insert("text".into(), question.into());
            }
            _ => {
                fields.insert("prompt".into(), question.into());
            }
        }
        if pipeline.body().file().is_some() && file.is_none() {
            return Err(format!("{pipeline} takes a file: give it with --file"));
        }
        Ok(Some(Self {
            orchestrator,
            pipeline,
            model,
            fields,
            file,
            out,
            verbosity,
        }))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text:?} must be a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Option<Options>, String> {
        Options::read(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (words, text) in [
            (&["hello"][..], "--model"),
            (&["--model", "m"], "question"),
            (&["--model", "m", "--pipeline", "fish", "x"], "fish"),
            (&["--model", "m", "--pipeline", "upscale"], "--file"),
            (&["--model", "m", "--field", "x", "q"], "--field"),
            (&["--model", "m", "--max-tokens", "many", "q"], "many"),
        ] {
            let mistake = read(words).err().expect("a mistake");
            assert!(mistake.contains(text), "{mistake}");
        }
        let good = read(&["--model", "m", "two", "words"])
            .expect("good")
            .expect("options");
        assert_eq!(good.fields["messages"][0]["content"], "two words");
    }
}
