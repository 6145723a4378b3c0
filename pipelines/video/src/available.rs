//! What this installation can decode and encode, and which Debian package brings what it lacks.
//!
//! Factories are looked up by name: a plugin file alone proves nothing, since a plugin registers its
//! elements only where the driver is present.

use host::job::Device;
use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::error::VideoError;

/// Codecs of a device, as names of the wire (`H264`, `H265`), and what is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Available {
    /// The device's own elements are there; false means its jobs run on the processor.
    pub device: bool,
    /// Codecs that can be decoded.
    pub decoders: Vec<String>,
    /// Codecs that can be encoded.
    pub encoders: Vec<String>,
    /// Elements that an H.264 ladder needs and that are not installed.
    pub missing: Vec<Missing>,
}

/// One element that is not installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Factory name.
    pub element: String,
    /// Debian package that carries it.
    pub package: String,
}

/// Looks up what a device can do. Call [`crate::init`] first.
pub fn available(device: &Device) -> Available {
    use containers::VideoCodec as Input;
    use protocol::profile::VideoCodec as Output;

    let backend = Backend::choose(device);
    let decodes = |codec| {
        backend
            .decoder(codec)
            .is_some_and(|(parser, decoder)| exists(parser) && exists(&decoder))
    };
    let encodes = |codec| {
        backend
            .encoder(codec)
            .is_some_and(|encoder| exists(&encoder))
    };
    let mut found = Available {
        device: !matches!((device, backend), (Device::Nvidia(_), Backend::Software)),
        ..Available::default()
    };
    found
        .decoders
        .extend(decodes(Input::H264).then(|| "H264".to_owned()));
    found
        .decoders
        .extend(decodes(Input::H265).then(|| "H265".to_owned()));
    found
        .encoders
        .extend(encodes(Output::H264).then(|| "H264".to_owned()));
    found
        .encoders
        .extend(encodes(Output::H265).then(|| "H265".to_owned()));
    found.missing = required(backend)
        .into_iter()
        .filter(|element| !exists(element))
        .map(|element| Missing {
            package: package(&element).to_owned(),
            element,
        })
        .collect();
    found
}

/// Elements of an H.264 ladder.
fn required(backend: Backend) -> Vec<String> {
    let mut names: Vec<String> = [
        "appsrc",
        "appsink",
        "tee",
        "queue",
        "capsfilter",
        "h264parse",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(match backend {
        Backend::Software => "videoconvertscale".to_owned(),
        Backend::Nvidia(_) => "cudaconvertscale".to_owned(),
    });
    names.extend(
        backend
            .decoder(containers::VideoCodec::H264)
            .map(|(_, decoder)| decoder),
    );
    names.extend(backend.encoder(protocol::profile::VideoCodec::H264));
    names
}

fn exists(factory: &str) -> bool {
    gst::ElementFactory::find(factory).is_some()
}

/// The error of an element that could not be made.
pub(crate) fn missing(factory: &str) -> VideoError {
    VideoError::Missing {
        element: factory.to_owned(),
        package: package(factory),
    }
}

/// Debian package that carries an element.
fn package(factory: &str) -> &'static str {
    match factory {
        "tee" | "queue" | "capsfilter" => "libgstreamer1.0-0",
        "x264enc" => "gstreamer1.0-plugins-ugly",
        name if name.starts_with("avdec_") => "gstreamer1.0-libav",
        "appsrc" | "appsink" | "videoconvertscale" => "gstreamer1.0-plugins-base",
        _ => "gstreamer1.0-plugins-bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_for_the_ladder_lacks_nothing() {
        crate::init().unwrap();
        let found = available(&Device::Cpu);
        assert_eq!(found.missing, []);
        assert!(found.device && found.decoders.contains(&"H264".to_owned()));
        assert_eq!(found.encoders, ["H264"]);
    }

    #[test]
    fn a_card_that_is_not_there_falls_back_to_the_processor() {
        crate::init().unwrap();
        let found = available(&Device::Nvidia(97));
        assert!(!found.device);
        assert_eq!(found.missing, []);
    }

    #[test]
    fn every_missing_element_names_its_package() {
        assert_eq!(package("x264enc"), "gstreamer1.0-plugins-ugly");
        assert_eq!(package("avdec_h264"), "gstreamer1.0-libav");
        assert_eq!(package("nvh264dec"), "gstreamer1.0-plugins-bad");
    }
}
