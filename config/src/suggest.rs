//! Finds the option that a mistyped name was most likely meant to be.

use crate::table;

/// Names that documents about the reference use although its binary never knew them.
const DOCUMENTED_WRONGLY: &[(&str, &str)] = &[
    ("txTimeout", "transactionTimeout"),
    ("maxTxReplacements", "maxTransactionReplacements"),
];

/// `; did you mean -x?` for the nearest option, or nothing when none is near.
pub(crate) fn instead_of(name: &str) -> String {
    let listed = DOCUMENTED_WRONGLY
        .iter()
        .find(|(wrong, _)| *wrong == name)
        .map(|(_, right)| *right);
    match listed.or_else(|| nearest(name)) {
        Some(near) => format!("; did you mean -{near}?"),
        None => String::new(),
    }
}

/// A name that came from outside, cut short and without control characters or what follows an equals sign, which may be a secret.
pub(crate) fn printable(name: &str) -> String {
    let name = name.split(['=', ':', ' ']).next().unwrap_or_default();
    name.chars()
        .take(40)
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect()
}

fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > 40 {
        return None;
    }
    let lower = name.to_lowercase();
    let allowed = if name.chars().count() < 5 { 1 } else { 2 };
    table::options()
        .map(|option| (distance(&lower, &option.name.to_lowercase()), option.name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, removals and changes of one letter that turn one text into the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let change = previous[column] + usize::from(letter != *other);
            let best = change
                .min(previous[column + 1] + 1)
                .min(current[column] + 1);
            current.push(best);
        }
        previous = current;
    }
    previous.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(instead_of("maxsessions"), "; did you mean -maxSessions?");
        assert_eq!(instead_of("maxSesions"), "; did you mean -maxSessions?");
        assert_eq!(
            instead_of("maxTxReplacements"),
            "; did you mean -maxTransactionReplacements?"
        );
        assert_eq!(instead_of("somethingElse"), "");
    }

    #[test]
    fn a_printed_name_holds_no_value() {
        assert_eq!(printable("orchSecret=hunter2"), "orchSecret");
        assert_eq!(printable("a\nb"), "a?b");
    }
}
