//! The one thread that owns the connection, and group commit.
//!
//! Callers put work into one bounded queue and get a future. The writer takes everything that waits (up to
//! [`BATCH`]), runs it in one transaction and commits. There are two promises:
//!
//! - [`Class::Committed`]: answered after the commit. The bytes are with the operating system, so the death of this
//!   process loses nothing; a power failure may lose the last [`Options::sync_within`](crate::Options::sync_within).
//! - [`Class::Durable`]: answered after the write-ahead log was synced as well.
//!
//! Commits run with `synchronous = NORMAL`, and a second thread calls `fdatasync` on the write-ahead log: the same
//! call that `FULL` would make inside the commit, made beside it, so that payments do not stand behind the disk while
//! a winner is synced. All that is committed before a sync begins is covered by it, which makes it a group commit of
//! its own. (Checkpoints sync by themselves before they reuse the log; the log stays the same file while it is open.)
//!
//! The order of calls is the order of effects. Work that fails is undone alone (a savepoint each); when a commit
//! fails, each piece of the batch is tried again in a transaction of its own, and only its owner hears of its error.

mod sync;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use telemetry::metrics::LedgerMetrics;
use tokio::sync::{mpsc, oneshot};

use self::sync::Syncer;
use crate::LedgerError;

/// Pieces of work that may wait.
pub const QUEUE: usize = 4096;
/// Places of [`QUEUE`] that only `Class::Durable` work may take: a flood of credits never refuses a winner.
pub const RESERVED: usize = 1024;
/// Most pieces of work in one transaction.
pub const BATCH: usize = 512;

/// What the answer promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nothing is written.
    Read,
    /// Survives the death of the process; synced a little later.
    Committed,
    /// Survives a power failure.
    Durable,
}

/// Answer to come. Work that was accepted is done whether or not anybody waits for it.
#[must_use = "whether the work was stored is known only from the answer"]
#[derive(Debug)]
pub struct Pending<T>(Answer<T>);

#[derive(Debug)]
enum Answer<T> {
    Refused(Option<LedgerError>),
    Waiting(oneshot::Receiver<Result<T, LedgerError>>),
}

impl<T> Future for Pending<T> {
    type Output = Result<T, LedgerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Refused(error) => Poll::Ready(Err(error.take().unwrap_or(LedgerError::Closed))),
            Answer::Waiting(receiver) => Pin::new(receiver)
                .poll(cx)
                .map(|answer| answer.unwrap_or(Err(LedgerError::Closed))),
        }
    }
}

impl<T> Unpin for Pending<T> {}

impl<T> Pending<T> {
    /// Waits on this thread, which must not be one of an asynchronous runtime.
    ///
    /// # Errors
    /// As the future.
    pub fn wait(self) -> Result<T, LedgerError> {
        match self.0 {
            Answer::Refused(error) => Err(error.unwrap_or(LedgerError::Closed)),
            Answer::Waiting(receiver) => {
                receiver.blocking_recv().unwrap_or(Err(LedgerError::Closed))
            }
        }
    }
}

/// A piece of work as the writer sees it. It may be run more than once; what an undone run made is forgotten.
trait Work: Send {
    fn class(&self) -> Class;
    fn run(&mut self, connection: &Connection) -> Result<(), LedgerError>;
    /// Answers with what the last run made.
    fn answer(self: Box<Self>);
    fn fail(self: Box<Self>, error: LedgerError);
}

