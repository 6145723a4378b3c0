//! Values in the forms of Go's flag package, because operators' files and unit files are written in them.
//! Every function takes outside text and returns `None` where Go refuses; none of them panics.

use std::time::Duration;

/// `1 t T TRUE true True` and `0 f F FALSE false False`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A whole number with optional sign, base prefix (`0x`, `0o`, `0b`, or `0` for octal) and `_` between digits.
pub(crate) fn integer(text: &str) -> Option<i128> {
    let (negative, rest) = signed(text);
    let lower = rest.to_ascii_lowercase();
    let (base, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    let prefixed = base != 10;
    let misplaced =
        digits.ends_with('_') || digits.contains("__") || (digits.starts_with('_') && !prefixed);
    if misplaced || digits.contains(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

/// A whole number in base ten with optional sign.
pub(crate) fn decimal(text: &str) -> Option<i128> {
    text.parse().ok()
}

/// A whole number that may carry an exponent or a fraction which the exponent removes: `1e12`, `1.5e3`.
pub(crate) fn with_exponent(text: &str) -> Option<i128> {
    let (negative, rest) = signed(text);
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let all_digits = format!("{whole}{fraction}");
    if all_digits.is_empty() || !all_digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let digits: i128 = all_digits.parse().ok()?;
    let value = match u32::try_from(shift) {
        Ok(up) => digits.checked_mul(10_i128.checked_pow(up)?)?,
        Err(_) => {
            let divisor = 10_i128.checked_pow(shift.unsigned_abs())?;
            if digits % divisor != 0 {
                return None;
            }
            digits / divisor
        }
    };
    Some(if negative { -value } else { value })
}

/// `1h30m`, `1.5s`, `500ms`, `0`; a negative duration is `None`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        total = total.checked_add(in_nanoseconds(number, unit)?)?;
        rest = next;
    }
    // Go counts in a signed 64-bit number of nanoseconds.
    i64::try_from(total)
        .ok()
        .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
        .map(Duration::from_nanos)
}

fn in_nanoseconds(number: &str, unit: &str) -> Option<i128> {
    let scale: i128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    // Digits below a nanosecond do not count; thirteen reach below one for an hour.
    let fraction = fraction.get(..13).unwrap_or(fraction);
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<i128>().ok()?.checked_mul(scale)?
            / 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?
    };
    whole.checked_mul(scale)?.checked_add(part)
}

/// A number of bytes: whole, or with `KB MB GB` (thousands) or `KiB MiB GiB` (1024s).
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let number_end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let scale: u64 = match unit.trim() {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_take_the_base_prefixes_of_go() {
        let cases = [
            ("0", 0),
            ("7", 7),
            ("-7", -7),
            ("+7", 7),
            ("0x1F", 31),
            ("0b11", 3),
            ("0o17", 15),
            ("017", 15),
            ("1_000", 1000),
            ("0x_f", 15),
        ];
        for (text, expected) in cases {
            assert_eq!(integer(text), Some(expected), "{text}");
        }
        for text in [
            "", "-", "1.5", "1e3", "_1", "1_", "1__0", "08", "0x", "--1", "0x-1", " 1", "é",
        ] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn exponents_must_leave_a_whole_number() {
        let cases = [
            ("1e12", 1_000_000_000_000),
            ("1.5e3", 1500),
            ("1500e-2", 15),
            ("3", 3),
            ("2.0", 2),
            ("-1e2", -100),
            ("1E3", 1000),
        ];
        for (text, expected) in cases {
            assert_eq!(with_exponent(text), Some(expected), "{text}");
        }
        for text in [
            "",
            ".",
            "e3",
            "1.5",
            "1e-1",
            "1e99",
            "1e",
            "1e999999999999",
            "1.2.3",
            "1e2147483648",
        ] {
            assert_eq!(with_exponent(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        let cases = [
            ("0", 0),
            ("5s", 5000),
            ("1h30m", 5_400_000),
            ("1.5s", 1500),
            ("500ms", 500),
            (".5s", 500),
            ("1.s", 1000),
            ("25m", 1_500_000),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        assert_eq!(duration("1µs"), Some(Duration::from_micros(1)));
        for text in [
            "",
            "5",
            "s",
            ".s",
            "5x",
            "-1s",
            "1..5s",
            "9999999999h",
            "5 s",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_take_decimal_and_binary_units() {
        assert_eq!(bytes("1024"), Some(1024));
        assert_eq!(bytes("2GiB"), Some(2 << 30));
        assert_eq!(bytes("5MB"), Some(5_000_000));
        for text in ["", "-1", "1.5GiB", "1TiB", "99999999999GiB", "GiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,24}", numeric in "[-+]?[0-9a-fx_.eEhmsnuµ]{0,24}") {
            for text in [&text, &numeric] {
                let _ = (boolean(text), integer(text), decimal(text), with_exponent(text), duration(text), bytes(text));
            }
        }

        #[test]
        fn whole_numbers_survive_printing(number in any::<i64>()) {
            prop_assert_eq!(integer(&number.to_string()), Some(i128::from(number)));
            prop_assert_eq!(with_exponent(&number.to_string()), Some(i128::from(number)));
        }

        #[test]
        fn durations_survive_printing(milliseconds in 0_u64..1_000_000_000) {
            prop_assert_eq!(duration(&format!("{milliseconds}ms")), Some(Duration::from_millis(milliseconds)));
        }
    }
}
