//! Spans of time as people write them: `90s`, `30m`, `4h`, `1d`, `1h30m`. And who is asking.

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let wrong = || format!("`{text}` is no span of time; write 90s, 30m, 4h, 1d or 1h30m");
        let (mut total, mut digits) = (0_u64, String::new());
        for sign in text.chars() {
            if sign.is_ascii_digit() {
                digits.push(sign);
                continue;
            }
            let unit: u64 = match sign {
                's' => 1_000,
                'm' => 60_000,
                'h' => 3_600_000,
                'd' => 86_400_000,
                _ => return Err(wrong()),
            };
            let count: u64 = digits.parse().map_err(|_| wrong())?;
            total = count.checked_mul(unit).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
            digits.clear();
        }
        if !digits.is_empty() || total == 0 { Err(wrong()) } else { Ok(Span(total)) }
    }
}

/// The name that goes on record as whoever asked.
pub fn owner() -> String {
    let known = ["USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok());
    known.map(|name| name.trim().to_string()).find(|name| !name.is_empty()).unwrap_or_else(|| "operator".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units add up; what is no span is refused with an example.
    #[test]
    fn spans() {
        let read = |text: &str| text.parse::<Span>().map(|span| span.0);
        assert_eq!(
            ["90s", "30m", "4h", "1d", "1h30m"].map(|text| read(text).unwrap()),
            [90_000, 1_800_000, 14_400_000, 86_400_000, 5_400_000]
        );
        for wrong in ["", "5", "m", "0s", "-5m", "5x", "1.5h", "99999999999999999999d"] {
            assert!(read(wrong).unwrap_err().contains("1h30m"), "{wrong}");
        }
    }
}
