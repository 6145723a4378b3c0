//! The JSON of `-pricePerGateway`, as the reference reads it: `gateways` and the older `broadcasters`, names of fields in any case, numbers
//! with fractions and exponents, unknown fields skipped. Numbers are taken as they are written, so that they stay exact. Where the
//! reference would go on with the base prices, without a word to the operator's gateways, this reader refuses.

use super::prices::{Currency, Price};
use crate::decimal::Decimal;
use crate::money::Account;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct GatewayPrices {
    pub(super) prices: BTreeMap<Account, Price>,
    pub(super) mistakes: Vec<String>,
    pub(super) warnings: Vec<String>,
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

const FORM: &str = r#"must be {"gateways":[{"ethaddress":"0x…","priceperunit":0.5,"currency":"USD","pixelsperunit":1000000000000}]} or the path of a file holding that"#;

pub(super) fn read(json: &str) -> GatewayPrices {
    let mut found = GatewayPrices::default();
    let Some(top) = fields(json) else {
        found.mistakes.push(FORM.to_owned());
        return found;
    };
    let lists = ["broadcasters", "gateways"].map(|name| (name, top.get(name)));
    if lists.iter().all(|(_, list)| list.is_none()) {
        found.mistakes.push(FORM.to_owned());
    }
    for (name, list) in lists {
        let Some(list) = list else { continue };
        match serde_json::from_str::<Option<Vec<&RawValue>>>(list.get()) {
            Ok(entries) => {
                for (index, entry) in entries.unwrap_or_default().into_iter().enumerate() {
                    add(&mut found, &format!("{name}[{index}]"), entry.get());
                }
            }
            Err(_) => found.mistakes.push(FORM.to_owned()),
        }
    }
    found
}

fn add(found: &mut GatewayPrices, place: &str, entry: &str) {
    match price(entry) {
        Ok((account, price)) => {
            if found.prices.insert(account, price).is_some() {
                found.warnings.push(format!(
                    "{place}: {account} has a price already; this one counts"
                ));
            }
        }
        Err(mistake) => found.mistakes.push(format!("{place}: {mistake}")),
    }
}

fn price(entry: &str) -> Result<(Account, Price), String> {
    let fields = fields(entry).ok_or("must be an object")?;
    let account = text(&fields, "ethaddress")?.ok_or("ethaddress is missing")?;
    let account = Account::parse(&account).map_err(|wanted| format!("ethaddress {wanted}"))?;
    let currency = text(&fields, "currency")?.unwrap_or_default();
    let currency = Currency::parse(&currency)
        .ok_or_else(|| format!("currency {currency:?} must be letters, as USD"))?;
    let amount = number(&fields, "priceperunit")?;
    let pixels = number(&fields, "pixelsperunit")?;
    if pixels.is_zero() {
        return Err("pixelsperunit must be above 0".to_owned());
    }
    Ok((
        account,
        Price {
            amount,
            currency,
            pixels,
        },
    ))
}

/// An object by its names in small letters; `None` for anything else.
fn fields(json: &str) -> Option<Fields<'_>> {
    let object: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    Some(
        object
            .into_iter()
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect(),
    )
}

fn text(fields: &Fields<'_>, name: &str) -> Result<Option<String>, String> {
    fields
        .get(name)
        .map_or(Ok(None), |raw| serde_json::from_str(raw.get()))
        .map_err(|_| format!("{name} must be a text"))
}

/// A number, or a text that holds one: documents in circulation show both.
fn number(fields: &Fields<'_>, name: &str) -> Result<Decimal, String> {
    let raw = fields
        .get(name)
        .ok_or_else(|| format!("{name} is missing"))?
        .get();
    let bare = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(raw);
    Decimal::parse(bare)
        .ok_or_else(|| format!("{name} must be a number, 0 or more, that takes at most 38 digits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "0x1000000000000000000000000000000000000000";
    const TWO: &str = "0x2000000000000000000000000000000000000000";

    fn shown(json: &str) -> Vec<String> {
        let found = read(json);
        assert!(found.mistakes.is_empty(), "{:?}", found.mistakes);
        found.prices.values().map(ToString::to_string).collect()
    }

    #[test]
    fn both_names_of_the_list_and_any_case_of_a_field_are_read_exactly() {
        let json = format!(
            r#"{{"broadcasters":[{{"ethaddress":"{ONE}","priceperunit":1000,"pixelsperunit":1,"note":[1]}}],
                "gateways":[{{"EthAddress":"{TWO}","pricePerUnit":1.2345678901234567,"pixelsPerUnit":1e12,"currency":"usd"}}]}}"#
        );
        assert_eq!(
            shown(&json),
            [
                "1000 wei per pixel",
                "1.2345678901234567 USD for 1000000000000 pixels"
            ]
        );
        assert!(shown(r#"{"gateways":null}"#).is_empty());
    }

    #[test]
    fn a_number_in_quotes_is_meant_as_a_number() {
        let json = format!(
            r#"{{"gateways":[{{"ethaddress":"{ONE}","priceperunit":"0.5e-2","pixelsperunit":3}}]}}"#
        );
        assert_eq!(shown(&json), ["0.005 wei for 3 pixels"]);
    }

    #[test]
    fn every_wrong_entry_is_named_and_none_is_dropped_in_silence() {
        let json = format!(
            r#"{{"gateways":[{{"ethaddress":"{ONE}","priceperunit":1}},{{"ethaddress":"0x1","priceperunit":1,"pixelsperunit":1}},
                {{"ethaddress":"{ONE}","priceperunit":-1,"pixelsperunit":1}},{{"ethaddress":"{ONE}","priceperunit":1,"pixelsperunit":0}},
                {{"ethaddress":"{ONE}","priceperunit":1,"pixelsperunit":1,"currency":"$"}},{{"priceperunit":1,"pixelsperunit":1}},7]}}"#
        );
        let mistakes = read(&json).mistakes;
        for (index, part) in [
            "pixelsperunit is missing",
            "ethaddress must be an address",
            "priceperunit must be a number",
            "pixelsperunit must be above 0",
            "currency \"$\"",
            "ethaddress is missing",
            "must be an object",
        ]
        .iter()
        .enumerate()
        {
            assert!(
                mistakes[index].starts_with(&format!("gateways[{index}]: "))
                    && mistakes[index].contains(part),
                "{mistakes:?}"
            );
        }
        for broken in [
            "",
            "[]",
            "{}",
            "{\"gateways\":{}}",
            "./no.json",
            "{\"gateways\":[}",
        ] {
            assert!(read(broken).mistakes[0].contains("must be {"), "{broken}");
        }
    }

    #[test]
    fn a_second_price_for_a_gateway_counts_and_is_said() {
        let json = format!(
            r#"{{"gateways":[{{"ethaddress":"{ONE}","priceperunit":1,"pixelsperunit":1}},{{"ethaddress":"{ONE}","priceperunit":2,"pixelsperunit":1}}]}}"#
        );
        let found = read(&json);
        assert_eq!(found.warnings.len(), 1);
        assert_eq!(
            found.prices.values().next().unwrap().amount,
            Decimal::whole(2)
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}|[\\[\\]{}\",:0-9a-zé.-]{0,60}") {
            let _ = read(&text);
            let _ = read(&format!("{{\"gateways\":[{text}]}}"));
        }
    }
}
