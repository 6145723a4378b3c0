//! Reads a histogram from a page of metrics.

/// Buckets of a histogram without labels: (upper bound, observations up to it), in order.
pub struct Histogram {
    buckets: Vec<(f64, f64)>,
    count: f64,
    sum: f64,
}

impl Histogram {
    /// The histogram `name` of `page`.
    pub fn read(page: &str, name: &str) -> Self {
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        let single = |suffix: &str| {
            let prefix = format!("{name}_{suffix} ");
            page.lines()
                .find(|line| line.starts_with(&prefix))
                .and_then(value)
                .unwrap_or_default()
        };
        let prefix = format!("{name}_bucket{{le=\"");
        let bucket = |line: &str| {
            let (bound, _) = line.strip_prefix(&prefix)?.split_once('"')?;
            let bound = bound.trim_start_matches('+').parse().ok()?;
            Some((bound, value(line)?))
        };
        Self {
            buckets: page.lines().filter_map(bucket).collect(),
            count: single("count"),
            sum: single("sum"),
        }
    }

    /// Observations.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// The bound of the bucket that holds the quantile `share`: it is not above this.
    pub fn bound(&self, share: f64) -> f64 {
        let wanted = share * self.count;
        self.buckets
            .iter()
            .find(|(_, seen)| *seen >= wanted)
            .map_or(f64::INFINITY, |(bound, _)| *bound)
    }
}
