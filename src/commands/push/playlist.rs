//! HLS playlists (RFC 8216), the little of them that is needed: segments of a local media playlist are read, and what was
//! saved is listed.

use std::fmt::Write;

use protocol::result::encode_path;

/// A segment of a media playlist.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// File, relative to the playlist.
    pub uri: String,
    /// Length in seconds.
    pub seconds: f64,
}

/// Why a playlist cannot be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaylistError {
    /// The first line is missing.
    #[error("is no playlist: it does not begin with #EXTM3U")]
    NotAPlaylist,
    /// It lists renditions.
    #[error("is a master playlist: give one of the media playlists it names")]
    Master,
    /// A segment lies elsewhere.
    #[error("names a segment by a URL: only local files can be pushed")]
    Remote,
}

/// Segments of a media playlist, in order.
pub fn entries(text: &str) -> Result<Vec<Entry>, PlaylistError> {
    if !text.trim_start_matches('\u{feff}').starts_with("#EXTM3U") {
        return Err(PlaylistError::NotAPlaylist);
    }
    let mut seconds = 0.0;
    let mut entries = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(length) = line.strip_prefix("#EXTINF:") {
            let number = length
                .split(',')
                .next()
                .unwrap_or_default()
                .trim()
                .parse::<f64>();
            seconds = number
                .ok()
                .filter(|number| (0.0..=300.0).contains(number))
                .unwrap_or(0.0);
        } else if line.starts_with("#EXT-X-STREAM-INF") {
            return Err(PlaylistError::Master);
        } else if line.contains("://") && !line.starts_with('#') {
            return Err(PlaylistError::Remote);
        } else if !line.starts_with('#') {
            entries.push(Entry {
                uri: line.to_owned(),
                seconds,
            });
            seconds = 0.0;
        }
    }
    Ok(entries)
}

/// A finished media playlist. `entries` hold plain file names.
pub fn media(entries: &[Entry]) -> String {
    let longest = entries
        .iter()
        .map(|entry| entry.seconds)
        .fold(1.0, f64::max);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:0\n",
        longest.round()
    );
    for entry in entries {
        let _ = write!(
            text,
            "#EXTINF:{:.3},\n{}\n",
            entry.seconds,
            encode_path([entry.uri.as_str()])
        );
    }
    text + "#EXT-X-ENDLIST\n"
}

/// One rendition of a master playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Folder of the rendition.
    pub folder: String,
    /// Bit/s, measured.
    pub bandwidth: u64,
    /// Width and height in pixels, where known.
    pub size: Option<(u32, u32)>,
}

/// A master playlist; the media playlists are called `index.m3u8`.
pub fn master(variants: &[Variant]) -> String {
    let mut text = "#EXTM3U\n".to_owned();
    for variant in variants {
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={}",
            variant.bandwidth.max(1)
        );
        if let Some((width, height)) = variant.size {
            let _ = write!(text, ",RESOLUTION={width}x{height}");
        }
        let _ = write!(
            text,
            "\n{}\n",
            encode_path([variant.folder.as_str(), "index.m3u8"])
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let list = vec![
            Entry {
                uri: "0.ts".into(),
                seconds: 2.0,
            },
            Entry {
                uri: "1.ts".into(),
                seconds: 1.28,
            },
        ];
        assert_eq!(entries(&media(&list)), Ok(list));
    }

    #[test]
    fn other_playlists_are_refused_with_a_reason() {
        assert_eq!(entries("0.ts\n"), Err(PlaylistError::NotAPlaylist));
        let variant = Variant {
            folder: "a b".into(),
            bandwidth: 5,
            size: Some((4, 2)),
        };
        assert_eq!(entries(&master(&[variant])), Err(PlaylistError::Master));
        assert_eq!(
            entries("#EXTM3U\n#EXTINF:2,\nhttps://host/0.ts\n"),
            Err(PlaylistError::Remote)
        );
    }
}
