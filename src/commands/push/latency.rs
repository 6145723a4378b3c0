//! Percentiles of times, in ms.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Times summed up; ms with a precision of three digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the times are not above this.
    pub p50: f64,
    /// 95 of 100 are not.
    pub p95: f64,
    /// 99 of 100 are not.
    pub p99: f64,
    /// None is.
    pub max: f64,
}

/// Sums up times given in ms; zeros when there are none.
pub fn percentiles(times: impl IntoIterator<Item = f64>) -> Percentiles {
    let Ok(mut histogram) = Histogram::<u64>::new(3) else {
        return Percentiles::default();
    };
    for time in times {
        // It grows as needed, so nothing is too long for it.
        let _ = histogram.record((time * 1000.0).round().max(0.0) as u64);
    }
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    Percentiles {
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        max: histogram.max() as f64 / 1000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let of = percentiles((1..=1000).map(f64::from));
        for (found, wanted) in [
            (of.p50, 500.0),
            (of.p95, 950.0),
            (of.p99, 990.0),
            (of.max, 1000.0),
        ] {
            assert!(
                (found - wanted).abs() <= wanted * 0.001,
                "{found} for {wanted}"
            );
        }
        assert_eq!(percentiles([]), Percentiles::default());
    }
}
