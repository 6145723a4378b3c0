//! Owns nonces, balances and the fixed price of each session, in shards by sender.
//!
//! Asked by doors through [`Payments`]: what needs no state is checked in the caller's task, then one message goes to
//! the shard of the sender, and the answer comes when the books hold what it says. A shard that dies starts again from
//! the books: what was answered is there, what was not is there as a whole or not at all.
//!
//! | file | what |
//! |---|---|
//! | `check` | what can be said of a payment without state |
//! | `shard` | the state of a shard, and what a payment does to it |
//! | `session` | balances, credit that is asked, exposure |
//! | `books` | what of the ledger is needed |
//! | `refusal` | why a payment is refused |

mod books;
mod check;
mod refusal;
mod session;
mod shard;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult,
    ResponseActFuture, WrapFuture,
};
use actix_rt::ArbiterHandle;
use arc_swap::ArcSwap;
use protocol::address::Address;
use protocol::money::{Amount, Credit, Payment, PaymentError, Price, QuoteSecret};
use telemetry::metrics::label::Pool;
use telemetry::metrics::{Metrics, PaymentMetrics};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

pub use self::books::{Booked, Books};
pub use self::refusal::PaymentRefusal;
pub use self::session::{BalanceView, CreditTerms};

use self::check::Judge;
use self::session::Reserved;
use self::shard::{Arrival, Judged, NONCES_KEPT_BLOCKS, Shard};
use crate::arbiters::Arbiters;
use crate::death::DeathNotice;
use crate::facts::PaymentFacts;
use crate::quotes::{Purpose, Quotes};
use crate::sender_monitor::Senders;
use crate::supervisor::{AddrCell, Factory};

/// Names of the shards for their supervisor; as many as there are.
const SHARDS: [&str; 8] = [
    "ticket_validator_0",
    "ticket_validator_1",
    "ticket_validator_2",
    "ticket_validator_3",
    "ticket_validator_4",
    "ticket_validator_5",
    "ticket_validator_6",
    "ticket_validator_7",
];
/// Requests to one shard that may be under way at once.
const FRONT: usize = 1024;
/// How long a request waits for a shard that is restarting.
const RESTART: Duration = Duration::from_secs(2);
/// Pause between looks for a restarted shard, and between tries to load it.
const RETRY: Duration = Duration::from_millis(50);
/// How often idle sessions and ended parameters are swept.
const SWEEP: Duration = Duration::from_secs(60);
/// Most balances that a start takes over.
const MOST_BALANCES: u32 = 200_000;

/// What a payment opens.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// What is bought: tickets that were quoted for something else are refused.
    pub purpose: &'a Purpose,
    /// Name of the stream, for metrics.
    pub stream: &'a str,
    /// Estimated units, without margin ([`protocol::money::estimated_pixels`]); `None` for a payment that only pays
    /// ahead and opens nothing.
    pub units: Option<u64>,
}

/// An accepted payment; the books hold it.
#[derive(Debug)]
pub struct Receipt {
    /// Price of the session, wei per unit: what its work is charged at.
    pub price: Price,
    /// The price as fixed for quotes to this session; `None` while nothing was paid.
    pub fixed_price: Option<Price>,
    /// Balance after it.
    pub balance: Credit,
    /// Tickets credited.
    pub tickets: u64,
    /// Work taken on; to be debited, or dropped when none was done.
    pub reservation: Reservation,
}

/// Work taken on for a session. It counts against the sender until it is debited or dropped.
#[derive(Debug)]
pub struct Reservation {
    sender: Address,
    key: String,
    price: Price,
    held: Option<(Reserved, Amount)>,
}

impl Reservation {
    /// Price of the work, wei per unit.
    pub fn price(&self) -> Price {
        self.price
    }

    /// Whether there is anything to charge.
    pub fn is_free(&self) -> bool {
        self.price.is_zero()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some((reserved, amount)) = self.held.take() {
            let mut reserved = reserved.lock();
            *reserved = reserved.minus(amount);
        }
    }
}

