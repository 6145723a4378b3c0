//! What must hold for any row of the database. Called by the fuzz target, and by a property test.

use ledger::NonceSet;
use ledger::rows::{read_credit, read_nonces, read_state, read_winner, write_state, write_winner};
use rusqlite::types::{Value, ValueRef};

/// Reads bytes as a list of column values: kind, length, content.
fn values(mut data: &[u8]) -> Vec<Value> {
    let mut values = Vec::new();
    while let [kind, length, rest @ ..] = data {
        let length = usize::from(*length).min(rest.len());
        let (content, rest) = rest.split_at(length);
        let number = content
            .iter()
            .take(8)
            .fold(0_i64, |n, byte| n << 8 | i64::from(*byte));
        values.push(match kind % 6 {
            0 => Value::Null,
            1 => Value::Integer(number),
            2 => Value::Real(f64::from_bits(number as u64)),
            3 => Value::Text(String::from_utf8_lossy(content).into_owned()),
            // what most text columns hold
            4 => Value::Text(format!(
                "0x{}",
                content
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            )),
            _ => Value::Blob(content.to_vec()),
        });
        data = rest;
    }
    values
}

/// Reading rows never panics, and what was read is found again in what is written.
pub fn rows(data: &[u8]) {
    let values = values(data);
    let refs: Vec<ValueRef<'_>> = values.iter().map(ValueRef::from).collect();
    for width in [3, 6, 11] {
        let _ = read_credit(refs.get(..width).unwrap_or(&refs));
        let _ = read_nonces(refs.get(..width).unwrap_or(&refs));
        if let Ok(winner) = read_winner(refs.get(..width).unwrap_or(&refs)) {
            let written = write_winner(&winner);
            let again: Vec<ValueRef<'_>> = written.iter().map(ValueRef::from).collect();
            assert_eq!(read_winner(&again), Ok(winner));
            let _ = winner.ticket.hash();
        }
    }
    if let Ok(set) = NonceSet::from_bytes(data) {
        assert_eq!(set.to_bytes(), data);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(state) = read_state(text)
    {
        let written = write_state(&state).expect("a state that was read");
        assert_eq!(read_state(&written), Ok(state));
    }
}

/// The values of a good row, through the encoding above.
#[allow(dead_code)]
pub fn good_winner() -> Result<(), String> {
    let mut data = Vec::new();
    let mut put = |kind: u8, content: &[u8]| {
        data.extend([kind, content.len() as u8]);
        data.extend(content);
    };
    put(4, &[1; 20]);
    put(4, &[2; 20]);
    put(5, &[3; 32]);
    put(5, &[]);
    put(1, &[7]);
    put(5, &[4; 31]);
    put(4, &[5; 32]);
    put(5, &[6; 65]);
    put(1, &[13, 5]);
    put(4, &[8; 32]);
    put(1, &[1, 2, 3]);
    let values = values(&data);
    let refs: Vec<ValueRef<'_>> = values.iter().map(ValueRef::from).collect();
    rows(&data);
    read_winner(&refs).map(drop)
}
