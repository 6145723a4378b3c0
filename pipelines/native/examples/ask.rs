//! Asks a native model from the command line: `ask <pipeline> <path> <fields as JSON> [file]`. Prints the answer and the time.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool for the desk"
)]

use std::time::Instant;

use host::job::{Device, ModelSettings};
use host::worker::Unwanted;
use orchestrion_native::{Parts, Request, load};
use serde_json::Value;

struct Print;

impl Parts for Print {
    fn send(&self, part: &Value) -> Result<(), Unwanted> {
        print!(
            "{}",
            part["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or("")
        );
        Ok(())
    }

    fn check(&self) -> Result<(), Unwanted> {
        Ok(())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let settings = ModelSettings {
        pipeline: arguments[0].clone(),
        model_id: "m".into(),
        path: arguments[1].clone().into(),
        device: Device::Cpu,
        threads: 0,
    };
    let begun = Instant::now();
    let model = load(&settings).unwrap();
    eprintln!("loaded in {:?}", begun.elapsed());
    let file = arguments.get(3).map(|path| std::fs::read(path).unwrap());
    let fields: serde_json::Map<_, _> = serde_json::from_str(&arguments[2]).unwrap();
    let begun = Instant::now();
    let request = Request {
        fields: &fields,
        file: file.as_deref().unwrap_or(&[]),
        parts: &Print,
    };
    let answer = model.run(&request).unwrap();
    eprintln!("answered in {:?}", begun.elapsed());
    println!("{answer}");
}