/// What payments are judged by and booked in.
pub struct PaymentsSetup {
    /// Who is paid.
    pub recipient: Address,
    /// What quotes are sealed with.
    pub secret: Arc<ArcSwap<QuoteSecret>>,
    /// Rounds above all.
    pub facts: PaymentFacts,
    /// What senders have on chain.
    pub senders: Senders,
    /// What a sender without session is asked for.
    pub quotes: Quotes,
    /// What is asked of senders; may change while the node runs.
    pub terms: Arc<ArcSwap<CreditTerms>>,
    /// The ledger.
    pub books: Arc<dyn Books>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

struct Inner {
    setup: PaymentsSetup,
    shards: Vec<Front>,
    winners: Arc<Notify>,
}

struct Front {
    addr: AddrCell<TicketValidator>,
    permits: Semaphore,
}

/// How doors reach the validators. Cheap to clone.
#[derive(Clone)]
pub struct Payments(Arc<Inner>);

impl Payments {
    /// A front without validators: [`factories`](Self::factories) makes them.
    pub fn new(setup: PaymentsSetup) -> Self {
        let front = |_| Front {
            addr: AddrCell::default(),
            permits: Semaphore::new(FRONT),
        };
        Self(Arc::new(Inner {
            setup,
            shards: SHARDS.iter().map(front).collect(),
            winners: Arc::default(),
        }))
    }

    /// One validator per shard, for the supervisor.
    pub fn factories(&self, arbiters: &Arbiters) -> Vec<(&'static str, Factory)> {
        let shards = SHARDS.iter().enumerate();
        shards
            .map(|(number, name)| (*name, self.factory(number, arbiters.for_key(name).clone())))
            .collect()
    }

    fn factory(&self, number: usize, arbiter: ArbiterHandle) -> Factory {
        let payments = self.clone();
        Box::new(move |notice| payments.start(number, &arbiter, notice))
    }

    /// Counts a payment that was refused before it came here, for its form.
    pub fn count_refusal(&self, refusal: &PaymentRefusal) {
        self.metrics().refused(refusal.label());
    }

    /// Rings after winners were stored; the database says which.
    pub fn winners(&self) -> Arc<Notify> {
        Arc::clone(&self.0.winners)
    }

    /// Takes a payment for session or manifest `key` and, when it opens work, the work as well.
    ///
    /// The answer comes when balance, nonces and price are committed, and winners on the disk.
    ///
    /// # Errors
    /// [`PaymentRefusal`]; what was credited before the refusal stays credited, and winners are stored.
    pub async fn receive(
        &self,
        key: &str,
        payment: &Payment,
        work: Work<'_>,
    ) -> Result<Receipt, PaymentRefusal> {
        let began = Instant::now();
        let received = self.take(key, payment, work).await;
        self.metrics().checked(began.elapsed());
        received
    }

    async fn take(
        &self,
        key: &str,
        payment: &Payment,
        work: Work<'_>,
    ) -> Result<Receipt, PaymentRefusal> {
        let setup = &self.0.setup;
        let sender = payment.sender;
        let batch = match &payment.batch {
            None => None,
            Some(batch) => {
                let checked = self.check(payment, batch, work.purpose).await;
                checked
                    .inspect_err(|error| {
                        let refusal = PaymentRefusal::from(error.clone());
                        self.metrics().refused(refusal.label());
                    })
                    .map(Some)?
            }
        };
        let list_price = setup.quotes.list_price(sender, work.purpose).ok();
        let arrival = Arrival {
            sender,
            key: key.to_owned(),
            stream: work.stream.to_owned(),
            sent_price: payment.expected_price,
            batch,
            units: work.units,
            list_price,
        };
        let answer = self.ask(sender, Receive(arrival)).await;
        answer.inspect_err(|_| {
            self.metrics()
                .refused(telemetry::metrics::label::PaymentRefusal::Internal);
        })?
    }

    /// All about tickets that needs no shard.
    async fn check(
        &self,
        payment: &Payment,
        batch: &protocol::money::TicketBatch,
        purpose: &Purpose,
    ) -> Result<check::CheckedBatch, PaymentError> {
        let setup = &self.0.setup;
        let rounds = setup.facts.rounds.get();
        let rand = {
            let judge = Judge {
                recipient: setup.recipient,
                secret: &setup.secret.load(),
                purpose,
                rounds: &rounds,
            };
            judge.parameters(payment, batch)?
        };
        let funds = setup.senders.fund(payment.sender).await;
        check::sender(payment.sender, &funds, &rounds)?;
        Ok(check::tickets(payment.sender, batch, rand).await)
    }

