//! Options about tickets, prices, credit and redemption.

use super::{OptionSpec, Role};
use crate::kind::Kind;

const O: &[Role] = &[Role::Orchestrator];
const REDEEMS: &[Role] = &[Role::Orchestrator, Role::Redeemer];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("pricePerUnit", Kind::Price, "0", "Price of -pixelsPerUnit pixels, in wei or with a currency, as 0.02USD; must be given on-chain")
        .default_note("unset")
        .roles(O)
        .on_chain()
        .live(),
    OptionSpec::new("pixelsPerUnit", Kind::Pixels, "1", "Pixels that -pricePerUnit pays for; an exponent is allowed, as 1e12")
        .roles(O)
        .on_chain()
        .live(),
    OptionSpec::new("pricePerGateway", Kind::PathOrValue, "", "Prices by gateway address, as JSON or the path of a JSON file")
        .aliases(&["pricePerBroadcaster"])
        .roles(O)
        .on_chain()
        .live(),
    OptionSpec::new("priceFeedAddr", Kind::Address, "0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612", "Price feed contract for currencies")
        .roles(O)
        .on_chain(),
    OptionSpec::new("priceFeedMaxAge", Kind::Duration, "26h", "Age from which an answer of the price feed counts as stale; the last good one stays in use")
        .roles(O)
        .on_chain()
        .ours(),
    OptionSpec::new("priceFeedMaxChange", Kind::int(1, 1000), "50", "Percent by which an answer of the price feed may differ from the last good one before it is refused")
        .roles(O)
        .on_chain()
        .ours(),
    OptionSpec::bool("autoAdjustPrice", true, "Raise the price by what redeeming a ticket costs")
        .roles(O)
        .on_chain()
        .live(),
    OptionSpec::new("maxPriceSurcharge", Kind::int(0, 10_000), "20", "Most that -autoAdjustPrice adds, in percent of the price")
        .roles(O)
        .on_chain()
        .live()
        .ours(),
    OptionSpec::new("gasPriceSmoothing", Kind::Duration, "10m", "Time over which gas prices are averaged before they move prices and face values")
        .roles(O)
        .on_chain()
        .ours(),
    OptionSpec::new("ticketEV", Kind::wei(), "8000000000", "Expected value of one ticket, in wei").roles(O).on_chain(),
    OptionSpec::new("maxFaceValue", Kind::wei(), "0", "Highest face value of a ticket, in wei; 0 is no limit")
        .roles(O)
        .on_chain()
        .live(),
    OptionSpec::bool("creditByEstimate", true, "Ask a sender without history for credit as its work is estimated, instead of for one ticket")
        .roles(O)
        .on_chain()
        .live()
        .ours(),
    OptionSpec::new("maxSenderExposure", Kind::wei(), "1000000000000000", "Most work done for one sender beyond what its tickets paid, all its sessions together, in wei; 0 is no limit")
        .roles(O)
        .on_chain()
        .live()
        .ours(),
    OptionSpec::new("redeemGas", Kind::int(21_000, 100_000_000), "", "Gas assumed for redeeming a ticket until own receipts tell better")
        .default_note("1200000 on Arbitrum, else 350000")
        .roles(REDEEMS)
        .on_chain()
        .ours(),
    OptionSpec::new("maxRedeemCost", Kind::int(1, 100), "10", "Most that redeeming a ticket may cost, in percent of what it pays; ignored when it is about to expire as long as it pays more than it costs")
        .roles(REDEEMS)
        .on_chain()
        .live()
        .ours(),
    OptionSpec::new("redeemerAddr", Kind::Text, "", "Address of the ticket redemption service that redeems in place of this node, host:port")
        .roles(O)
        .on_chain(),
    OptionSpec::new("redeemerToken", Kind::PathOrValue, "", "Token between -redeemerAddr and -redeemer, the same on both sides, or the path of a file holding it")
        .secret()
        .roles(REDEEMS)
        .on_chain()
        .ours(),
    OptionSpec::bool("redeemerInsecure", false, "Let a -redeemer beyond loopback serve callers without a token, as nodes of the reference are")
        .roles(&[Role::Redeemer])
        .on_chain()
        .ours(),
];
