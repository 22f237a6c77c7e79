//! The course of a forecast as numbers at even moments, and as a line of small bars. Reads nothing but numbers.

/// One moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub at_ms: u64,
    /// HEALTHY tablets.
    pub healthy: u64,
    pub tablets: u64,
    /// Bytes copied so far.
    pub bytes: u64,
}

/// Moments in a forecast: as many as a terminal's line has room for.
pub const SAMPLES: u64 = 60;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar for each value between `low` and `high`.
pub fn sparkline(values: &[u64], low: u64, high: u64) -> String {
    let span = high.saturating_sub(low).max(1);
    let bar = |value: &u64| {
        let above = value.saturating_sub(low).min(span);
        BARS[((u128::from(above) * 7 + u128::from(span) / 2) / u128::from(span)) as usize]
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lowest value is the lowest bar, the highest the highest; a flat line is no division by zero.
    #[test]
    fn bars() {
        assert_eq!(sparkline(&[0, 50, 100], 0, 100), "▁▅█");
        assert_eq!(sparkline(&[7, 7], 7, 7), "▁▁");
        assert_eq!(sparkline(&[u64::MAX], 0, u64::MAX), "█");
    }
}
