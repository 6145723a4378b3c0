//! What is pushed: the segments of a file, a folder or a playlist, repeated as long as wanted with times that go on.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use containers::TICKS_PER_SECOND;
use containers::demux::ContainerKind;
use protocol::capabilities::{Capabilities, JobTraits, required};
use protocol::profile::VideoProfile;

use super::media::{Media, MediaError, frame_ticks};
use super::playlist;
use super::split::split;

/// Least length of a segment cut from a file, in ticks.
const CUT: i64 = 2 * TICKS_PER_SECOND;

/// A file that begins near time 0 begins here instead, in ticks, as a live encoder's stream would: encoders decode before
/// they show, and a muxer moves what would have to be decoded before time 0, which breaks the join with the next segment.
const START: i64 = 10 * TICKS_PER_SECOND;

/// The clip by which a node finds out whether it decodes H.264.
const TINY: &[u8] = include_bytes!("../../assembly/clips/h264.ts");

/// One pass over the source, in memory.
#[derive(Debug)]
pub struct Source {
    segments: Vec<Original>,
    /// How much later each further pass is, in ticks.
    span: i64,
}

/// A segment as it is pushed in the first pass.
#[derive(Debug)]
struct Original {
    bytes: Bytes,
    media: Media,
    duration_ms: u32,
}

/// A segment ready to be sent.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Position in the stream, from 0.
    pub seq: i64,
    /// Position in the source, from 0.
    pub index: usize,
    /// How much later its times are than in the source, in ticks.
    pub shift: i64,
    /// The container's bytes.
    pub bytes: Bytes,
    /// Length in ms.
    pub duration_ms: u32,
}

