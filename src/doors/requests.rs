//! AI requests as they arrive over HTTP, at the public port and at a runner of ours: a JSON object, or a form with a file.
//!
//! Only the form of a request is judged here, within bounds of bytes; who sends it is known before a byte of it is read.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use multer::{Constraints, Multipart, SizeLimit};
use protocol::ai::{AiRequest, BadRequest, Pipeline};
use runners::{File, Request};

/// Longest JSON, bytes. A prompt of megabytes is no prompt.
pub const JSON_MOST: usize = 4 << 20;
/// Longest picture or recording, bytes: what runners take.
pub const FILE_MOST: usize = 50 << 20;
/// Longest field of a form beside the file, bytes.
const FIELD_MOST: u64 = 1 << 20;
/// What a form has beside its file, at most, bytes.
const FORM_MORE: usize = 4 << 20;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unreadable {
    /// 400, or 413 when it is too large.
    pub status: StatusCode,
    /// What the client is told.
    pub text: String,
}

impl From<BadRequest> for Unreadable {
    fn from(error: BadRequest) -> Self {
        bad(error.0)
    }
}

fn bad(text: impl Into<String>) -> Unreadable {
    Unreadable {
        status: StatusCode::BAD_REQUEST,
        text: text.into(),
    }
}

fn too_large(what: &str, most: usize) -> Unreadable {
    Unreadable {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        text: format!("the {what} is larger than {most} bytes"),
    }
}

/// Reads a request of `pipeline` from a body whose chunks come from `body`.
///
/// # Errors
/// [`Unreadable`], also when the body breaks off.
pub async fn read<S, E>(
    pipeline: Pipeline,
    headers: &HeaderMap,
    body: S,
) -> Result<Request, Unreadable>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: std::fmt::Display + Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    match pipeline.body().file() {
        None => {
            let ask = AiRequest::from_json(pipeline, &whole(body).await?)?;
            Ok(Request { ask, file: None })
        }
        Some(file) => form(pipeline, file, headers, body).await,
    }
}

async fn whole<S, E>(mut body: S) -> Result<Bytes, Unreadable>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut all = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| bad(error.to_string()))?;
        if all.len() + chunk.len() > JSON_MOST {
            return Err(too_large("request", JSON_MOST));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

async fn form<S, E>(
    pipeline: Pipeline,
    file_field: &'static str,
    headers: &HeaderMap,
    body: S,
) -> Result<Request, Unreadable>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let boundary = multer::parse_boundary(kind.unwrap_or_default())
        .map_err(|_| bad("the request must be multipart/form-data"))?;
    let limits = SizeLimit::new()
        .whole_stream((FILE_MOST + FORM_MORE) as u64)
        .per_field(FIELD_MOST)
        .for_field(file_field, FILE_MOST as u64);
    let constraints = Constraints::new().size_limit(limits);
    let mut form = Multipart::with_constraints(body, boundary, constraints);
    let mut file = None;
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.map_err(form_error)? {
        let Some(name) = field.name().map(str::to_owned) else {
            continue;
        };
        if name == file_field && file.is_none() {
            let given = field.file_name().unwrap_or(file_field).to_owned();
            let bytes = field.bytes().await.map_err(form_error)?;
            file = Some(File { name: given, bytes });
        } else {
            fields.push((name, field.text().await.map_err(form_error)?));
        }
    }
    let file = file.filter(|file| !file.bytes.is_empty());
    let file = file.ok_or_else(|| bad(format!("{file_field} is missing or empty")))?;
    let pairs = fields
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let ask = AiRequest::from_form(pipeline, pairs)?;
    Ok(Request {
        ask,
        file: Some(file),
    })
}

fn form_error(error: multer::Error) -> Unreadable {
    match error {
        multer::Error::FieldSizeExceeded { limit, field_name } => too_large(
            &field_name.unwrap_or_else(|| "field".into()),
            usize::try_from(limit).unwrap_or(usize::MAX),
        ),
        multer::Error::StreamSizeExceeded { limit } => {
            too_large("request", usize::try_from(limit).unwrap_or(usize::MAX))
        }
        other => bad(format!("the form cannot be read: {other}")),
    }
}

#[cfg(test)]
mod tests;
