//! What values are compared by, and what a LIKE pattern fits: numbers as numbers, sizes and percents as what they say,
//! texts without regard to case.

use super::rows::Value;
use std::cmp::Ordering;

/// What a value is compared by: NULL first, then numbers as numbers, then texts without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Null,
    Number(Number),
    Text(String),
}

/// Roughly, and then to the last digit of a whole number: one order over both.
#[derive(Clone, Copy, Debug)]
pub struct Number(f64, i128);

impl Key {
    pub fn of(value: &Value) -> Key {
        match value {
            Value::Null => Key::Null,
            Value::Whole(number) => Key::Number(Number(*number as f64, i128::from(*number))),
            Value::Real(number) => Key::Number(Number(*number, *number as i128)),
            Value::Text(text) => {
                let exact = text.trim().parse::<i128>().ok();
                let number = exact.map(|exact| exact as f64).or_else(|| value.number()).or_else(|| measured(text));
                match number {
                    Some(number) => Key::Number(Number(number, exact.unwrap_or(number as i128))),
                    None => Key::Text(text.to_lowercase()),
                }
            }
        }
    }
}

/// What [`super::format::size`] and [`super::format::percent`] write, and people do: bytes, and parts of a hundred.
fn measured(text: &str) -> Option<f64> {
    let (number, unit) = text.trim().rsplit_once(' ')?;
    let scale = match unit {
        "%" => 1.0,
        unit => {
            let power = super::format::UNITS.iter().position(|known| known.eq_ignore_ascii_case(unit))?;
            1024f64.powi(i32::try_from(power).ok()?)
        }
    };
    Value::text(number).number().map(|number| number * scale)
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

/// A LIKE pattern: `%` any text, `_` any one character, `\` before either of them takes its meaning away.
pub struct Pattern(Vec<Piece>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    Just(char),
}

impl Pattern {
    pub fn of(pattern: &str) -> Pattern {
        let (mut pieces, mut chars) = (Vec::new(), pattern.chars());
        while let Some(c) = chars.next() {
            let piece = match c {
                '%' => Piece::Any,
                '_' => Piece::One,
                '\\' => Piece::Just(chars.next().unwrap_or('\\')),
                c => Piece::Just(c),
            };
            if piece != Piece::Any || pieces.last() != Some(&Piece::Any) {
                pieces.push(piece);
            }
        }
        Pattern(pieces)
    }

    /// Goes back to the last `%` alone, so that no pattern takes long.
    pub fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut piece, mut back) = (0, 0, None);
        while at < text.len() {
            match self.0.get(piece) {
                Some(Piece::Any) => {
                    back = Some((piece, at));
                    piece += 1;
                }
                Some(Piece::One) => (at, piece) = (at + 1, piece + 1),
                Some(Piece::Just(c)) if is_same(*c, text[at]) => (at, piece) = (at + 1, piece + 1),
                Some(Piece::Just(_)) | None => {
                    let Some((any, from)) = back else { return false };
                    back = Some((any, from + 1));
                    (at, piece) = (from + 1, any + 1);
                }
            }
        }
        self.0[piece..].iter().all(|piece| *piece == Piece::Any)
    }
}

fn is_same(a: char, b: char) -> bool {
    a == b || a.to_lowercase().eq(b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns fit as in MySQL.
    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("a%c", "ABBC", true),
            ("a%c", "abcd", false),
            ("%b%", "abc", true),
            ("a_c", "abc", true),
            ("a_c", "ac", false),
            ("a\\_c", "a_c", true),
            ("a\\_c", "abc", false),
            ("%%%a", "bba", true),
            ("max\\%", "max%", true),
        ] {
            assert_eq!(Pattern::of(pattern).fits(text), fits, "{text} like {pattern}");
        }
        let (pattern, text) = ("%a".repeat(2_000), "a".repeat(1_000) + "b");
        assert!(!Pattern::of(&pattern).fits(&text));
    }

    /// One order over everything: NULL, numbers however they are written, texts; to the last digit where it can be.
    #[test]
    fn keys() {
        let text = |text: &str| Value::text(text);
        let most = i64::MAX;
        let values = [
            Value::Null,
            text("-3"),
            Value::Real(0.5),
            Value::Whole(1),
            text(" 2.5 "),
            Value::Whole(most - 1),
            Value::Whole(most),
            text("9223372036854775808"),
            text("Ab"),
            text("ac"),
            text("inf"),
        ];
        assert!(values.windows(2).all(|pair| Key::of(&pair[0]) < Key::of(&pair[1])));
        assert_eq!(Key::of(&text("10")), Key::of(&Value::Whole(10)));
        assert_eq!(Key::of(&text("1.500 GB")), Key::of(&Value::Whole(3 << 29)));
        let sizes = ["N/A", "12.000", "784.000 B", "9.397 MB", "14.431 MB", "1.000 GB", "1 gb x"].map(text);
        let mut sorted = sizes.to_vec();
        sorted.sort_by_key(Key::of);
        assert_eq!(sorted[..5], sizes[1..6], "{sorted:?}");
        assert!(
            Key::of(&text("0.00 %")) < Key::of(&Value::Real(0.5)) && Key::of(&text("9.38 %")) < Key::of(&text("20"))
        );
        assert_eq!(Key::of(&text("AB")), Key::of(&text("ab")));
    }
}
