//! From a runner's answer to a gateway's: media in data URLs become files of the node's own store.

use base64_simd::STANDARD;
use bytes::Bytes;
use protocol::ai::Pipeline;
use serde_json::Value;

use super::stored::Shelf;

/// Media that runners give, by what a data URL calls them.
const KINDS: [(&str, &str, &str); 6] = [
    ("image/png", "png", "image/png"),
    ("image/jpeg", "jpeg", "image/jpeg"),
    ("image/gif", "gif", "image/gif"),
    ("audio/wav", "wav", "audio/wav"),
    ("audio/x-wav", "wav", "audio/wav"),
    ("video/mp4", "mp4", "video/mp4"),
];

/// The answer as the gateway gets it. Pictures stay data URLs where it does not fetch links.
///
/// # Errors
/// What is wrong with the answer, or with the store.
pub(super) fn linked(
    pipeline: Pipeline,
    mut value: Value,
    links: bool,
    shelf: &Shelf,
) -> Result<Value, String> {
    match pipeline {
        Pipeline::TextToImage | Pipeline::ImageToImage | Pipeline::Upscale => {
            let images = value.get_mut("images").and_then(Value::as_array_mut);
            let images = images.ok_or("the runner's answer has no images")?;
            for image in images.iter_mut() {
                link(image, links, shelf)?;
            }
        }
        Pipeline::TextToSpeech => {
            let audio = value
                .get_mut("audio")
                .ok_or("the runner's answer has no audio")?;
            link(audio, true, shelf)?;
        }
        // Workers make a video of the frames; a runner's frames alone have no use.
        Pipeline::ImageToVideo => {
            let videos = value.get_mut("images").and_then(Value::as_array_mut);
            let videos = videos.ok_or("image-to-video container returned no content")?;
            for video in videos.iter_mut() {
                link(video, true, shelf)?;
            }
        }
        Pipeline::Llm => {
            if value["choices"].as_array().is_none_or(Vec::is_empty) {
                return Err("the runner's answer has no choices".into());
            }
        }
        Pipeline::AudioToText | Pipeline::SegmentAnything2 | Pipeline::ImageToText => {
            if !value.is_object() {
                return Err("the runner's answer is no object".into());
            }
        }
    }
    Ok(value)
}

/// Puts the file of a data URL on the shelf and its link in its place.
fn link(media: &mut Value, links: bool, shelf: &Shelf) -> Result<(), String> {
    let url = media["url"]
        .as_str()
        .ok_or("the runner's answer has media without url")?;
    let (kind, bytes) = data_url(url)?;
    let (_, extension, mime) = kind;
    if !links {
        return Ok(());
    }
    media["url"] = shelf.put(extension, mime, bytes)?.into();
    Ok(())
}

type Media = &'static (&'static str, &'static str, &'static str);

fn data_url(url: &str) -> Result<(Media, Bytes), String> {
    let rest = url
        .strip_prefix("data:")
        .ok_or("the runner's answer has media that are no data URL")?;
    let (kind, data) = rest
        .split_once(";base64,")
        .ok_or("the runner's answer has a data URL that is not base64")?;
    let known = KINDS.iter().find(|(name, ..)| *name == kind);
    let known = known.ok_or_else(|| format!("the runner's answer has media of type {kind:?}"))?;
    let bytes = STANDARD
        .decode_to_vec(data)
        .map_err(|error| format!("the runner's media cannot be decoded: {error}"))?;
    if bytes.is_empty() {
        return Err("the runner's answer has empty media".into());
    }
    Ok((known, bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_media_that_gateways_know_are_passed_on() {
        let (kind, bytes) = data_url("data:image/png;base64,eHk=").expect("good");
        assert_eq!((kind.1, &bytes[..]), ("png", &b"xy"[..]));
        for bad in [
            "https://elsewhere/x.png",
            "data:image/png,xy",
            "data:text/html;base64,eHk=",
            "data:image/png;base64,",
            "data:image/png;base64,%",
        ] {
            assert!(data_url(bad).is_err(), "{bad}");
        }
    }
}
