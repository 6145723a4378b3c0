//! How many connections are open, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use telemetry::metrics::label::ConnectionRefusal;

use super::peer::counted_as;

/// The open connections.
#[derive(Default)]
pub(in crate::doors) struct Connections(Mutex<Open>);

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One open connection; closes when dropped.
pub(in crate::doors) struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    /// Takes a place for a connection from `address`, of at most so many in all and from one address.
    pub fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        (in_all, per_address): (usize, usize),
    ) -> Result<Place, ConnectionRefusal> {
        let address = counted_as(address);
        let mut open = self.0.lock();
        if open.total >= in_all {
            return Err(ConnectionRefusal::Limit);
        }
        let from_here = open.by_address.get(&address).copied().unwrap_or(0);
        if from_here >= per_address {
            return Err(ConnectionRefusal::PerAddress);
        }
        open.total += 1;
        open.by_address.insert(address, from_here + 1);
        Ok(Place {
            connections: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock();
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn both_limits_hold_and_places_come_back() {
        let connections = Arc::<Connections>::default();
        let admit = |last, trusted| {
            let per_address = if trusted { usize::MAX } else { 2 };
            connections.admit(address(last), (3, per_address))
        };
        let first = admit(1, false).ok();
        let _second = admit(1, false).ok();
        assert_eq!(admit(1, false).err(), Some(ConnectionRefusal::PerAddress));
        let third = admit(1, true).ok();
        assert!(first.is_some() && third.is_some());
        assert_eq!(admit(2, false).err(), Some(ConnectionRefusal::Limit));
        drop(third);
        assert!(admit(2, false).is_ok());
        drop(first);
        assert!(admit(1, false).is_ok());
        assert!(
            !connections.0.lock().by_address.contains_key(&address(2)),
            "nothing is kept for the gone"
        );
    }
}
