//! The L1 block number as this node believes it: the greatest seen, since end points differ and expiry must not go
//! back.

/// Blocks that L1 may move between two looks before it is asked of the contracts; about a week.
const PLAUSIBLE: u64 = 50_000;

/// The clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct L1Clock {
    max: Option<u64>,
}

/// What a number said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum L1Step {
    /// It is the new greatest.
    Advanced(u64),
    /// It is not greater.
    Unchanged,
    /// It is so much greater that one end point's word is not enough.
    Doubtful,
}

impl L1Clock {
    /// A number came with a block.
    pub fn see(&mut self, number: u64) -> L1Step {
        match self.max {
            Some(max) if number <= max => L1Step::Unchanged,
            Some(max) if number - max > PLAUSIBLE => L1Step::Doubtful,
            _ => {
                self.max = Some(number);
                L1Step::Advanced(number)
            }
        }
    }

    /// The contracts say `confirmed` where a block said `number`.
    pub fn confirm(&mut self, number: u64, confirmed: u64) -> L1Step {
        let believed = number.min(confirmed);
        if self.max.is_some_and(|max| believed <= max) {
            return L1Step::Unchanged;
        }
        self.max = Some(believed);
        L1Step::Advanced(believed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l1_never_goes_back_and_repeats_are_silent() {
        let mut clock = L1Clock::default();
        assert_eq!(clock.see(100), L1Step::Advanced(100));
        assert_eq!(clock.see(100), L1Step::Unchanged);
        assert_eq!(clock.see(90), L1Step::Unchanged);
        assert_eq!(clock.see(130), L1Step::Advanced(130));
    }

    #[test]
    fn an_absurd_number_needs_the_contracts_word() {
        let mut clock = L1Clock::default();
        clock.see(100);
        let l2_number = 300_000_000;
        assert_eq!(clock.see(l2_number), L1Step::Doubtful);
        assert_eq!(clock.confirm(l2_number, 101), L1Step::Advanced(101));
        assert_eq!(clock.see(60_000), L1Step::Doubtful);
        assert_eq!(clock.confirm(60_000, 60_002), L1Step::Advanced(60_000));
        assert_eq!(clock.confirm(70, 70), L1Step::Unchanged);
    }
}