impl Source {
    /// Reads a TS or MP4 file, a folder of segments or a local media playlist.
    ///
    /// # Errors
    /// [`SourceError`] names the file at fault.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        if path.is_dir() {
            return Self::of_files(
                &files_of(path)?
                    .into_iter()
                    .map(|file| (file, None))
                    .collect::<Vec<_>>(),
            );
        }
        if path
            .extension()
            .is_some_and(|ending| ending == "m3u8" || ending == "m3u")
        {
            let text = String::from_utf8_lossy(&read(path)?).into_owned();
            let entries = playlist::entries(&text).map_err(|source| SourceError::Playlist {
                path: path.into(),
                source,
            })?;
            let folder = path.parent().unwrap_or(Path::new("."));
            let files = entries
                .into_iter()
                .map(|entry| (folder.join(entry.uri), Some(entry.seconds)));
            return Self::of_files(&files.collect::<Vec<_>>());
        }
        let whole = parse(path, &read(path)?)?;
        let first = whole.units.iter().map(|unit| unit.dts).min().unwrap_or(0);
        let whole = if first < START {
            whole.shifted(START)
        } else {
            whole
        };
        Self::of_media(split(whole, CUT), path)
    }

    /// A built-in clip of five small pictures, pushed byte for byte in the first pass.
    ///
    /// # Errors
    /// [`SourceError`] when it is damaged.
    pub fn tiny() -> Result<Self, SourceError> {
        let media = parse(Path::new("tiny"), TINY)?;
        Self::of(vec![Original {
            bytes: Bytes::from_static(TINY),
            duration_ms: length_ms(&media),
            media,
        }])
    }

    /// Segments as they lie on the disk, pushed byte for byte; with the length that a playlist states, if one does.
    fn of_files(files: &[(PathBuf, Option<f64>)]) -> Result<Self, SourceError> {
        let mut segments = Vec::with_capacity(files.len());
        for (path, seconds) in files {
            let bytes = Bytes::from(read(path)?);
            let media = parse(path, &bytes)?;
            let stated = seconds
                .map(|seconds| (seconds * 1000.0).round() as u32)
                .filter(|ms| *ms > 0);
            let duration_ms = stated.unwrap_or_else(|| length_ms(&media));
            segments.push(Original {
                bytes,
                media,
                duration_ms,
            });
        }
        Self::of(segments)
    }

    fn of_media(parts: Vec<Media>, path: &Path) -> Result<Self, SourceError> {
        if parts.is_empty() {
            return Err(SourceError::NoKeyPicture { path: path.into() });
        }
        let cut = |mut media: Media| {
            media.container = ContainerKind::Ts;
            Original {
                bytes: media.mux_ts(),
                duration_ms: length_ms(&media),
                media,
            }
        };
        Self::of(parts.into_iter().map(cut).collect())
    }

    fn of(segments: Vec<Original>) -> Result<Self, SourceError> {
        let times = |original: &Original| original.media.display_times();
        let (Some(first), Some(last)) = (segments.first().map(times), segments.last().map(times))
        else {
            return Err(SourceError::Empty);
        };
        let start = first.first().copied().unwrap_or(0);
        let end = last
            .last()
            .copied()
            .unwrap_or(0)
            .saturating_add(frame_ticks(&last));
        // A folder whose files do not follow each other in time still has to go forward.
        let least = segments
            .iter()
            .map(|segment| i64::from(segment.duration_ms) * TICKS_PER_SECOND / 1000)
            .sum();
        let span = if end > start { end - start } else { least };
        Ok(Self { segments, span })
    }

    /// Segments in one pass; at least one.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Length of the segment at a position of the stream, ms.
    pub fn duration_ms(&self, position: usize) -> u32 {
        self.original(position)
            .map_or(0, |original| original.duration_ms)
    }

    /// Media length of the first `count` segments of the stream, ms.
    pub fn total_ms(&self, count: usize) -> u64 {
        (0..count)
            .map(|position| u64::from(self.duration_ms(position)))
            .sum()
    }

    /// Positions that are needed for a stream of at least `ms`.
    pub fn count_for(&self, ms: u64) -> usize {
        let pass = self.total_ms(self.len()).max(1);
        let whole = usize::try_from(ms / pass)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.len());
        let mut rest = ms % pass;
        let mut more = 0;
        while rest > 0 {
            rest = rest.saturating_sub(u64::from(self.duration_ms(more)).max(1));
            more += 1;
        }
        whole.saturating_add(more)
    }

    /// The segment at a position of the stream. In later passes it is put together anew, which takes milliseconds of CPU.
    ///
    /// # Errors
    /// [`SourceError::Repeat`] when the container cannot be written again.
    pub fn segment(&self, position: usize) -> Result<Segment, SourceError> {
        let original = self.original(position).ok_or(SourceError::Empty)?;
        let pass = i64::try_from(position / self.len()).unwrap_or(i64::MAX);
        let shift = self.span.saturating_mul(pass);
        let bytes = match shift {
            0 => original.bytes.clone(),
            _ => original
                .media
                .shifted(shift)
                .mux()
                .map_err(|source| SourceError::Repeat {
                    source: source.into(),
                })?,
        };
        Ok(Segment {
            seq: i64::try_from(position).unwrap_or(i64::MAX),
            index: position % self.len(),
            shift,
            bytes,
            duration_ms: original.duration_ms,
        })
    }

    /// Pictures and audio of a segment of the source, times of the first pass.
    pub fn media(&self, index: usize) -> Option<&Media> {
        self.original(index).map(|original| &original.media)
    }

    /// The bytes of a segment of the source, as in the first pass.
    pub fn bytes(&self, index: usize) -> Bytes {
        self.original(index)
            .map(|original| original.bytes.clone())
            .unwrap_or_default()
    }

    /// What a node must be able to do to transcode this source to `profiles`, as a gateway that is pushed segments asks it.
    ///
    /// # Errors
    /// A codec that no job can name.
    pub fn demand(&self, profiles: &[VideoProfile]) -> Result<Capabilities, SourceError> {
        let media = self.media(0).ok_or(SourceError::Empty)?;
        let (input, input_sampling) = media
            .job_codec()
            .map_err(|source| SourceError::Repeat { source })?;
        let traits = JobTraits {
            input,
            input_sampling,
            segments_pushed: true,
            perceptual_hash: false,
        };
        Ok(Capabilities::demand(required(&traits, profiles)))
    }

    fn original(&self, position: usize) -> Option<&Original> {
        self.segments.get(position % self.len().max(1))
    }
}