    /// Charges `units` of work that was taken on, at the price of the session, and gives its reservation back. The
    /// balance may fall below zero: the work was done.
    ///
    /// # Errors
    /// [`PaymentRefusal::Unavailable`] when the books cannot be reached; the charge is then lost.
    pub async fn debit(&self, reservation: Reservation, units: u64) -> Result<(), PaymentRefusal> {
        if reservation.is_free() || units == 0 {
            return Ok(());
        }
        let charge = Amount::charge(&reservation.price, units);
        let (sender, key) = (reservation.sender, reservation.key.clone());
        let charged = self.charge_amount(sender, key, charge, false).await;
        drop(reservation);
        charged.map(drop)
    }

    /// Charges an interval of running work, unless the credit does not cover it: then nothing is charged and the work
    /// must end.
    ///
    /// # Errors
    /// [`PaymentRefusal::Balance`] when the credit does not cover it, [`PaymentRefusal::Unavailable`].
    pub async fn charge(
        &self,
        sender: Address,
        key: &str,
        price: &Price,
        units: u64,
    ) -> Result<Credit, PaymentRefusal> {
        let charge = Amount::charge(price, units);
        self.charge_amount(sender, key.to_owned(), charge, true)
            .await
    }

    async fn charge_amount(
        &self,
        sender: Address,
        key: String,
        charge: Amount,
        only_covered: bool,
    ) -> Result<Credit, PaymentRefusal> {
        let debit = Debit {
            sender,
            key,
            charge,
            only_covered,
        };
        self.ask(sender, debit).await?
    }

    /// Price that the first paid use of `key` fixed; `None` while nothing was paid, or after the session was idle.
    pub async fn fixed_price(&self, sender: Address, key: &str) -> Option<Price> {
        let look = Look {
            sender,
            key: key.to_owned(),
        };
        self.ask(sender, look).await.ok()??.1
    }

    /// Balance of `key`; `None` when it has none.
    pub async fn balance(&self, sender: Address, key: &str) -> Option<Credit> {
        let look = Look {
            sender,
            key: key.to_owned(),
        };
        self.ask(sender, look)
            .await
            .ok()?
            .map(|(balance, _)| balance)
    }

    /// Every session with a balance, in no order.
    pub async fn views(&self) -> Vec<BalanceView> {
        let mut views = Vec::new();
        for shard in &self.0.shards {
            views.extend(self.ask_shard(shard, Views).await.unwrap_or_default());
        }
        views
    }

    /// Sweeps for ever; assembly spawns it once.
    pub async fn run_sweeps(self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.sweep().await;
        }
    }

    /// Forgets idle sessions and nonces of parameters that ended long ago, here and in the books.
    pub async fn sweep(&self) {
        let mut keep = Vec::new();
        let (mut credit, mut exposure) = (Amount::ZERO, Amount::ZERO);
        for shard in &self.0.shards {
            // a shard that does not answer may hold any session: nothing is forgotten now
            let Ok(swept) = self.ask_shard(shard, Sweep).await else {
                return;
            };
            keep.extend(swept.keep);
            credit = credit.plus(swept.credit);
            exposure = exposure.plus(swept.exposure);
        }
        let wei = |amount: Amount| u128::try_from(amount.whole_wei()).unwrap_or(u128::MAX);
        self.metrics().set_balances(wei(credit), wei(exposure));
        let books = &self.0.setup.books;
        let l1_block = self.0.setup.facts.rounds.load().l1_block;
        let ended = l1_block.saturating_sub(NONCES_KEPT_BLOCKS);
        let (forgotten, purged) = (
            books.forget_idle(session::IDLE, keep),
            books.purge_nonces(ended),
        );
        for done in [forgotten.await, purged.await] {
            if let Err(error) = done {
                tracing::warn!(%error, "idle sessions could not be swept");
            }
        }
    }

    fn metrics(&self) -> &PaymentMetrics {
        &self.0.setup.metrics.payments
    }

