//! YAML, as a way in which `serde_json` writes: the same shapes in the same order, piece by piece, without a crate.
//!
//! In: what a serializer says of a value. Out: block style, two blanks a level; a text stands plain where no reader of
//! YAML 1.1 or 1.2 can take it for something else, and in double quotes, escaped as in JSON, everywhere else. It only
//! writes. Why not a crate: the well-known one is archived, its copies stand still or are young, and each brings a
//! parser that nothing here needs.

use serde_json::ser::{CharEscape, Formatter};
use std::io::{self, Write};

/// One document.
#[derive(Default)]
pub struct Yaml {
    depth: usize,
    at: At,
    /// The innermost list or map has nothing in it so far.
    is_empty: bool,
    /// A text that has begun: whether it needs quotes is known at its end.
    text: Option<Text>,
}

/// What was written last.
#[derive(Clone, Copy, Default, PartialEq)]
enum At {
    #[default]
    Start,
    Dash,
    Key,
    Scalar,
}

#[derive(Default)]
struct Text {
    /// As it stands between double quotes.
    escaped: String,
    has_escapes: bool,
}

impl Yaml {
    fn open(&mut self) {
        self.depth += 1;
        self.is_empty = true;
    }

    fn close<W: ?Sized + Write>(&mut self, out: &mut W, empty: &str) -> io::Result<()> {
        self.depth -= 1;
        if std::mem::take(&mut self.is_empty) { self.scalar(out, empty) } else { Ok(()) }
    }

    /// To where an entry of the innermost list or map begins: behind a dash on the same line, else on a new one.
    fn entry<W: ?Sized + Write>(&mut self, out: &mut W, is_first: bool) -> io::Result<()> {
        self.is_empty = false;
        match self.at {
            At::Start | At::Dash if is_first => Ok(()),
            At::Start | At::Dash | At::Key | At::Scalar => {
                write!(out, "\n{:width$}", "", width = self.depth.saturating_sub(1) * 2)
            }
        }
    }

    fn scalar<W: ?Sized + Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        if let Some(begun) = &mut self.text {
            // A number that is a key: JSON has it as a text.
            begun.escaped += text;
            return Ok(());
        }
        if self.at == At::Key {
            out.write_all(b" ")?;
        }
        self.at = At::Scalar;
        out.write_all(text.as_bytes())
    }
}

/// Nothing but a text to every reader: no number, date, truth value or null, and no sign with a meaning.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.chars().all(|sign| sign == ' ' || sign.is_ascii_graphic())
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

macro_rules! numbers {
    ($($write:ident $kind:ty),+) => {
        $(fn $write<W: ?Sized + Write>(&mut self, out: &mut W, value: $kind) -> io::Result<()> {
            self.scalar(out, &value.to_string())
        })+
    };
}

impl Formatter for Yaml {
    numbers!(write_bool bool, write_i8 i8, write_i16 i16, write_i32 i32, write_i64 i64, write_i128 i128);
    numbers!(write_u8 u8, write_u16 u16, write_u32 u32, write_u64 u64, write_u128 u128);

    // With a point even where it is whole, so that it stays one.
    fn write_f32<W: ?Sized + Write>(&mut self, out: &mut W, value: f32) -> io::Result<()> {
        self.scalar(out, &format!("{value:?}"))
    }

    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        self.scalar(out, &format!("{value:?}"))
    }

    fn write_number_str<W: ?Sized + Write>(&mut self, out: &mut W, value: &str) -> io::Result<()> {
        self.scalar(out, value)
    }

    fn write_null<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.scalar(out, "null")
    }

    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.text = Some(Text::default());
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, _: &mut W, fragment: &str) -> io::Result<()> {
        let text = self.text.get_or_insert_default();
        for sign in fragment.chars() {
            match sign {
                // JSON lets them stand; YAML takes them for breaks of lines, or for nothing that may stand in a text.
                '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                    text.escaped += &format!("\\u{:04x}", u32::from(sign));
                }
                _ => text.escaped.push(sign),
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        let mut escaped = Vec::new();
        serde_json::ser::CompactFormatter.write_char_escape(&mut escaped, escape)?;
        let text = self.text.get_or_insert_default();
        text.has_escapes = true;
        text.escaped += &String::from_utf8_lossy(&escaped);
        Ok(())
    }

    fn end_string<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        let Text { escaped, has_escapes } = self.text.take().unwrap_or_default();
        match !has_escapes && is_plain(&escaped) {
            true => self.scalar(out, &escaped),
            false => self.scalar(out, &format!("\"{escaped}\"")),
        }
    }

    fn begin_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.open();
        Ok(())
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, "[]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.entry(out, first)?;
        self.at = At::Dash;
        out.write_all(b"- ")
    }

    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.open();
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, "{}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.entry(out, first)?;
        self.at = At::Start;
        Ok(())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.at = At::Key;
        out.write_all(b":")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn yaml(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Yaml::default())).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Lists in maps, maps in lists, lists in lists, and what is empty, each at its column.
    #[test]
    fn blocks_nest() {
        let value = json!({
            "a": 1, "b": {"c": null, "d": [], "e": {}},
            "f": [{"g": true, "h": [1, 2]}, {"g": 1.0}, [[3], []], "x"], "i": "y"
        });
        let text = "a: 1\nb:\n  c: null\n  d: []\n  e: {}\nf:\n  - g: true\n    h:\n      - 1\n      - 2\n  - g: 1.0\n  \
                    - - - 3\n    - []\n  - x\ni: \"y\"";
        assert_eq!(yaml(&value), text);
        assert_eq!([json!([]), json!({}), json!(7), json!("a b")].map(|value| yaml(&value)), ["[]", "{}", "7", "a b"]);
    }

    /// A text that could be read as something else is quoted; a number stays a text where it is a key.
    #[test]
    fn texts_stay_texts() {
        for plain in ["HEALTHY", "host-1", "/data/disk 1", "it's, well (so) [x] {y}", "http://h:1/x", "nothing", "e1"] {
            assert_eq!(yaml(&plain), plain);
        }
        let quoted = [
            "",
            "1",
            "-",
            "- a",
            "1e5",
            "0x1f",
            "12:30:45",
            "2026-01-01T00:00:00Z",
            "127.0.0.1:80",
            ".inf",
            "~",
            "No",
            "null",
            "a: b",
            "a #b",
            "a:",
            "a ",
            " a",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "[a",
            "{a",
            "|",
            ">",
            "?",
            "é",
        ];
        for text in quoted {
            assert_eq!(yaml(&text), format!("\"{text}\""));
        }
        assert_eq!(yaml(&"a\n\"b\\\t\u{1}\u{85}\u{2028}"), r#""a\n\"b\\\t\u0001\u0085\u2028""#);
        assert_eq!(yaml(&BTreeMap::from([(3_u32, "x"), (4, "y")])), "\"3\": x\n\"4\": \"y\"");
    }
}
