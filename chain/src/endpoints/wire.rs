//! JSON-RPC as it travels, and what an error in an answer means for the end point that gave it.

use serde_json::{Map, Value, json};

/// One question: method and parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    pub method: &'static str,
    /// A JSON array.
    pub params: Value,
}

impl Question {
    pub fn new(method: &'static str, params: Value) -> Self {
        Self { method, params }
    }
}

/// An error that a node answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub code: i64,
    pub message: String,
    /// JSON text, empty when absent.
    pub data: String,
}

/// Code of [`too_large`]; outside what JSON-RPC reserves.
const TOO_LARGE: i64 = -39_001;

/// What a node answered.
pub(crate) type Answer = Result<Value, RpcError>;

/// What an error means for the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is the answer; another end point would say the same.
    Answer,
    /// Another end point may know better; if none does, it is the answer.
    AskElsewhere,
    /// The provider has had enough of us.
    Limited,
    /// The provider takes fewer questions in one batch, or none.
    BatchRefused,
}

/// Longest text kept of what a provider says.
const MAX_TEXT: usize = 500;

/// Longest data of an error that is kept: revert data of any contract here is far shorter.
const MAX_DATA: usize = 64 * 1024;

/// The body for `questions`, whose ids count from `first_id`.
pub(super) fn encode(questions: &[&Question], first_id: u64) -> Vec<u8> {
    let object = |(id, question): (u64, &&Question)| {
        json!({
            "jsonrpc": "2.0",
            "id": id,
            "method": question.method,
            "params": question.params,
        })
    };
    let mut objects: Vec<Value> = (first_id..).zip(questions).map(object).collect();
    let body = match objects.len() {
        1 => objects.remove(0),
        _ => Value::Array(objects),
    };
    body.to_string().into_bytes()
}

/// What a body says to `count` questions.
#[derive(Debug, PartialEq)]
pub(super) enum Decoded {
    /// Answers by place; `None` where one is missing.
    Answers(Vec<Option<Answer>>),
    /// One error for the batch as a whole.
    Whole(RpcError),
}

/// Reads the answers to `count` questions whose ids count from `first_id`.
pub(super) fn decode(body: &[u8], first_id: u64, count: usize) -> Result<Decoded, String> {
    let value: Value = serde_json::from_slice(body).map_err(|e| format!("not JSON: {e}"))?;
    let mut answers: Vec<Option<Answer>> = vec![None; count];
    match value {
        Value::Object(reply) if count == 1 => {
            let answer = answer(reply).ok_or("an object that is no JSON-RPC answer")?;
            answers = vec![Some(answer)];
        }
        Value::Object(reply) => match answer(reply) {
            Some(Err(error)) => return Ok(Decoded::Whole(error)),
            _ => return Err("one answer to a batch".to_owned()),
        },
        Value::Array(replies) if count > 1 => {
            for reply in replies {
                let Value::Object(reply) = reply else {
                    continue;
                };
                let id = reply.get("id").and_then(Value::as_u64);
                let place = id.and_then(|id| usize::try_from(id.checked_sub(first_id)?).ok());
                // an answer to nothing we asked is dropped; the first answer to a question counts
                let slot = place.and_then(|place| answers.get_mut(place));
                if let Some(slot @ None) = slot {
                    *slot = answer(reply);
                }
            }
            if answers.iter().all(Option::is_none) {
                return Err("a batch without a usable answer".to_owned());
            }
        }
        _ => return Err("neither an object nor the array asked for".to_owned()),
    }
    Ok(Decoded::Answers(answers))
}

