//! Saves renditions as `<folder>/<stream>/<profile>/<seq>.ts` with a playlist for each profile and a master playlist.

use std::io;
use std::path::{Path, PathBuf};

use protocol::profile::{Format, VideoProfile};
use protocol::result::{encode_path, rendition_file};

use super::client::Delivered;
use super::playlist::{self, Entry, Variant};

/// What one stream has saved.
#[derive(Debug)]
pub struct Saver {
    folder: PathBuf,
    profiles: Vec<VideoProfile>,
    saved: Vec<Saved>,
}

#[derive(Debug, Default, Clone)]
struct Saved {
    entries: Vec<Entry>,
    bytes: u64,
}

impl Saver {
    /// A saver for the stream `manifest_id` below `folder`; makes the folders.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn new(folder: &Path, manifest_id: &str, profiles: &[VideoProfile]) -> io::Result<Self> {
        let folder = folder.join(encode_path([manifest_id]));
        for profile in profiles {
            std::fs::create_dir_all(folder.join(encode_path([profile.name.as_str()])))?;
        }
        Ok(Self {
            folder,
            profiles: profiles.to_vec(),
            saved: vec![Saved::default(); profiles.len()],
        })
    }

    /// Saves the renditions of a segment; segments come in their order.
    ///
    /// # Errors
    /// A file cannot be written.
    pub async fn save(
        &mut self,
        seq: i64,
        duration_ms: u32,
        renditions: &[Delivered],
    ) -> io::Result<()> {
        for ((profile, rendition), saved) in
            self.profiles.iter().zip(renditions).zip(&mut self.saved)
        {
            let name = rendition_file(profile, seq);
            let path = self
                .folder
                .join(encode_path([profile.name.as_str()]))
                .join(&name);
            tokio::fs::write(path, &rendition.bytes).await?;
            saved.entries.push(Entry {
                uri: name,
                seconds: f64::from(duration_ms) / 1000.0,
            });
            saved.bytes += rendition.bytes.len() as u64;
        }
        Ok(())
    }

    /// Writes the playlists. Plain MP4 segments cannot be listed (HLS wants fragments), so only TS renditions are.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(&self) -> io::Result<()> {
        let mut variants = Vec::new();
        let listed = self
            .profiles
            .iter()
            .zip(&self.saved)
            .filter(|(profile, _)| profile.format == Format::MpegTs);
        for (profile, saved) in listed {
            let folder = encode_path([profile.name.as_str()]);
            std::fs::write(
                self.folder.join(&folder).join("index.m3u8"),
                playlist::media(&saved.entries),
            )?;
            let seconds: f64 = saved.entries.iter().map(|entry| entry.seconds).sum();
            let bandwidth = if seconds > 0.0 {
                (saved.bytes as f64 * 8.0 / seconds) as u64
            } else {
                0
            };
            let size = Some((profile.width, profile.height))
                .filter(|(width, height)| *width > 0 && *height > 0);
            variants.push(Variant {
                folder,
                bandwidth,
                size,
            });
        }
        if variants.is_empty() {
            return Ok(());
        }
        std::fs::write(self.folder.join("master.m3u8"), playlist::master(&variants))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[tokio::test]
    async fn names_of_strangers_stay_inside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut profiles = protocol::profile::presets("P240p30fps16x9").unwrap();
        profiles[0].name = "../up".into();
        let mut saver = Saver::new(folder.path(), "..", &profiles).unwrap();
        saver
            .save(
                0,
                2000,
                &[Delivered {
                    bytes: Bytes::from_static(b"ts"),
                    pixels: 1,
                }],
            )
            .await
            .unwrap();
        saver.finish().unwrap();
        let stream = folder.path().join("%2E%2E");
        assert!(stream.join("..%2Fup").join("0.ts").is_file());
        let master = std::fs::read_to_string(stream.join("master.m3u8")).unwrap();
        assert!(
            master.contains("BANDWIDTH=8,RESOLUTION=426x240\n..%252Fup/index.m3u8"),
            "{master}"
        );
    }
}
