//! The forms a value can take, and the check of one text against its form. A refusal says what is wanted, never what was given:
//! the caller knows whether the value may be shown.

use crate::go_values;
use crate::money::Account;
use crate::networks::Cidr;
use url::Url;

/// Form and limits of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number in Go's form, bounds included.
    Int {
        /// Least value.
        min: i128,
        /// Highest value.
        max: i128,
        /// Base ten only, because the reference reads this one from a string.
        decimal: bool,
    },
    /// A number with a fraction.
    Float,
    /// Pixels: a whole number above zero, exponent allowed.
    Pixels,
    /// A price: a number with an optional currency after it.
    Price,
    /// A number of bytes with an optional unit.
    Bytes {
        /// Least value.
        min: u64,
    },
    /// A time span in Go's form.
    Duration,
    /// A number of sessions, or `auto`.
    Sessions,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A comma list.
    List,
    /// A comma list of GPU indexes, or `all`.
    GpuList,
    /// A comma list of addresses or networks.
    Cidrs,
    /// A file or directory.
    Path,
    /// A value, or the path of a file holding it.
    PathOrValue,
    /// A URL of one of these schemes.
    Url(&'static [&'static str]),
    /// A comma list of URLs of these schemes.
    UrlList(&'static [&'static str]),
    /// A URL of any scheme.
    AnyUrl,
    /// An Ethereum address.
    Address,
    /// A URL with one `{proxy}`.
    ProxyPattern,
}

impl Kind {
    pub(crate) const fn int(min: i128, max: i128) -> Self {
        Self::Int {
            min,
            max,
            decimal: false,
        }
    }

    /// An amount of wei, zero or more. The bound is far above the money there is.
    pub(crate) const fn wei() -> Self {
        Self::Int {
            min: 0,
            max: i128::MAX,
            decimal: true,
        }
    }