fn length_ms(media: &Media) -> u32 {
    let times = media.display_times();
    let ticks = times
        .last()
        .zip(times.first())
        .map_or(0, |(last, first)| last - first)
        + frame_ticks(&times);
    u32::try_from((ticks * 1000 + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND)
        .unwrap_or(1)
        .max(1)
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    std::fs::read(path).map_err(|source| SourceError::Read {
        path: path.into(),
        source,
    })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Media, SourceError> {
    Media::parse(bytes).map_err(|source| SourceError::Media {
        path: path.into(),
        source,
    })
}

/// The `.ts` and `.mp4` files of a folder, by the numbers in their names, else by name.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let broken = |source| SourceError::Read {
        path: folder.into(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(broken)? {
        let path = entry.map_err(broken)?.path();
        if path
            .extension()
            .is_some_and(|ending| ending == "ts" || ending == "mp4")
        {
            files.push(path);
        }
    }
    files.sort_by_key(|path| name_key(&path.file_stem().unwrap_or_default().to_string_lossy()));
    Ok(files)
}

/// `seg-10` comes after `seg-9`: the last number of a name counts as a number.
fn name_key(stem: &str) -> (String, u64, String) {
    let head = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = stem
        .get(head.len()..)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    (head.to_owned(), number, stem.to_owned())
}

/// Why there is nothing to push.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no media, or none of use.
    #[error("{path}: {source}")]
    Media {
        /// Which.
        path: PathBuf,
        /// Why.
        source: MediaError,
    },
    /// A playlist is none of segments.
    #[error("{path}: {source}")]
    Playlist {
        /// Which.
        path: PathBuf,
        /// Why.
        source: playlist::PlaylistError,
    },
    /// Nothing can be decoded from the file's beginning on.
    #[error("{path}: no key picture to begin a segment with")]
    NoKeyPicture {
        /// Which.
        path: PathBuf,
    },
    /// No segment at all.
    #[error(
        "no segments found: give a TS or MP4 file, a folder of .ts or .mp4 files, or a media playlist"
    )]
    Empty,
    /// A segment cannot be sent as it is, or not again with other times.
    #[error("a segment of the source cannot be used: {source}")]
    Repeat {
        /// Why.
        source: MediaError,
    },
}

#[cfg(test)]
mod tests {
    use super::super::media::tests::made;
    use super::*;

    fn source() -> Source {
        Source::of_media(split(made(90_000, 150, 30), CUT), Path::new("made")).unwrap()
    }

    #[test]
    fn a_file_becomes_segments_whose_lengths_add_up() {
        let source = source();
        assert_eq!(source.len(), 3);
        assert_eq!(source.total_ms(3), 5000);
    }

    #[test]
    fn each_pass_goes_on_where_the_last_one_ended() {
        let source = source();
        let end = Media::parse(&source.segment(2).unwrap().bytes)
            .unwrap()
            .display_times();
        let next = Media::parse(&source.segment(3).unwrap().bytes)
            .unwrap()
            .display_times();
        assert_eq!(next[0] - end[end.len() - 1], 3000);
        assert_eq!(source.segment(3).unwrap().shift, 450_000);
    }

    #[test]
    fn a_wanted_length_is_reached_and_not_passed_by_more_than_a_segment() {
        let source = source();
        assert_eq!(source.count_for(5000), 3);
        assert_eq!(source.count_for(5001), 4);
        assert_eq!(source.count_for(9000), 5);
    }

    #[test]
    fn numbered_files_are_taken_by_number() {
        let mut names = vec!["seg-10", "seg-9", "a"];
        names.sort_by_key(|name| name_key(name));
        assert_eq!(names, ["a", "seg-9", "seg-10"]);
    }

    #[test]
    fn a_gateway_that_is_pushed_segments_demands_token_and_slicing() {
        let profiles = protocol::profile::presets("P240p30fps16x9").unwrap();
        let demand = source().demand(&profiles).unwrap();
        assert_eq!(demand.set.words(), [0x0400_1003]);
    }
}
