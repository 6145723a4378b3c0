//! A segment's bytes while its answer is being made: written once by the door, read from the start by every try.
//!
//! Kept in memory up to 16 MiB and beyond that in an unlinked temporary file, all under one budget for the node. Readers
//! get bytes as they arrive, so decoding overlaps the upload; what only the end can tell (the hash) arrives as [`End`].

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use telemetry::metrics::label::Pool;
use telemetry::metrics::{GaugeGuard, Metrics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bytes of one body that stay in memory.
const IN_MEMORY: u64 = 16 << 20;
/// Bytes read from the file at once.
const FILE_CHUNK: u64 = 256 << 10;
/// One permit of the budget, bytes.
const GRAIN: u64 = 4 << 10;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Complete, and its hash was right: results may be published.
    Confirmed,
    /// Wrong hash, too long, too slow, or the peer left: the job is to be cancelled.
    Aborted,
}

/// Why bytes could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The node holds as many body bytes as its budget allows.
    #[error(
        "the node's budget for segment bytes is spent; raise -bodyMemory or lower -maxSessions"
    )]
    BudgetSpent,
    /// The temporary file failed.
    #[error("could not spool segment bytes to a temporary file: {0}")]
    Spool(#[from] std::io::Error),
    /// The body was aborted while it was read.
    #[error("the upload was aborted")]
    Aborted,
}

/// The node's budget for segment bytes.
#[derive(Clone)]
pub struct BodyBudget {
    grains: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl BodyBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: u64, metrics: Arc<Metrics>) -> Self {
        let grains = usize::try_from(bytes / GRAIN)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        metrics.video.set_body_bytes_limit(bytes);
        Self {
            grains: Arc::new(Semaphore::new(grains)),
            metrics,
        }
    }

    /// Starts a body: its writer, and the handle that readers come from.
    pub fn body(&self) -> (BodyWriter, Body) {
        let (progress, watch) = watch::channel(Progress::default());
        let shared = Arc::new(Shared {
            stored: Mutex::new(Stored::default()),
            held: Mutex::new(self.metrics.video.body_bytes(0)),
        });
        let writer = BodyWriter {
            shared: Arc::clone(&shared),
            progress,
            grains: Arc::clone(&self.grains),
            metrics: Arc::clone(&self.metrics),
        };
        (writer, Body { shared, watch })
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    len: u64,
    end: Option<End>,
}

#[derive(Default)]
struct Stored {
    chunks: Vec<Bytes>,
    in_memory: u64,
    file: Option<Arc<File>>,
    in_file: u64,
    held: Option<OwnedSemaphorePermit>,
    held_bytes: u64,
}

struct Shared {
    stored: Mutex<Stored>,
    held: Mutex<GaugeGuard>,
}

/// The writing end; dropping it without [`BodyWriter::confirm`] aborts the body.
pub struct BodyWriter {
    shared: Arc<Shared>,
    progress: watch::Sender<Progress>,
    grains: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl BodyWriter {
    /// Appends bytes.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), BodyError> {
        let len = bytes.len() as u64;
        if len == 0 {
            return Ok(());
        }
        self.hold(len)?;
        let spill = {
            let mut stored = self.shared.stored.lock();
            if stored.file.is_none() && stored.in_memory + len <= IN_MEMORY {
                stored.in_memory += len;
                stored.chunks.push(bytes.clone());
                None
            } else {
                Some((stored.file.clone(), stored.in_file))
            }
        };
        if let Some((file, offset)) = spill {
            let file = tokio::task::spawn_blocking(move || -> std::io::Result<Arc<File>> {
                let file = match file {
                    Some(file) => file,
                    None => Arc::new(tempfile::tempfile()?),
                };
                file.write_all_at(&bytes, offset)?;
                Ok(file)
            })
            .await
            .map_err(std::io::Error::other)??;
            let mut stored = self.shared.stored.lock();
            stored.file = Some(file);
            stored.in_file += len;
        }
        self.progress.send_modify(|progress| progress.len += len);
        Ok(())
    }

    /// Says that the body is complete and its hash was right.
    pub fn confirm(self) {
        self.progress
            .send_modify(|progress| progress.end = Some(End::Confirmed));
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.progress.borrow().len
    }

    /// True while nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn hold(&self, len: u64) -> Result<(), BodyError> {
        let mut stored = self.shared.stored.lock();
        let grains =
            (stored.in_memory + stored.in_file + len).div_ceil(GRAIN) - stored.held_bytes / GRAIN;
        if grains == 0 {
            return Ok(());
        }
        let count = u32::try_from(grains).map_err(|_| BodyError::BudgetSpent)?;
        let permit = Arc::clone(&self.grains)
            .try_acquire_many_owned(count)
            .map_err(|_| {
                self.metrics.video.pool_full(Pool::BodyBytes);
                BodyError::BudgetSpent
            })?;
        stored.held_bytes += grains * GRAIN;
        match &mut stored.held {
            Some(held) => held.merge(permit),
            None => stored.held = Some(permit),
        }
        self.shared.held.lock().set(stored.held_bytes);
        Ok(())
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        self.progress.send_modify(|progress| {
            progress.end.get_or_insert(End::Aborted);
        });
    }
}

