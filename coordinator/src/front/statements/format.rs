//! How values read, as the originals write them: times, sizes, percents.

use super::rows::Value;

/// `2019-02-21 15:00:20`, UTC, as `@@time_zone` says.
pub fn time(wall_ms: u64) -> Value {
    let ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    time.map_or_else(|_| Value::absent(), Value::Text)
}

/// Each 1024 of the one before.
pub const UNITS: [&str; 6] = ["B", "KB", "MB", "GB", "TB", "PB"];

/// `784.000 B`, `1.234 GB`.
pub fn size(bytes: u64) -> Value {
    let (mut amount, mut unit) = (bytes as f64, 0);
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        (amount, unit) = (amount / 1024.0, unit + 1);
    }
    Value::Text(format!("{amount:.3} {}", UNITS[unit]))
}

/// `9.38 %`, of a part of one.
pub fn percent(part: f64) -> Value {
    Value::Text(format!("{:.2} %", part * 100.0))
}

/// A part, and 0 where there is nothing to be a part of.
pub fn part(of: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { of as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values read as in the originals' screens.
    #[test]
    fn as_the_originals_write() {
        assert_eq!(time(1_550_761_220_999), Value::text("2019-02-21 15:00:20"));
        assert_eq!(size(784), Value::text("784.000 B"));
        assert_eq!(size(3 << 29), Value::text("1.500 GB"));
        assert_eq!(percent(part(7, 96)), Value::text("7.29 %"));
        assert_eq!(part(1, 0), 0.0);
    }
}
