//! The success rate: the share of the latest segments that were transcoded.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// How many of the latest segments count.
pub(super) const WINDOW: usize = 300;

/// The latest outcomes of the node.
#[derive(Debug, Default)]
pub(super) struct SuccessWindow(Mutex<Outcomes>);

#[derive(Debug, Default)]
struct Outcomes {
    latest: VecDeque<bool>,
    good: usize,
}

impl SuccessWindow {
    /// Notes an outcome and gives the share of good ones, from 0 to 1.
    pub(super) fn record(&self, success: bool) -> f64 {
        let mut outcomes = self.0.lock();
        if outcomes.latest.len() == WINDOW && outcomes.latest.pop_front() == Some(true) {
            outcomes.good -= 1;
        }
        outcomes.latest.push_back(success);
        outcomes.good += usize::from(success);
        outcomes.good as f64 / outcomes.latest.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_outcomes_are_forgotten() {
        let window = SuccessWindow::default();
        assert_eq!(window.record(false), 0.0);
        assert_eq!(window.record(true), 0.5);
        for _ in 0..WINDOW - 2 {
            window.record(true);
        }
        assert_eq!(window.record(true), 1.0);
        for _ in 0..WINDOW {
            window.record(false);
        }
        assert_eq!(window.record(false), 0.0);
    }
}
