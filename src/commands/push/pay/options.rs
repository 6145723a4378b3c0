//! Options of a push that pays, named as the reference's gateway names them.

use std::path::PathBuf;
use std::time::Duration;

use chain::EndpointUrl;
use lexopt::Parser;
use protocol::address::Address;
use protocol::money::{Price, Rational, U256, parse_amount};

use super::quote::Limits;
use crate::commands::push::flags::{text, value};

/// Help text.
pub const HELP: &str = "\
paying (needs -ethUrl, -ethController and -ethKeystorePath); amounts in wei, or with ETH behind the number:

  -ethUrl LIST           RPC end points of the chain
  -ethController ADDRESS its Controller
  -ethKeystorePath PATH  key file, or folder of key files
  -ethAcctAddr LIST      accounts that pay, for streams in turn (the first key)
  -ethPassword TEXT      password of the keys, or a file that holds it (asked for)
  -deposit AMOUNT        fill the deposit of each account up to this; test chains only
  -reserve AMOUNT        fill the reserve of each account up to this; test chains only
  -maxTicketEV WEI       most expected value of a ticket (3000000000000)
  -maxTotalEV WEI        most expected value of the tickets of a segment (20000000000000)
  -depositMultiplier N   the deposit must hold a ticket's face value so often (1)
  -maxPricePerUnit PRICE most to pay, per -pixelsPerUnit pixels (any price)
  -pixelsPerUnit N       pixels that -maxPricePerUnit is for (1)
  -blockPollingInterval S  seconds between looks at the chain (5)
";

/// Expected value of a ticket that the reference's gateway takes at most, wei.
const TICKET_EV: u64 = 3_000_000_000_000;
/// Expected value of a payment that it makes at most, wei.
const TOTAL_EV: u64 = 20_000_000_000_000;

/// How a push pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayOptions {
    /// RPC end points, the preferred one first.
    pub urls: Vec<EndpointUrl>,
    /// The Controller.
    pub controller: Address,
    /// Key file or folder.
    pub keys: PathBuf,
    /// Accounts; empty for the first key.
    pub accounts: Vec<Address>,
    /// Password or the path of its file; empty to ask.
    pub password: String,
    /// Wei that each deposit is filled up to.
    pub deposit: U256,
    /// Wei that each reserve is filled up to.
    pub reserve: U256,
    /// What is paid at most.
    pub limits: Limits,
    /// Time between looks at the chain.
    pub poll: Duration,
}

/// What was read so far.
#[derive(Debug)]
pub struct Reader {
    urls: Vec<EndpointUrl>,
    controller: Option<Address>,
    keys: Option<PathBuf>,
    accounts: Vec<Address>,
    password: String,
    deposit: U256,
    reserve: U256,
    limits: Limits,
    price: Option<Rational>,
    pixels: Rational,
    poll: Duration,
    /// A flag that makes no sense without a chain.
    first: Option<String>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            controller: None,
            keys: None,
            accounts: Vec::new(),
            password: String::new(),
            deposit: U256::zero(),
            reserve: U256::zero(),
            limits: Limits {
                ticket_ev: Rational::integer(TICKET_EV),
                total_ev: Rational::integer(TOTAL_EV),
                deposit_multiplier: 1,
                price: None,
            },
            price: None,
            pixels: Rational::integer(1),
            poll: Duration::from_secs(5),
            first: None,
        }
    }
}

impl Reader {
    /// Reads the value of the flag if it is one of these; whether it was.
    ///
    /// # Errors
    /// One line that names the flag.
    pub fn set(&mut self, parser: &mut Parser, flag: &str) -> Result<bool, String> {
        match flag {
            "ethUrl" => {
                let list = text(parser, flag)?;
                self.urls = EndpointUrl::parse_list(&list).map_err(named(flag))?;
            }
            "ethController" => {
                self.controller = Some(account(&text(parser, flag)?).map_err(named(flag))?);
            }
            "ethKeystorePath" => self.keys = Some(text(parser, flag)?.into()),
            "ethAcctAddr" => {
                let list = text(parser, flag)?;
                let accounts = list.split(',').map(account);
                self.accounts = accounts.collect::<Result<_, _>>().map_err(named(flag))?;
            }
            "ethPassword" => self.password = text(parser, flag)?,
            "deposit" => self.deposit = wei(parser, flag)?,
            "reserve" => self.reserve = wei(parser, flag)?,
            "maxTicketEV" => self.limits.ticket_ev = value(parser, flag)?,
            "maxTotalEV" => self.limits.total_ev = value(parser, flag)?,
            "depositMultiplier" => {
                self.limits.deposit_multiplier = value(parser, flag)?;
                if self.limits.deposit_multiplier == 0 {
                    return Err("-depositMultiplier: must be 1 or more".to_owned());
                }
            }
            "maxPricePerUnit" => self.price = Some(in_wei(parser, flag)?),
            "pixelsPerUnit" => {
                self.pixels = value(parser, flag)?;
                if self.pixels.is_zero() {
                    return Err("-pixelsPerUnit: must be more than 0".to_owned());
                }
            }
            "blockPollingInterval" => {
                self.poll = Duration::from_secs(value::<u32>(parser, flag)?.max(1).into());
            }
            _ => return Ok(false),
        }
        self.first.get_or_insert_with(|| flag.to_owned());
        Ok(true)
    }

    /// What was read; `None` when nothing is to be paid.
    ///
    /// # Errors
    /// What is missing, in a line.
    pub fn finish(self) -> Result<Option<PayOptions>, String> {
        if self.urls.is_empty() {
            return match self.first {
                Some(flag) => Err(format!("-{flag} is for paying, which needs -ethUrl")),
                None => Ok(None),
            };
        }
        let price = self
            .price
            .and_then(|price| Price::from_settings(price, Rational::integer(1), self.pixels));
        Ok(Some(PayOptions {
            urls: self.urls,
            controller: self
                .controller
                .ok_or("paying needs -ethController, the address of the Controller")?,
            keys: self
                .keys
                .ok_or("paying needs -ethKeystorePath, a key file or a folder of key files")?,
            accounts: self.accounts,
            password: self.password,
            deposit: self.deposit,
            reserve: self.reserve,
            limits: Limits {
                price,
                ..self.limits
            },
            poll: self.poll,
        }))
    }
}

/// An amount in wei or ETH, as wei.
fn in_wei(parser: &mut Parser, flag: &str) -> Result<Rational, String> {
    let (number, currency) = parse_amount(&text(parser, flag)?).map_err(named(flag))?;
    let factor = currency.wei_factor(None).map_err(named(flag))?;
    Ok(number.times(&factor))
}

fn wei(parser: &mut Parser, flag: &str) -> Result<U256, String> {
    Ok(in_wei(parser, flag)?.ceil())
}

/// An account; in mixed case its checksum must be right.
fn account(text: &str) -> Result<Address, &'static str> {
    config::Account::parse(text.trim()).map(|account| Address(account.bytes()))
}

fn named<E: std::fmt::Display>(flag: &str) -> impl Fn(E) -> String {
    move |error| format!("-{flag}: {error}")
}