/// A body that readers can be made from, each starting at the first byte.
#[derive(Clone)]
pub struct Body {
    shared: Arc<Shared>,
    watch: watch::Receiver<Progress>,
}

impl Body {
    /// A reader at the first byte.
    pub fn reader(&self) -> BodyReader {
        BodyReader {
            shared: Arc::clone(&self.shared),
            watch: self.watch.clone(),
            chunk: 0,
            read: 0,
        }
    }

    /// Bytes that have come so far.
    pub fn len(&self) -> u64 {
        self.watch.borrow().len
    }

    /// True while nothing has come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the body ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.watch.borrow().end
    }

    /// Waits until the body has ended.
    pub async fn ended(&self) -> End {
        let mut watch = self.watch.clone();
        match watch.wait_for(|progress| progress.end.is_some()).await {
            Ok(progress) => progress.end.unwrap_or(End::Aborted),
            Err(_) => End::Aborted,
        }
    }
}

/// Reads a body in order, waiting for bytes that are still on their way. Dropping a pending read loses nothing.
pub struct BodyReader {
    shared: Arc<Shared>,
    watch: watch::Receiver<Progress>,
    chunk: usize,
    read: u64,
}

impl BodyReader {
    /// The next bytes; `None` once the body is confirmed and all was read.
    ///
    /// # Errors
    /// [`BodyError::Aborted`] when the upload failed; [`BodyError::Spool`] when the file cannot be read.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let read = self.read;
        let progress = match self
            .watch
            .wait_for(|progress| progress.len > read || progress.end.is_some())
            .await
        {
            Ok(progress) => *progress,
            Err(_) => return Err(BodyError::Aborted),
        };
        if progress.end == Some(End::Aborted) {
            return Err(BodyError::Aborted);
        }
        if progress.len == self.read {
            return Ok(None);
        }
        let (file, offset, left) = {
            let stored = self.shared.stored.lock();
            if let Some(chunk) = stored.chunks.get(self.chunk) {
                self.chunk += 1;
                self.read += chunk.len() as u64;
                return Ok(Some(chunk.clone()));
            }
            (
                stored.file.clone(),
                self.read - stored.in_memory,
                progress.len - self.read,
            )
        };
        let Some(file) = file else {
            return Err(BodyError::Aborted);
        };
        let bytes = tokio::task::spawn_blocking(move || -> std::io::Result<Vec<u8>> {
            let mut buffer = vec![0; left.min(FILE_CHUNK) as usize];
            file.read_exact_at(&mut buffer, offset)?;
            Ok(buffer)
        })
        .await
        .map_err(std::io::Error::other)??;
        self.read += bytes.len() as u64;
        Ok(Some(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(bytes: u64) -> BodyBudget {
        BodyBudget::new(bytes, crate::test_metrics())
    }

    async fn read_all(reader: &mut BodyReader) -> Result<Vec<u8>, BodyError> {
        let mut all = Vec::new();
        while let Some(bytes) = reader.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn every_reader_sees_all_bytes_also_those_in_the_file() {
        let (mut writer, body) = budget(64 << 20).body();
        let mut expected = Vec::new();
        for number in 0..40u8 {
            let chunk = vec![number; 500_000];
            expected.extend_from_slice(&chunk);
            writer.push(chunk.into()).await.expect("within budget");
        }
        writer.confirm();
        for _ in 0..2 {
            let read = read_all(&mut body.reader()).await.expect("confirmed");
            assert!(read == expected, "bytes differ");
        }
        assert_eq!(body.ended().await, End::Confirmed);
    }

    #[tokio::test]
    async fn a_reader_gets_bytes_before_the_end() {
        let (mut writer, body) = budget(1 << 20).body();
        let mut reader = body.reader();
        writer.push(Bytes::from_static(b"first")).await.expect("ok");
        assert_eq!(
            reader.next().await.expect("ok").as_deref(),
            Some(&b"first"[..])
        );
        drop(writer);
        assert!(matches!(reader.next().await, Err(BodyError::Aborted)));
    }

    #[tokio::test]
    async fn a_spent_budget_refuses_and_comes_back() {
        let budget = budget(8 << 10);
        let (mut first, body) = budget.body();
        first.push(vec![0; 8 << 10].into()).await.expect("fits");
        let (mut second, _other) = budget.body();
        assert!(matches!(
            second.push(vec![0; 1].into()).await,
            Err(BodyError::BudgetSpent)
        ));
        drop(first);
        drop(body);
        second.push(vec![0; 1].into()).await.expect("given back");
    }
}