/// `result`, present even when null, or `error`.
fn answer(mut reply: Map<String, Value>) -> Option<Answer> {
    match reply.remove("error") {
        None | Some(Value::Null) => reply.remove("result").map(Ok),
        Some(Value::Object(error)) => {
            let text = |name: &str, longest: usize| match error.get(name) {
                Some(Value::String(text)) => cut(text, longest),
                Some(Value::Null) | None => String::new(),
                Some(other) => cut(&other.to_string(), longest),
            };
            let data = match error.get("data") {
                None | Some(Value::Null) => String::new(),
                Some(data) => cut(&data.to_string(), MAX_DATA),
            };
            let code = error.get("code");
            let code = code
                .and_then(Value::as_i64)
                .or_else(|| code?.as_str()?.parse().ok());
            Some(Err(RpcError {
                code: code.unwrap_or(0),
                message: text("message", MAX_TEXT),
                data,
            }))
        }
        Some(other) => Some(Err(RpcError {
            code: 0,
            message: cut(&other.to_string(), MAX_TEXT),
            data: String::new(),
        })),
    }
}

/// At most `longest` bytes of a text, whole characters, control characters made visible.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    let end = text.floor_char_boundary(longest);
    let kept = text.get(..end).unwrap_or_default();
    if kept.chars().any(char::is_control) {
        kept.escape_debug().to_string()
    } else {
        kept.to_owned()
    }
}

/// Texts of providers that have had enough of us or do not know us.
const LIMITED: &[&str] = &[
    "rate limit",
    "ratelimit",
    "rate-limit",
    "too many requests",
    "request limit",
    "requests per",
    "request count exceeded",
    "compute unit",
    "capacity",
    "quota",
    "credits",
    "throttl",
    "unauthorized",
    "api key",
    "api-key",
    "must be authenticated",
    "project id",
    "access denied",
    "payment required",
];

/// Texts of nodes that lack a block or a state others may have.
const BEHIND: &[&str] = &[
    "header not found",
    "header for hash not found",
    "unknown block",
    "block not found",
    "could not find block",
    "missing trie node",
    "unsupported block number",
    "block height is",
    "blockoutofrange",
    "state is not available",
    "state not available",
    "after last accepted block",
    "cannot query unfinalized data",
    "invalid block range",
    "invalid block height",
    "no state available",
    "temporarily unavailable",
    "try again",
    "is syncing",
];

/// Words by which providers ask for fewer blocks or results in a log query.
const RANGE: &[&str] = &[
    "range",
    "limit",
    "too many",
    "too large",
    "exceed",
    "more than",
    "results",
    "size",
    "max",
    "timeout",
    "timed out",
    "10000",
    "10,000",
    "greater than",
];

/// What `error` means as the answer to `method`.
pub(super) fn meaning(method: &str, error: &RpcError) -> Meaning {
    let text = error.message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // A revert may carry any text, also one of the words below.
    if error.code == 3 || text.contains("revert") {
        return Meaning::Answer;
    }
    if error.code == TOO_LARGE {
        return Meaning::Answer;
    }
    if text.contains("batch") {
        return Meaning::BatchRefused;
    }
    let is_logs = method == "eth_getLogs";
    if is_logs && has(&["result", "block range", "range", "logs", "response size"]) && !has(BEHIND)
    {
        return Meaning::Answer;
    }
    if error.code == 429 || has(LIMITED) || (error.code == -32005 && !is_logs) {
        return Meaning::Limited;
    }
    if error.code == -32603 || has(BEHIND) {
        return Meaning::AskElsewhere;
    }
    Meaning::Answer
}

/// Stands for an answer that was cut off because of its size.
pub(super) fn too_large(limit: usize) -> RpcError {
    RpcError {
        code: TOO_LARGE,
        message: format!("the answer exceeds this node's limit of {limit} bytes"),
        data: String::new(),
    }
}