    /// Says what is wanted if `value` does not fit. An empty text fits every form that can be absent.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        if value.is_empty() && self.may_be_empty() {
            return Ok(());
        }
        match self {
            Self::Address => Account::parse(value).map(drop).map_err(str::to_owned),
            _ if self.fits(value) => Ok(()),
            _ => Err(self.wanted()),
        }
    }

    fn may_be_empty(&self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::List
                | Self::GpuList
                | Self::Cidrs
                | Self::Path
                | Self::PathOrValue
                | Self::Url(_)
                | Self::UrlList(_)
                | Self::AnyUrl
                | Self::Address
                | Self::ProxyPattern
        )
    }

    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Bool => go_values::boolean(value).is_some(),
            Self::Int { min, max, decimal } => {
                let number = if *decimal {
                    go_values::decimal(value)
                } else {
                    go_values::integer(value)
                };
                number.is_some_and(|number| number >= *min && number <= *max)
            }
            Self::Float => value.parse::<f64>().is_ok(),
            Self::Pixels => go_values::with_exponent(value).is_some_and(|number| number > 0),
            Self::Price => is_price(value),
            Self::Bytes { min } => go_values::bytes(value).is_some_and(|number| number >= *min),
            Self::Duration => go_values::duration(value).is_some(),
            Self::Sessions => {
                value == "auto" || value.parse::<u32>().is_ok_and(|number| number > 0)
            }
            Self::Choice(words) => words.contains(&value),
            Self::GpuList => {
                value == "all"
                    || value
                        .split(',')
                        .all(|index| index.trim().parse::<u32>().is_ok())
            }
            Self::Cidrs => list_items(value).all(|item| Cidr::parse(item).is_some()),
            Self::Url(schemes) => is_url(value, schemes),
            Self::UrlList(schemes) => {
                list_items(value).next().is_some()
                    && list_items(value).all(|item| is_url(item, schemes))
            }
            Self::AnyUrl => Url::parse(value).is_ok(),
            Self::Address => Account::parse(value).is_ok(),
            Self::ProxyPattern => value.matches("{proxy}").count() == 1,
            Self::Text | Self::List | Self::Path | Self::PathOrValue => true,
        }
    }

    fn wanted(&self) -> String {
        match self {
            Self::Bool => "must be true or false".to_owned(),
            Self::Int { min, max, .. } if *max >= i128::from(i64::MAX) => {
                format!("must be a whole number, at least {min}")
            }
            Self::Int { min, max, .. } => format!("must be a whole number from {min} to {max}"),
            Self::Float => "must be a number".to_owned(),
            Self::Pixels => {
                "must be a whole number above 0; an exponent is allowed, as 1e12".to_owned()
            }
            Self::Price => {
                "must be a number, 0 or more and without exponent, with a currency after it if not in wei, as 0.02USD"
                    .to_owned()
            }
            Self::Bytes { min } => {
                format!("must be a number of bytes, at least {min}, or one with a unit, as 512MiB")
            }
            Self::Duration => {
                "must be a time span with units, 0 or more, as 500ms or 1m30s".to_owned()
            }
            Self::Sessions => "must be a whole number above 0, or auto".to_owned(),
            Self::Choice(words) => format!("must be one of {}", words.join(", ")),
            Self::GpuList => "must be all or a comma list of GPU indexes, as 0,1".to_owned(),
            Self::Cidrs => {
                "must be a comma list of addresses or networks, as 10.0.0.0/8".to_owned()
            }
            Self::Url(schemes) => format!(
                "must be a full URL that begins with {}",
                schemes.join(":// or ") + "://"
            ),
            Self::UrlList(schemes) => format!(
                "must be a full URL, or several parted by commas, each beginning with {}; of a websocket give the http form",
                schemes.join(":// or ") + "://"
            ),
            Self::AnyUrl => "must be a full URL with a scheme".to_owned(),
            Self::Address => "must be an address".to_owned(),
            Self::ProxyPattern => "must contain {proxy} exactly once".to_owned(),
            Self::Text | Self::List | Self::Path | Self::PathOrValue => "must be text".to_owned(),
        }
    }

    /// The form in a word or two, for the documents.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int { .. } => "int",
            Self::Float => "number",
            Self::Pixels => "int or exponent",
            Self::Price => "price",
            Self::Bytes { .. } => "bytes",
            Self::Duration => "duration",
            Self::Sessions => "int or auto",
            Self::Choice(_) => "word",
            Self::Text => "text",
            Self::List | Self::GpuList | Self::Cidrs => "list",
            Self::UrlList(_) => "list of URLs",
            Self::Path => "path",
            Self::PathOrValue => "value or path",
            Self::Url(_) | Self::AnyUrl | Self::ProxyPattern => "URL",
            Self::Address => "address",
        }
    }
}

/// The items of a comma list, trimmed, without empty ones.
pub(crate) fn list_items(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn is_url(value: &str, schemes: &[&str]) -> bool {
    Url::parse(value).is_ok_and(|url| schemes.contains(&url.scheme()) && url.host().is_some())
}

fn is_price(value: &str) -> bool {
    let number_end = value
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(value.len());
    let (number, currency) = value.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The reference takes the exponent for a currency and then fails at the start.
    let exponent = currency.strip_prefix(['e', 'E']).is_some_and(digits);
    let currency_fits = currency.is_empty()
        || (!exponent
            && currency.starts_with(|first: char| first.is_ascii_alphabetic())
            && currency.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    digits(whole) && digits(fraction) && currency_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_numbers_with_an_optional_currency_and_no_exponent_sign() {
        for good in ["0", "12", "0.02USD", "1.5", "3ETH"] {
            assert!(is_price(good), "{good}");
        }
        for bad in [
            "", "-1", "1.", ".5", "1.2.3", "USD", "1 USD", "1e-3", "1e12",
        ] {
            assert!(!is_price(bad), "{bad}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_wanted() {
        assert_eq!(
            Kind::int(1, 5).check("6").unwrap_err(),
            "must be a whole number from 1 to 5"
        );
        assert_eq!(
            Kind::Sessions.check("0").unwrap_err(),
            "must be a whole number above 0, or auto"
        );
        assert!(
            Kind::Bool.check("").is_err(),
            "an empty boolean is a mistake in Go too"
        );
        assert!(Kind::Address.check("").is_ok());
        assert!(
            Kind::Url(&["http", "https"])
                .check("ftp://example.com")
                .is_err()
        );
    }
}
