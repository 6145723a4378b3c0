//! `orchestrion models`: what lies in the directory of models, whether it can be used, and what it would cost in memory.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::{Table, presets};
use host::job::FoundModel;
use protocol::ai::Pipeline;
use runners::installed::{self, InstalledError};

use super::{Tool, print};
use crate::assembly::worker_binary;

const HELP: &str = "\
usage: orchestrion models list -modelsDir DIR
       orchestrion models check PIPELINE MODEL -modelsDir DIR
       orchestrion models fetch-info PIPELINE

list        every native model in the directory, with what it needs
check       whether one can be used; says why not
fetch-info  which files a pipeline wants, and where to put them

  -modelsDir DIR    the directory (models); -aiModelsDir of `run`
  -workerBinary F   orchestrion-worker, where it is not beside this program

exit codes: 0 good, 1 a model cannot be used, 2 wrong use
";

/// Pipelines that run natively, and the files that they want.
const NATIVE: [(Pipeline, &str); 3] = [
    (
        Pipeline::AudioToText,
        "Whisper as Hugging Face lays it out: DIR/MODEL/ with config.json, tokenizer.json and model.safetensors",
    ),
    (
        Pipeline::Llm,
        "a GGUF file of the Llama family (DIR/MODEL.gguf, or one *.gguf in DIR/MODEL/); its tokenizer is read from the file, or from tokenizer.json beside it",
    ),
    (
        Pipeline::Upscale,
        "a residual dense network in TensorFlow.js' layers format: DIR/MODEL/model.json and the .bin that it names",
    ),
];

enum Ask {
    List,
    Check(Pipeline, String),
    FetchInfo(Pipeline),
}

struct Options {
    ask: Ask,
    directory: PathBuf,
    worker: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{directory}: {source}; name another with -modelsDir")]
    Directory {
        directory: PathBuf,
        source: std::io::Error,
    },
}

/// Runs the command.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let tool = Tool {
        name: "models",
        help: HELP,
        read: Options::read,
        verbosity: |_| 2,
    };
    tool.run(arguments, run)
}

async fn run(options: &Options) -> Result<bool, Fault> {
    match &options.ask {
        Ask::FetchInfo(pipeline) => {
            let files = NATIVE.iter().find(|(native, _)| native == pipeline);
            let text = match files {
                Some((_, files)) => format!("{pipeline}: {files}\n"),
                None => {
                    format!("{pipeline}: does not run natively; serve it by a container or a url\n")
                }
            };
            print(&text);
            Ok(files.is_some())
        }
        Ask::Check(pipeline, model) => {
            let found = look(options, *pipeline, model).await;
            match found {
                Ok(found) => {
                    print(&table([(model.clone(), found)]));
                    Ok(true)
                }
                Err(error) => {
                    print(&format!("{error}\n"));
                    Ok(false)
                }
            }
        }
        Ask::List => list(options).await,
    }
}

async fn list(options: &Options) -> Result<bool, Fault> {
    let unreadable = |source| Fault::Directory {
        directory: options.directory.clone(),
        source,
    };
    let mut models = Vec::new();
    for entry in std::fs::read_dir(&options.directory).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.to_string_lossy().into_owned();
        // A Hugging Face cache names models--owner--name.
        let model = match name.strip_prefix("models--") {
            Some(cached) => cached.replacen("--", "/", 1),
            None => name.trim_end_matches(".gguf").to_owned(),
        };
        models.push(model);
    }
    models.sort();
    let mut found = Vec::new();
    for model in models {
        for (pipeline, _) in NATIVE {
            if let Ok(installed) = look(options, pipeline, &model).await {
                found.push((model.clone(), installed));
            }
        }
    }
    print(&table(found));
    Ok(true)
}

async fn look(
    options: &Options,
    pipeline: Pipeline,
    model: &str,
) -> Result<FoundModel, InstalledError> {
    let path = installed::find(&options.directory, model)?;
    let binary = worker_binary(options.worker.as_deref());
    installed::look(&binary, pipeline.name(), model, &path).await
}

fn table(models: impl IntoIterator<Item = (String, FoundModel)>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header([
        "model",
        "pipeline",
        "architecture",
        "weights MiB",
        "memory MiB",
        "per request MiB",
    ]);
    for (model, found) in models {
        table.add_row([
            model,
            found.pipeline,
            found.architecture,
            mib(found.weights),
            mib(found.memory),
            mib(found.per_request),
        ]);
    }
    format!("{table}\n")
}

fn mib(bytes: u64) -> String {
    bytes.div_ceil(1 << 20).to_string()
}

impl Options {
    fn read(arguments: Vec<OsString>) -> Result<Option<Self>, String> {
        let mut directory = PathBuf::from("models");
        let mut worker = None;
        let mut plain = Vec::new();
        let mut words = lexopt::Parser::from_args(super::two_dashes(arguments));
        while let Some(word) = words.next().map_err(|error| error.to_string())? {
            match word {
                lexopt::Arg::Value(value) => plain.push(value.to_string_lossy().into_owned()),
                lexopt::Arg::Long("help" | "h") => return Ok(None),
                lexopt::Arg::Long("modelsDir" | "aiModelsDir") => {
                    directory = words.value().map_err(|error| error.to_string())?.into();
                }
                lexopt::Arg::Long("workerBinary") => {
                    worker = Some(words.value().map_err(|error| error.to_string())?.into());
                }
                other => return Err(other.unexpected().to_string()),
            }
        }
        let pipeline = |name: &str| {
            Pipeline::from_name(name).ok_or_else(|| format!("pipeline {name:?} is not known"))
        };
        let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
        let ask = match plain.as_slice() {
            [] | ["list"] => Ask::List,
            ["check", name, model] => Ask::Check(pipeline(name)?, (*model).to_owned()),
            ["fetch-info", name] => Ask::FetchInfo(pipeline(name)?),
            _ => return Err("say list, check PIPELINE MODEL, or fetch-info PIPELINE".into()),
        };
        Ok(Some(Self {
            ask,
            directory,
            worker,
        }))
    }
}
