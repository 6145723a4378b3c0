//! The chat template that a model's file carries: from messages to the text that the model was trained on.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};

use super::dialect::Dialect;
use super::options::Message;

/// What most small models use, for files without a template.
const CHAT_ML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
/// Steps of a template's interpreter; what loops longer is no template.
const FUEL: u64 = 1 << 20;
const NAME: &str = "chat";

/// A compiled template.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    pub(super) fn new(source: Option<String>, dialect: &Dialect) -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .build()?,
        );
        environment.set_fuel(Some(FUEL));
        environment.add_function("raise_exception", raise);
        environment.add_template_owned(NAME, source.unwrap_or_else(|| CHAT_ML.to_owned()))?;
        Ok(Self {
            environment,
            bos: dialect.bos.clone(),
            eos: dialect.eos.clone(),
        })
    }

    pub(super) fn render(&self, messages: &[Message]) -> Result<String, minijinja::Error> {
        self.environment.get_template(NAME)?.render(context! {
            messages => Value::from(Serde(messages)),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        })
    }
}

/// Templates refuse a wrong order of roles by this.
fn raise(text: String) -> Result<String, minijinja::Error> {
    Err(minijinja::Error::new(
        minijinja::ErrorKind::InvalidOperation,
        text,
    ))
}
