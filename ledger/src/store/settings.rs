//! What the operator changed while the node ran: prices above all. It holds over a restart until it is taken back.

use std::collections::BTreeMap;

use crate::{Ledger, Pending};

impl Ledger {
    /// Changes a setting, or takes the change back with `None`. Names and values are the caller's, e.g.
    /// `price.base`, `price.gateway.0x…`.
    pub fn set_setting(&self, name: impl Into<String>, value: Option<String>) -> Pending<()> {
        let name = name.into();
        self.durable(move |connection| {
            match &value {
                Some(value) => connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO orn_settings (name, value) VALUES (?1, ?2)",
                    )?
                    .execute((&name, value))?,
                None => connection
                    .prepare_cached("DELETE FROM orn_settings WHERE name = ?1")?
                    .execute([&name])?,
            };
            Ok(())
        })
    }

    /// Every setting that was changed.
    pub fn settings(&self) -> Pending<BTreeMap<String, String>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT name, value FROM orn_settings")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
