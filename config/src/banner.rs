//! The table printed at the start: the options that differ from their default, and where they came from.

use crate::text_table;
use crate::values::Values;

/// One line per option, without secrets; a sentence where none differs.
pub(crate) fn banner(values: &Values) -> String {
    let rows: Vec<[String; 3]> = values
        .unusual()
        .map(|given| {
            [
                given.option.name.to_owned(),
                printable(&given.option.shown(&given.value)),
                format!("({})", given.origin),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "all options have their defaults\n".to_owned();
    }
    text_table::lines(&rows).join("\n") + "\n"
}

/// Control characters would let a value forge lines.
fn printable(value: &str) -> String {
    value
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}
