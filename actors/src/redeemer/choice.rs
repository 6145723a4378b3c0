//! Which tickets go now: those worth their transaction, the most urgent first, within what senders and the own account have.

use chain::transactions::{Purpose, Request};
use chain::{Hash as ChainHash, calls};
use ledger::TicketState;
use ledger::ticket::Deferral;
use protocol::address::Address;
use protocol::money::U256;
use protocol::signature::Hash;

use super::policy::{Life, Purse, Verdict, judge};
use super::queue::Phase;
use super::scheduler::{BULK, Flight, Redeemer, Trouble, wake_on_change};
use super::small;
use crate::facts::Rounds;

impl Redeemer {
    /// Tickets to look at now, the most urgent first.
    fn open(&self, rounds: &Rounds) -> Vec<(Hash, Address, U256, u64)> {
        self.queue
            .iter()
            .filter(|entry| entry.is_open(rounds.l1_block))
            .filter(|entry| !self.flights.contains_key(&entry.hash))
            .filter(|entry| !self.lost.contains(&entry.hash))
            .map(|entry| (entry.hash, entry.sender, entry.face, entry.creation_round))
            .collect()
    }

    /// Puts off tickets for a reason that all of them share.
    async fn defer_all(
        &mut self,
        rounds: &Rounds,
        reason: Deferral,
        detail: &str,
    ) -> Result<(), Trouble> {
        let same = |phase: &Phase| matches!(phase, Phase::Deferred(old, _) if *old == reason);
        let all: Vec<Hash> = self
            .queue
            .iter()
            .filter(|entry| entry.is_open(rounds.l1_block) && !same(&entry.phase))
            .filter(|entry| !self.flights.contains_key(&entry.hash))
            .take(BULK)
            .map(|entry| entry.hash)
            .collect();
        for ticket in all {
            self.defer(ticket, reason, detail.to_owned(), 0).await?;
        }
        Ok(())
    }

    /// Chooses and sends.
    pub(super) async fn choose(&mut self, rounds: &Rounds) -> Result<(), Trouble> {
        if self.held || self.flights.len() >= self.options.max_in_flight {
            return Ok(());
        }
        let open = self.open(rounds);
        if open.is_empty() {
            return Ok(());
        }
        if !rounds.initialized {
            let detail = format!("round {} is not initialised", rounds.current);
            return self
                .defer_all(rounds, Deferral::RoundNotInitialized, &detail)
                .await;
        }
        let price = self.gas_price().await?;
        if let Some(most) = self.options.policy.max_gas_price
            && price > U256::from(most)
        {
            let detail = format!(
                "current gas price exceeds maximum gas price max={} GWei current={} GWei",
                chain::fees::gwei(most),
                chain::fees::gwei(small(price))
            );
            return self.defer_all(rounds, Deferral::GasPrice, &detail).await;
        }
        let gas = self.gas().await?;
        let cost = price.saturating_mul(gas.into());
        let account = self.parts.transactions.account();
        let own = self.parts.client.balances(account).await?.eth;
        let afoot = cost.saturating_mul(self.flights.len().into());
        if own < afoot.saturating_add(cost) {
            let detail = format!("account {account} has {own} wei, a transaction costs {cost} wei");
            return self.defer_all(rounds, Deferral::OwnFunds, &detail).await;
        }
        self.read_purses(rounds, &open).await?;
        self.send(rounds, open, cost, own - afoot).await
    }

