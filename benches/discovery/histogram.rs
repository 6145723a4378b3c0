//! Reads a histogram from a page of metrics.

/// Buckets of a histogram that has one series: (upper bound, observations up to it), in order.
pub struct Histogram {
    buckets: Vec<(f64, f64)>,
    count: f64,
    sum: f64,
}

impl Histogram {
    /// The histogram `name` of `page`; empty when it is not there.
    pub fn read(page: &str, name: &str) -> Self {
        let single = |suffix| lines(page, name, suffix).next().unwrap_or_default().1;
        let bucket = |(labels, seen): (&str, f64)| {
            let (_, bound) = labels.split_once("le=\"")?;
            let (bound, _) = bound.split_once('"')?;
            Some((bound.parse().ok()?, seen))
        };
        Self {
            buckets: lines(page, name, "bucket").filter_map(bucket).collect(),
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

    /// Share of observations up to `bound`, which is the bound of a bucket.
    pub fn share(&self, bound: f64) -> f64 {
        let bucket = self.buckets.iter().find(|(upper, _)| *upper >= bound);
        bucket.map_or(f64::NAN, |(_, seen)| seen / self.count)
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

/// Labels and value of each line of the series `name` + `_` + `suffix`.
fn lines<'page>(
    page: &'page str,
    name: &str,
    suffix: &str,
) -> impl Iterator<Item = (&'page str, f64)> {
    let series = format!("{name}_{suffix}");
    page.lines().filter_map(move |line| {
        let rest = line.strip_prefix(&series)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then_some(())?;
        Some((labels, value.parse().ok()?))
    })
}
