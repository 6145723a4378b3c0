//! The task that owns the queue, and the handle that everybody else has.

use std::{borrow::Cow, future::Future, time::Duration};

use async_trait::async_trait;
use protocol::address::Address;
use tokio::sync::{mpsc, oneshot};

use super::{
    Options, Pending, Purpose, Request, TransactionError, TransactionJournal, TransactionNode,
    TransactionQueue,
};
use crate::{
    fees::{Fees, PriceBounds},
    signer::Signer,
    types::Hash,
};

/// Commands that wait for the task.
const COMMANDS: usize = 256;

/// What a transaction under way looks like to an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionStatus {
    /// What for.
    pub purpose: Purpose,
    /// Function called.
    pub method: Cow<'static, str>,
    /// Its nonce, once sent.
    pub nonce: Option<u64>,
    /// All that was sent under it, oldest first.
    pub hashes: Vec<Hash>,
    /// Fees of the newest.
    pub fees: Option<Fees>,
    /// When the newest was sent, ms since 1970; 0 when that was before a restart.
    pub sent_ms: Option<u64>,
    /// Whether it is being cancelled.
    pub cancelling: bool,
    /// Why it is not further.
    pub note: Option<String>,
}

/// What the queue looks like to an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// The account that signs.
    pub account: Address,
    /// Nonces of ours that another process with the same key used, since the start.
    pub nonces_taken_by_others: u64,
    /// What is under way, in the order of submission.
    pub transactions: Vec<TransactionStatus>,
}

/// What a sender of transactions offers. [`Transactions`] is the real one.
#[async_trait]
pub trait TransactionSender: Send + Sync + 'static {
    /// The account that signs.
    fn account(&self) -> Address;
    /// See [`TransactionQueue::submit`].
    async fn submit(&self, request: Request) -> Result<Pending, TransactionError>;
    /// See [`TransactionQueue::cancel`].
    async fn cancel(&self, purpose: Purpose) -> Result<Option<Pending>, TransactionError>;
    /// What is under way.
    async fn status(&self) -> Result<QueueStatus, TransactionError>;
    /// Gas that a call of `selector` used lately; `None` before the first receipt.
    async fn expected_gas(&self, selector: [u8; 4]) -> Result<Option<u64>, TransactionError>;
    /// The operator's new bounds of the gas price.
    async fn set_bounds(&self, bounds: PriceBounds) -> Result<(), TransactionError>;
}

enum Command {
    Submit(
        Box<Request>,
        oneshot::Sender<Result<Pending, TransactionError>>,
    ),
    Cancel(Purpose, oneshot::Sender<Option<Pending>>),
    Status(oneshot::Sender<QueueStatus>),
    ExpectedGas([u8; 4], oneshot::Sender<Option<u64>>),
    SetBounds(PriceBounds, oneshot::Sender<()>),
}

/// Handle of the queue. Clones share it; the task ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Transactions {
    account: Address,
    commands: mpsc::Sender<Command>,
}

impl Transactions {
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, TransactionError> {
        let (sender, answer) = oneshot::channel();
        let sent = self.commands.send(command(sender)).await;
        sent.map_err(|_| TransactionError::Stopped)?;
        answer.await.map_err(|_| TransactionError::Stopped)
    }
}

#[async_trait]
impl TransactionSender for Transactions {
    fn account(&self) -> Address {
        self.account
    }

    async fn submit(&self, request: Request) -> Result<Pending, TransactionError> {
        self.ask(|answer| Command::Submit(Box::new(request), answer))
            .await?
    }

    async fn cancel(&self, purpose: Purpose) -> Result<Option<Pending>, TransactionError> {
        self.ask(|answer| Command::Cancel(purpose, answer)).await
    }

    async fn status(&self) -> Result<QueueStatus, TransactionError> {
        self.ask(Command::Status).await
    }

    async fn expected_gas(&self, selector: [u8; 4]) -> Result<Option<u64>, TransactionError> {
        self.ask(|answer| Command::ExpectedGas(selector, answer))
            .await
    }

    async fn set_bounds(&self, bounds: PriceBounds) -> Result<(), TransactionError> {
        self.ask(|answer| Command::SetBounds(bounds, answer)).await
    }
}

/// Opens the queue and gives the handle, and the task to spawn. `now_ms` tells ms since 1970.
///
/// The task may be stopped at any point: what was sent is in the journal. There must be one queue for a key.
pub async fn start<N: TransactionNode, J: TransactionJournal>(
    node: N,
    journal: J,
    signer: Signer,
    options: Options,
    now_ms: impl Fn() -> u64 + Send + Sync + 'static,
) -> Result<(Transactions, impl Future<Output = ()> + Send), TransactionError> {
    let queue = TransactionQueue::open(node, journal, signer, options).await?;
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let handle = Transactions {
        account: queue.account(),
        commands,
    };
    Ok((handle, Box::pin(run(queue, inbox, now_ms))))
}

async fn run<N: TransactionNode, J: TransactionJournal>(
    mut queue: TransactionQueue<N, J>,
    mut inbox: mpsc::Receiver<Command>,
    now_ms: impl Fn() -> u64 + Send + Sync,
) {
    let mut due = tokio::time::Instant::now();
    loop {
        let pause = queue.next_step_ms();
        let step = tokio::select! {
            biased;
            command = inbox.recv() => match command {
                None => return,
                Some(command) => obey(&mut queue, command).await,
            },
            () = tokio::time::sleep_until(due), if pause.is_some() => true,
        };
        if step {
            if let Err(error) = queue.step(now_ms()).await {
                tracing::warn!(%error, "transactions wait");
            }
            let pause = queue.next_step_ms().unwrap_or_default();
            due = tokio::time::Instant::now() + Duration::from_millis(pause);
        }
    }
}

/// Carries out a command; `true` when there may be something to do now.
async fn obey<N: TransactionNode, J: TransactionJournal>(
    queue: &mut TransactionQueue<N, J>,
    command: Command,
) -> bool {
    // who asked may have gone; then nobody needs the answer
    match command {
        Command::Submit(request, answer) => {
            let _ = answer.send(queue.submit(*request).await);
            true
        }
        Command::Cancel(purpose, answer) => {
            let _ = answer.send(queue.cancel(&purpose));
            true
        }
        Command::Status(answer) => {
            let _ = answer.send(queue.status());
            false
        }
        Command::ExpectedGas(selector, answer) => {
            let _ = answer.send(queue.core.history.expected(selector));
            false
        }
        Command::SetBounds(bounds, answer) => {
            queue.set_bounds(bounds);
            let _ = answer.send(());
            true
        }
    }
}