/// Whether `error`, an answer to a log query, asks for a smaller range.
pub(crate) fn asks_for_less(error: &RpcError) -> bool {
    let text = error.message.to_ascii_lowercase();
    RANGE.iter().any(|word| text.contains(word)) || error.code == -32005 || error.code == -32603
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(code: i64, message: &str) -> RpcError {
        RpcError {
            code,
            message: message.to_owned(),
            data: String::new(),
        }
    }

    #[test]
    fn a_revert_is_an_answer_whatever_its_text() {
        for text in [
            "execution reverted: too many requests",
            "execution reverted: rate limit",
            "VM Exception while processing transaction: reverted with reason string 'batch'",
        ] {
            assert_eq!(meaning("eth_call", &error(-32000, text)), Meaning::Answer);
        }
        assert_eq!(meaning("eth_call", &error(3, "")), Meaning::Answer);
    }

    #[test]
    fn limits_of_providers_send_us_elsewhere() {
        for (code, text) in [
            (-32005, "daily request count exceeded, request rate limited"),
            (
                429,
                "Your app has exceeded its compute units per second capacity.",
            ),
            (-32000, "Too Many Requests"),
            (-32001, "Unauthorized"),
            (-32016, "over rate limit"),
        ] {
            assert_eq!(
                meaning("eth_call", &error(code, text)),
                Meaning::Limited,
                "{text}"
            );
        }
    }

    #[test]
    fn range_errors_of_several_providers_ask_for_less() {
        for (code, text) in [
            (-32005, "query returned more than 10000 results"),
            (
                -32602,
                "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
            ),
            (-32000, "exceed maximum block range: 5000"),
            (-32614, "eth_getLogs is limited to a 10,000 range"),
            (
                -32602,
                "query exceeds max results 20000, retry with the range 1-2",
            ),
            (
                -32701,
                "Please specify an address in your request or, to remove restrictions, order a dedicated full node: block range too large",
            ),
            (
                -32600,
                "You can make eth_getLogs requests with up to a 500 block range.",
            ),
            (
                -32000,
                "requested too many blocks from 1 to 2, maximum is set to 2048",
            ),
            (35, "ranges over 10000 blocks are not supported on freetier"),
        ] {
            let error = error(code, text);
            assert_eq!(meaning("eth_getLogs", &error), Meaning::Answer, "{text}");
            assert!(asks_for_less(&error), "{text}");
        }
    }

    #[test]
    fn a_node_that_lacks_a_block_is_passed_over() {
        for text in [
            "header not found",
            "missing trie node 00 (path ) state is not available",
            "BlockOutOfRangeError: block height is 5 but requested was 9",
            "unsupported block number 77",
        ] {
            for method in ["eth_call", "eth_getLogs"] {
                assert_eq!(
                    meaning(method, &error(-32000, text)),
                    Meaning::AskElsewhere,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn answers_are_matched_by_id_and_null_is_an_answer() {
        let body = br#"[{"id":8,"result":null},{"id":7,"error":{"code":3,"message":"x","data":"0x01"}},{"id":99,"result":1},{"id":8,"result":2},5]"#;
        let Ok(Decoded::Answers(answers)) = decode(body, 7, 3) else {
            panic!("answers");
        };
        assert_eq!(
            answers[0].as_ref().unwrap().as_ref().unwrap_err().data,
            "\"0x01\""
        );
        assert_eq!(answers[1], Some(Ok(Value::Null)));
        assert_eq!(answers[2], None);
    }

    #[test]
    fn a_body_that_is_no_answer_is_refused() {
        for body in ["", "{}", "[]", "1", "<html>", "{\"id\":1}", "null", "[[]]"] {
            assert!(decode(body.as_bytes(), 1, 1).is_err(), "{body}");
            assert!(decode(body.as_bytes(), 1, 2).is_err(), "{body}");
        }
        let whole = decode(br#"{"id":null,"error":"no batches here"}"#, 1, 2).unwrap();
        let Decoded::Whole(error) = whole else {
            panic!("one error for all");
        };
        assert_eq!(meaning("batch", &error), Meaning::BatchRefused);
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(bytes: Vec<u8>, text in "[\\[\\]{}\":,0-9a-z]{0,80}", count in 1..5usize) {
            let _ = decode(&bytes, 0, count);
            let _ = decode(text.as_bytes(), 0, count);
        }

        #[test]
        fn any_text_is_cut_to_whole_characters(text in ".{0,80}", longest in 0..40usize) {
            prop_assert!(cut(&text, longest).chars().count() <= longest.max(1) * 10);
        }
    }
}