    async fn send(
        &mut self,
        rounds: &Rounds,
        open: Vec<(Hash, Address, U256, u64)>,
        cost: U256,
        mut own: U256,
    ) -> Result<(), Trouble> {
        let mut left = self.purses.clone();
        for flight in self.flights.values() {
            if let Some(purse) = left.get_mut(&flight.sender) {
                purse.take(flight.face);
            }
        }
        let mut deferred = 0;
        for (ticket, sender, face, creation_round) in open {
            if self.flights.len() >= self.options.max_in_flight || own < cost {
                return Ok(());
            }
            let (Some(all), Some(rest)) = (self.purses.get(&sender), left.get_mut(&sender)) else {
                continue;
            };
            let life = Life {
                creation_round,
                validity: self.validity,
            };
            let policy = &self.options.policy;
            let urgent = policy.is_urgent(life, rounds);
            match judge(policy, face, cost, all, rest, urgent) {
                Verdict::Redeem(_) => {
                    rest.take(face);
                    own -= cost;
                    self.launch(ticket).await?;
                }
                Verdict::Defer(reason, pays) if !self.is_deferred(&ticket, reason) => {
                    if deferred < BULK {
                        deferred += 1;
                        let detail = format!("pays {pays} of {face} wei and costs {cost} wei");
                        self.defer(ticket, reason, detail, 0).await?;
                    }
                }
                Verdict::Defer(..) => {}
            }
        }
        Ok(())
    }

    async fn gas_price(&self) -> Result<U256, Trouble> {
        let known = self.parts.gas.load();
        if !known.last.is_zero() && !known.stale {
            return Ok(known.last);
        }
        drop(known);
        Ok(self.parts.client.gas_price().await?)
    }

    /// Gas of a redemption, by own receipts where there are some.
    async fn gas(&self) -> Result<u64, Trouble> {
        let learned = self
            .parts
            .transactions
            .expected_gas(calls::REDEEM_SELECTOR)
            .await?;
        let gas = learned.unwrap_or(self.options.redeem_gas);
        self.parts.metrics.set_gas(gas);
        Ok(gas)
    }

    /// Reads what the senders of these tickets have, as far as it is not known at this L1 block.
    async fn read_purses(
        &mut self,
        rounds: &Rounds,
        open: &[(Hash, Address, U256, u64)],
    ) -> Result<(), Trouble> {
        if self.purses_at != rounds.l1_block {
            self.purses.clear();
            self.purses_at = rounds.l1_block;
        }
        let mut unknown = Vec::new();
        for (_, sender, ..) in open {
            if self.purses.contains_key(sender) || unknown.contains(sender) {
                continue;
            }
            if unknown.len() == BULK {
                // the rest in the next look
                self.parts.bell.ring();
                break;
            }
            unknown.push(*sender);
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let read = self
            .parts
            .client
            .sender_infos(&unknown, self.options.recipient)
            .await?;
        for info in read.value {
            let purse = Purse {
                deposit: info.deposit,
                claimable: info.claimable,
            };
            self.purses.insert(info.sender, purse);
        }
        Ok(())
    }

    /// Hands a ticket to the transaction queue, or joins what is there.
    pub(super) async fn launch(&mut self, ticket: Hash) -> Result<(), Trouble> {
        let stored = self.parts.ledger.ticket(ticket).await?;
        let may_go = matches!(
            stored.state,
            TicketState::Ready | TicketState::Deferred { .. } | TicketState::Submitted { .. }
        );
        self.queue.put(&stored);
        if !may_go {
            return Ok(());
        }
        let contracts = self.parts.client.contracts();
        let write = calls::redeem_winning_ticket(&contracts, &stored.winner)?;
        let patience = u64::try_from(self.options.patience.as_millis()).unwrap_or(u64::MAX);
        let request = Request {
            valid_until_ms: Some((self.parts.now_ms)().saturating_add(patience)),
            ..Request::new(Purpose::Redeem(ChainHash(ticket)), write)
        };
        let pending = self.parts.transactions.submit(request).await?;
        self.parts.metrics.attempted();
        wake_on_change(pending.clone(), self.parts.bell.clone());
        self.flights.insert(
            ticket,
            Flight {
                pending,
                sender: stored.winner.ticket.sender,
                face: stored.winner.ticket.face_value,
            },
        );
        Ok(())
    }
}