    fn start(&self, number: usize, arbiter: &ArbiterHandle, notice: DeathNotice<&'static str>) {
        let inner = Arc::clone(&self.0);
        let addr = TicketValidator::start_in_arbiter(arbiter, move |_| TicketValidator {
            state: Shard::default(),
            number,
            payments: inner,
            _notice: notice,
        });
        if let Some(front) = self.0.shards.get(number) {
            front.addr.store(Some(Arc::new(addr)));
        }
    }

    async fn ask<M>(&self, sender: Address, message: M) -> Result<M::Result, PaymentRefusal>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        TicketValidator: Handler<M>,
        Context<TicketValidator>: actix::dev::ToEnvelope<TicketValidator, M>,
    {
        let shard = self.0.shards.get(shard_of(sender));
        let shard = shard.ok_or_else(|| unavailable("no shard"))?;
        self.ask_shard(shard, message).await
    }

    async fn ask_shard<M>(&self, shard: &Front, message: M) -> Result<M::Result, PaymentRefusal>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        TicketValidator: Handler<M>,
        Context<TicketValidator>: actix::dev::ToEnvelope<TicketValidator, M>,
    {
        let Ok(_permit) = shard.permits.try_acquire() else {
            self.0.setup.metrics.video.pool_full(Pool::Mailbox);
            return Err(unavailable("too many payments are under way"));
        };
        let deadline = Instant::now() + RESTART;
        loop {
            let alive = shard.addr.load_full().filter(|addr| addr.connected());
            if let Some(addr) = alive {
                // a message that died with its shard is not sent again: it may be in the books
                let sent = addr.send(message).await;
                return sent.map_err(|_| unavailable("the validator died over this payment"));
            }
            if Instant::now() >= deadline {
                return Err(unavailable("the validator is restarting"));
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Senders are spread by the last byte of their address, which nobody can steer cheaply to one of so few shards for gain.
fn shard_of(sender: Address) -> usize {
    usize::from(sender.0[19]) % SHARDS.len()
}

fn unavailable(cause: &str) -> PaymentRefusal {
    PaymentRefusal::Unavailable(cause.to_owned())
}

// ---- messages: asked by the front ----

#[derive(Message)]
#[rtype(result = "Result<Receipt, PaymentRefusal>")]
struct Receive(Arrival);

#[derive(Message)]
#[rtype(result = "Result<Credit, PaymentRefusal>")]
struct Debit {
    sender: Address,
    key: String,
    charge: Amount,
    only_covered: bool,
}

/// Balance and fixed price.
#[derive(Message)]
#[rtype(result = "Option<(Credit, Option<Price>)>")]
struct Look {
    sender: Address,
    key: String,
}

#[derive(Message)]
#[rtype(result = "Vec<BalanceView>")]
struct Views;

#[derive(Message)]
#[rtype(result = "Swept")]
struct Sweep;

struct Swept {
    keep: Vec<(Address, String)>,
    credit: Amount,
    exposure: Amount,
}

/// One shard; see the module.
pub struct TicketValidator {
    state: Shard,
    number: usize,
    payments: Arc<Inner>,
    _notice: DeathNotice<&'static str>,
}

impl TicketValidator {
    /// The state of the books, tried until they can be read.
    async fn load(payments: Arc<Inner>, number: usize) -> Shard {
        loop {
            let setup = &payments.setup;
            let l1_block = setup.facts.rounds.load().l1_block;
            let ended = l1_block.saturating_sub(NONCES_KEPT_BLOCKS);
            let credits = setup.books.load_credits(session::DEBT_KEPT, MOST_BALANCES);
            let nonces = setup.books.load_nonces(ended);
            match futures::future::try_join(credits, nonces).await {
                Ok((credits, nonces)) => {
                    for problem in &credits.unreadable {
                        tracing::error!(problem, "a balance cannot be read and is left out");
                    }
                    let mine = |sender| shard_of(sender) == number;
                    return Shard::from_books(credits, nonces, mine, Instant::now());
                }
                Err(error) => {
                    tracing::error!(%error, "balances cannot be loaded, payments wait");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

impl Actor for TicketValidator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(FRONT);
        let load = Self::load(Arc::clone(&self.payments), self.number).into_actor(self);
        ctx.wait(load.map(|state, shard, _| shard.state = state));
    }
}

impl Handler<Receive> for TicketValidator {
    type Result = ResponseActFuture<Self, Result<Receipt, PaymentRefusal>>;

    fn handle(&mut self, message: Receive, _: &mut Self::Context) -> Self::Result {
        let setup = &self.payments.setup;
        let (sender, key) = (message.0.sender, message.0.key.clone());
        let judged = self.state.receive(
            message.0,
            &setup.terms.load(),
            setup.facts.rounds.load().l1_block,
            Instant::now(),
            &setup.metrics.payments,
        );
        let fixed_price = self.state.session(sender, &key).and_then(|s| s.fixed);
        for refusal in &judged.refusals {
            setup.metrics.payments.refused(refusal.label());
        }
        let Judged {
            verdict,
            record,
            undo,
            tickets,
            ..
        } = judged;
        // made into a guard at once, so that it is given back however this ends
        let receipt = verdict.map(|accepted| Receipt {
            price: accepted.price,
            fixed_price,
            balance: accepted.balance,
            tickets,
            reservation: Reservation {
                sender,
                key: key.clone(),
                price: accepted.price,
                held: accepted.reserved,
            },
        });
        let Some(record) = record else {
            return Box::pin(futures::future::ready(receipt).into_actor(self));
        };
        let won = !record.winners.is_empty();
        let booked = setup.books.apply(record).into_actor(self);
        Box::pin(booked.map(move |booked, shard, ctx| match booked {
            Ok(()) => {
                if won {
                    shard.payments.winners.notify_one();
                }
                receipt
            }
            Err(error) => {
                tracing::error!(%error, %sender, "a payment could not be stored and is taken back");
                if let Some(balance) = shard.state.undo(undo) {
                    let corrected = shard
                        .payments
                        .setup
                        .books
                        .set_balance(sender, &key, balance);
                    ctx.spawn(corrected.into_actor(shard).map(|_, _, _| ()));
                }
                Err(PaymentRefusal::Unavailable(error.to_string()))
            }
        }))
    }
}

impl Handler<Debit> for TicketValidator {
    type Result = ResponseActFuture<Self, Result<Credit, PaymentRefusal>>;

    fn handle(&mut self, message: Debit, _: &mut Self::Context) -> Self::Result {
        let Debit {
            sender,
            key,
            charge,
            only_covered,
        } = message;
        let debited = self
            .state
            .debit(sender, &key, charge, only_covered, Instant::now());
        let balance = match debited {
            Ok(balance) if !charge.is_zero() => balance,
            other => return Box::pin(futures::future::ready(other).into_actor(self)),
        };
        // the work is done whatever the books say, so the charge stays; the next one stores it again
        let booked = self.payments.setup.books.set_balance(sender, &key, balance);
        Box::pin(
            booked
                .into_actor(self)
                .map(move |booked, _, _| match booked {
                    Ok(()) => Ok(balance),
                    Err(error) => Err(PaymentRefusal::Unavailable(error.to_string())),
                }),
        )
    }
}

impl Handler<Look> for TicketValidator {
    type Result = Option<(Credit, Option<Price>)>;

    fn handle(&mut self, message: Look, _: &mut Self::Context) -> Self::Result {
        let session = self.state.session(message.sender, &message.key)?;
        Some((session.balance, session.fixed))
    }
}

impl Handler<Views> for TicketValidator {
    type Result = MessageResult<Views>;

    fn handle(&mut self, _: Views, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.state.views())
    }
}

/// Kills the shard, in tests.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
struct Crash;

#[cfg(test)]
impl Handler<Crash> for TicketValidator {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("ordered by a test");
    }
}

impl Handler<Sweep> for TicketValidator {
    type Result = MessageResult<Sweep>;

    fn handle(&mut self, _: Sweep, _: &mut Self::Context) -> Self::Result {
        let keep = self.state.sweep(Instant::now());
        let (credit, exposure) = self.state.totals();
        MessageResult(Swept {
            keep,
            credit,
            exposure,
        })
    }
}