struct Job<T, F> {
    class: Class,
    f: F,
    made: Option<T>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T, F> Work for Job<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, LedgerError> + Send,
{
    fn class(&self) -> Class {
        self.class
    }

    fn run(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        self.made = None;
        let made = catch_unwind(AssertUnwindSafe(|| (self.f)(connection)))
            .unwrap_or_else(|panic| Err(LedgerError::Panicked(panic_text(&*panic))))?;
        self.made = Some(made);
        Ok(())
    }

    fn answer(self: Box<Self>) {
        let made = self.made.ok_or(LedgerError::Closed);
        let _ = self.reply.send(made);
    }

    fn fail(self: Box<Self>, error: LedgerError) {
        let _ = self.reply.send(Err(error));
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

enum Order {
    Work(Box<dyn Work>),
    Close(oneshot::Sender<Result<(), LedgerError>>),
}

/// The callers' end of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Order>,
    broken: Arc<AtomicBool>,
    metrics: Option<LedgerMetrics>,
}

impl Queue {
    /// Puts work into the queue now, or refuses it now.
    pub(crate) fn put<T, F>(&self, class: Class, f: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, LedgerError> + Send + 'static,
    {
        if class != Class::Read && self.broken.load(Ordering::Acquire) {
            return refused(broken());
        }
        if class != Class::Durable && self.sender.capacity() <= RESERVED {
            return self.full();
        }
        let (reply, receiver) = oneshot::channel();
        let job = Job {
            class,
            f,
            made: None,
            reply,
        };
        match self.sender.try_send(Order::Work(Box::new(job))) {
            Ok(()) => {
                self.depth();
                Pending(Answer::Waiting(receiver))
            }
            Err(mpsc::error::TrySendError::Full(_)) => self.full(),
            Err(mpsc::error::TrySendError::Closed(_)) => refused(LedgerError::Closed),
        }
    }

    /// Ends the writer after all that waits.
    pub(crate) async fn close(&self) -> Result<(), LedgerError> {
        let (reply, receiver) = oneshot::channel();
        self.sender
            .send(Order::Close(reply))
            .await
            .map_err(|_| LedgerError::Closed)?;
        receiver.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Whether writes are still promised.
    pub(crate) fn is_sound(&self) -> bool {
        !self.broken.load(Ordering::Acquire)
    }

    /// Pieces of work that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    fn depth(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.queue(self.waiting());
        }
    }

    fn full<T>(&self) -> Pending<T> {
        if let Some(metrics) = &self.metrics {
            metrics.refused();
        }
        refused(LedgerError::Busy)
    }
}

fn broken() -> LedgerError {
    LedgerError::Disk("an earlier write failed".to_owned())
}

fn refused<T>(error: LedgerError) -> Pending<T> {
    Pending(Answer::Refused(Some(error)))
}

/// What the writer needs besides the connection.
pub(crate) struct WriterOptions {
    /// Write-ahead log of the connection.
    pub(crate) log: PathBuf,
    /// Longest time that a commit stays unsynced.
    pub(crate) sync_within: Duration,
    pub(crate) metrics: Option<LedgerMetrics>,
}

/// Starts the writer and its syncing thread; they end when the last [`Queue`] is dropped or closed.
pub(crate) fn start(connection: Connection, options: WriterOptions) -> std::io::Result<Queue> {
    let log = File::open(&options.log)?;
    let broken = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel(QUEUE);
    let (to_sync, commits) = std_mpsc::channel();
    let syncer = Syncer {
        log,
        commits,
        within: options.sync_within,
        broken: broken.clone(),
        metrics: options.metrics.clone(),
    };
    let syncing = thread::Builder::new()
        .name("ledger-sync".to_owned())
        .spawn(move || syncer.run())?;
    let writer = Writer {
        connection,
        to_sync,
        broken: broken.clone(),
        metrics: options.metrics.clone(),
    };
    thread::Builder::new()
        .name("ledger-write".to_owned())
        .spawn(move || writer.run(receiver, syncing))?;
    Ok(Queue {
        sender,
        broken,
        metrics: options.metrics,
    })
}

/// A commit that the log holds but perhaps not the disk: who waits for the disk, possibly nobody.
type Commit = Vec<Box<dyn Work>>;

struct Writer {
    connection: Connection,
    to_sync: std_mpsc::Sender<Commit>,
    broken: Arc<AtomicBool>,
    metrics: Option<LedgerMetrics>,
}

impl Writer {
    fn run(self, mut receiver: mpsc::Receiver<Order>, syncing: thread::JoinHandle<()>) {
        let mut orders = Vec::with_capacity(BATCH);
        let mut closer = None;
        while closer.is_none() && receiver.blocking_recv_many(&mut orders, BATCH) > 0 {
            let mut batch = Vec::with_capacity(orders.len());
            for order in orders.drain(..) {
                match order {
                    Order::Work(work) => batch.push(work),
                    Order::Close(reply) => {
                        receiver.close();
                        closer = Some(reply);
                    }
                }
            }
            self.run_batch(batch);
        }
        // whatever was accepted before the queue closed
        while receiver.blocking_recv_many(&mut orders, BATCH) > 0 {
            let works = orders.drain(..).filter_map(|order| match order {
                Order::Work(work) => Some(work),
                Order::Close(_) => None,
            });
            self.run_batch(works.collect());
        }
        let Self {
            connection,
            to_sync,
            broken: failed,
            ..
        } = self;
        drop(to_sync);
        let synced = syncing.join().is_ok() && !failed.load(Ordering::Acquire);
        let closed = stop_cleanly(connection).and_then(|()| match synced {
            true => Ok(()),
            false => Err(broken()),
        });
        if let Err(error) = &closed {
            tracing::error!(%error, "database did not close cleanly");
        }
        if let Some(reply) = closer {
            let _ = reply.send(closed);
        }
    }

    fn run_batch(&self, mut batch: Vec<Box<dyn Work>>) {
        if batch.is_empty() {
            return;
        }
        if self.broken.load(Ordering::Acquire) {
            let (reads, writes) = batch
                .into_iter()
                .partition(|work| work.class() == Class::Read);
            batch = reads;
            let writes: Commit = writes;
            writes.into_iter().for_each(|work| work.fail(broken()));
        }
        let began = Instant::now();
        let size = batch.len();
        match self.commit(&mut batch) {
            Ok(errors) => self.hand_on(batch, errors),
            Err(error) if size == 1 => {
                for work in batch {
                    self.failed(work, LedgerError::Sql(clone_error(&error)));
                }
            }
            Err(error) => {
                tracing::warn!(%error, size, "a batch did not commit, each part is tried alone");
                for work in batch {
                    let mut alone = vec![work];
                    match self.commit(&mut alone) {
                        Ok(errors) => self.hand_on(alone, errors),
                        Err(error) => {
                            for work in alone {
                                self.failed(work, LedgerError::Sql(clone_error(&error)));
                            }
                        }
                    }
                }
            }
        }
        if let Some(metrics) = &self.metrics {
            metrics.committed(size, began.elapsed());
        }
    }

    /// One transaction. `Ok` holds the error of each piece of work that failed alone; `Err` means that nothing of the
    /// batch is stored.
    fn commit(
        &self,
        batch: &mut [Box<dyn Work>],
    ) -> Result<Vec<Option<LedgerError>>, rusqlite::Error> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        let mut errors = Vec::with_capacity(batch.len());
        for work in batch.iter_mut() {
            match self.run_one(work) {
                Ok(error) => errors.push(error),
                Err(error) => {
                    self.roll_back();
                    return Err(error);
                }
            }
        }
        let committed = self
            .connection
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]));
        if let Err(error) = committed {
            self.roll_back();
            return Err(error);
        }
        Ok(errors)
    }

    fn run_one(&self, work: &mut Box<dyn Work>) -> Result<Option<LedgerError>, rusqlite::Error> {
        if work.class() == Class::Read {
            return Ok(work.run(&self.connection).err());
        }
        let sql = |sql: &str| {
            self.connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute([]))
        };
        sql("SAVEPOINT work")?;
        let error = work.run(&self.connection).err();
        if let Some(error) = &error {
            // a full disk or an I/O error makes SQLite itself undo the whole transaction
            if self.connection.is_autocommit() {
                return Err(match error {
                    LedgerError::Sql(error) => clone_error(error),
                    other => sql_error(other.to_string()),
                });
            }
            sql("ROLLBACK TO work")?;
        }
        sql("RELEASE work")?;
        Ok(error)
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    /// Answers what needs no disk and passes the rest on to the syncing thread.
    fn hand_on(&self, batch: Vec<Box<dyn Work>>, errors: Vec<Option<LedgerError>>) {
        let mut wrote = false;
        let mut waiting = Vec::new();
        for (work, error) in batch.into_iter().zip(errors) {
            match (error, work.class()) {
                (Some(error), _) => self.failed(work, error),
                (None, Class::Read) => work.answer(),
                (None, Class::Committed) => {
                    wrote = true;
                    work.answer();
                }
                (None, Class::Durable) => {
                    wrote = true;
                    waiting.push(work);
                }
            }
        }
        if wrote && let Err(unsent) = self.to_sync.send(waiting) {
            self.broken.store(true, Ordering::Release);
            for work in unsent.0 {
                self.failed(
                    work,
                    LedgerError::Disk("the syncing thread ended".to_owned()),
                );
            }
        }
    }

    fn failed(&self, work: Box<dyn Work>, error: LedgerError) {
        if let Some(metrics) = &self.metrics {
            metrics.failed();
        }
        tracing::debug!(%error, "database work failed");
        work.fail(error);
    }
}

/// The same error for several owners.
fn clone_error(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => {
            rusqlite::Error::SqliteFailure(*code, text.clone())
        }
        other => sql_error(other.to_string()),
    }
}

fn sql_error(text: String) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR);
    rusqlite::Error::SqliteFailure(code, Some(text))
}

/// All of the log into the file, a plain journal again, and the lock given back.
fn stop_cleanly(connection: Connection) -> Result<(), LedgerError> {
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    connection.close().map_err(|(_, error)| error)?;
    if mode.eq_ignore_ascii_case("delete") {
        Ok(())
    } else {
        Err(LedgerError::Disk(format!(
            "the journal mode stayed {mode} instead of delete"
        )))
    }
}
