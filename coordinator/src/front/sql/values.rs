//! Values as the binary protocol has them, both ways: what a client gives to a prepared statement, and the rows that it
//! gets. Pure; never reads past the end of what came.

use super::wire::{self, Fields};
use crate::front::statements::rows::{Column, Kind, Value};
use bytes::{BufMut, BytesMut};

/// How a client writes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    code: u8,
    is_unsigned: bool,
}

/// Why a value is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    /// The packet ends before it does.
    Short,
    NotUtf8,
    /// An infinite number, or a time that is none.
    NoValue,
    UnknownType(u8),
}

impl Type {
    pub fn read(fields: &mut Fields) -> Option<Type> {
        let (code, flags) = (fields.byte()?, fields.byte()?);
        Some(Type { code, is_unsigned: flags & 0x80 != 0 })
    }

    pub fn value(self, fields: &mut Fields) -> Result<Value, Unsound> {
        match self.code {
            0x01 => self.whole::<1>(fields),
            0x02 | 0x0d => self.whole::<2>(fields),
            0x03 | 0x09 => self.whole::<4>(fields),
            0x08 => self.whole::<8>(fields),
            0x04 => array(fields).map(f32::from_le_bytes).and_then(|number| real(number.into(), number)),
            0x05 => array(fields).map(f64::from_le_bytes).and_then(|number| real(number, number)),
            0x06 => Ok(Value::Null),
            0x07 | 0x0a | 0x0c => date(fields),
            0x0b => time(fields),
            // Decimals, texts, bytes, JSON: all of them are texts here.
            0x00 | 0x0f | 0x10 | 0xf5..=0xff => text(fields.text().ok_or(Unsound::Short)?),
            code => Err(Unsound::UnknownType(code)),
        }
    }

    fn whole<const BYTES: usize>(self, fields: &mut Fields) -> Result<Value, Unsound> {
        let bytes: [u8; BYTES] = array(fields)?;
        let is_negative = !self.is_unsigned && bytes[BYTES - 1] & 0x80 != 0;
        let mut wide = [if is_negative { 0xff } else { 0 }; 8];
        wide[..BYTES].copy_from_slice(&bytes);
        Ok(if self.is_unsigned { u64::from_le_bytes(wide).into() } else { i64::from_le_bytes(wide).into() })
    }
}

pub fn text(bytes: &[u8]) -> Result<Value, Unsound> {
    std::str::from_utf8(bytes).map(Value::from).map_err(|_| Unsound::NotUtf8)
}

fn array<const BYTES: usize>(fields: &mut Fields) -> Result<[u8; BYTES], Unsound> {
    fields.take(BYTES).and_then(|bytes| bytes.try_into().ok()).ok_or(Unsound::Short)
}

/// As its own width writes it: 0.1 of four bytes is 0.1, not the nearest of eight.
fn real(number: f64, shown: impl ToString) -> Result<Value, Unsound> {
    let number = shown.to_string().parse().unwrap_or(number);
    if number.is_finite() { Ok(Value::Real(number)) } else { Err(Unsound::NoValue) }
}

/// `2019-02-21`, with ` 15:00:20` and its microseconds where they were sent; as times are written here.
fn date(fields: &mut Fields) -> Result<Value, Unsound> {
    let length = fields.byte().ok_or(Unsound::Short)?;
    let mut part = Fields(fields.take(length.into()).ok_or(Unsound::Short)?);
    let read = |part: &mut Fields| {
        let (year, month, day) = (part.u16()?, part.byte()?, part.byte()?);
        let mut text = format!("{year:04}-{month:02}-{day:02}");
        if length > 4 {
            text += &format!(" {}", clock(0, part)?);
        }
        Some(text)
    };
    match length {
        0 => Ok("0000-00-00".into()),
        4 | 7 | 11 => read(&mut part).map(Value::from).ok_or(Unsound::NoValue),
        _ => Err(Unsound::NoValue),
    }
}

/// `15:00:20`, of a length of time.
fn time(fields: &mut Fields) -> Result<Value, Unsound> {
    let length = fields.byte().ok_or(Unsound::Short)?;
    let mut part = Fields(fields.take(length.into()).ok_or(Unsound::Short)?);
    let read = |part: &mut Fields| {
        let (is_negative, days) = (part.byte()? != 0, part.u32()?);
        Some(format!("{}{}", if is_negative { "-" } else { "" }, clock(u64::from(days) * 24, part)?))
    };
    match length {
        0 => Ok("00:00:00".into()),
        8 | 12 => read(&mut part).map(Value::from).ok_or(Unsound::NoValue),
        _ => Err(Unsound::NoValue),
    }
}

fn clock(hours: u64, part: &mut Fields) -> Option<String> {
    let (hour, minute, second) = (part.byte()?, part.byte()?, part.byte()?);
    let micros = part.u32().filter(|micros| *micros > 0).map(|micros| format!(".{micros:06}")).unwrap_or_default();
    Some(format!("{:02}:{minute:02}:{second:02}{micros}", hours + u64::from(hour)))
}

/// One row, each value as its column was announced.
pub fn put_row(out: &mut BytesMut, columns: &[Column], row: &[Value]) {
    /// Bits before the first column's in the map of NULLs.
    const RESERVED: usize = 2;
    out.put_u8(0);
    let nulls = out.len();
    out.put_bytes(0, (columns.len() + RESERVED).div_ceil(8));
    for (place, (column, value)) in columns.iter().zip(row).enumerate() {
        let is_there = match (column.kind, value) {
            (_, Value::Null) => None,
            (Kind::Text | Kind::Decimal, value) => {
                wire::put_text(out, value.shown().as_bytes());
                Some(())
            }
            (Kind::Whole, value) => value.whole().map(|number| out.put_i64_le(number)),
            (Kind::Real, value) => value.number().map(|number| out.put_f64_le(number)),
        };
        if is_there.is_none() {
            let bit = place + RESERVED;
            out[nulls + bit / 8] |= 1 << (bit % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    fn read(code: u8, flags: u8, bytes: &[u8]) -> Result<Value, Unsound> {
        let mut fields = Fields(bytes);
        let value = Type::read(&mut Fields(&[code, flags])).expect("two bytes").value(&mut fields)?;
        assert!(fields.0.is_empty(), "{code:#x}: {:?} is left", fields.0);
        Ok(value)
    }

    /// Every type that clients send, byte by byte.
    #[test]
    fn values() {
        for (code, flags, bytes, value) in [
            (0x01, 0, &[0xff][..], Value::Whole(-1)),
            (0x01, 0x80, &[0xff], Value::Whole(255)),
            (0x02, 0, &[0, 0x80], Value::Whole(-32_768)),
            (0x03, 0, &[1, 0, 0, 0], Value::Whole(1)),
            (0x08, 0, &[0xfe, 255, 255, 255, 255, 255, 255, 255], Value::Whole(-2)),
            (0x08, 0x80, &[255; 8], Value::text("18446744073709551615")),
            (0x04, 0, &0.1f32.to_le_bytes(), Value::Real(0.1)),
            (0x05, 0, &(-2.5f64).to_le_bytes(), Value::Real(-2.5)),
            (0x06, 0, &[], Value::Null),
            (0xfd, 0, b"\x02ab", Value::text("ab")),
            (0xf6, 0, b"\x041.50", Value::text("1.50")),
            (0xfc, 0, b"\x00", Value::text("")),
            (0x0a, 0, &[4, 0xe3, 7, 2, 21], Value::text("2019-02-21")),
            (0x0c, 0, &[7, 0xe3, 7, 2, 21, 15, 0, 20], Value::text("2019-02-21 15:00:20")),
            (0x07, 0, &[11, 0xe3, 7, 2, 21, 15, 0, 20, 5, 0, 0, 0], Value::text("2019-02-21 15:00:20.000005")),
            (0x0b, 0, &[8, 1, 1, 0, 0, 0, 2, 3, 4], Value::text("-26:03:04")),
            (0x0b, 0, &[0], Value::text("00:00:00")),
        ] {
            assert_eq!(read(code, flags, bytes), Ok(value), "{code:#x} {bytes:?}");
        }
        for (code, bytes, unsound) in [
            (0x03, &[1, 0, 0][..], Unsound::Short),
            (0xfd, b"\x03ab", Unsound::Short),
            (0xfd, b"\x01\xff", Unsound::NotUtf8),
            (0x05, &f64::NAN.to_le_bytes(), Unsound::NoValue),
            (0x0c, &[3, 1, 2, 3], Unsound::NoValue),
            (0x77, &[], Unsound::UnknownType(0x77)),
        ] {
            assert_eq!(read(code, 0, bytes), Err(unsound), "{code:#x} {bytes:?}");
        }
    }

    /// A row's values stand as their columns were announced, and the map says which are NULL, or no number.
    #[test]
    fn rows() {
        let mut columns: Vec<Column> = ["#a", "b", "%c", "#d", "#e", "f", "#g"].into_iter().map(Column::of).collect();
        columns.push(Column { kind: Kind::Decimal, ..Column::of("h") });
        let text = Value::text;
        let row = [
            Value::Whole(-2),
            Value::Whole(7),
            Value::Whole(1),
            Value::Null,
            text("9"),
            Value::Null,
            text("N/A"),
            Value::Whole(12),
        ];
        let mut out = BytesMut::new();
        put_row(&mut out, &columns, &row);
        let mut expected = vec![0, 0b1010_0000, 0b0000_0001];
        expected.extend((-2i64).to_le_bytes());
        expected.extend([1, b'7']);
        expected.extend(1f64.to_le_bytes());
        expected.extend(9i64.to_le_bytes());
        expected.extend([2, b'1', b'2']);
        assert_eq!(&out[..], &expected[..]);
    }

    proptest! {
        #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), cases: 500, ..Config::default() })]

        /// No bytes make it panic.
        #[test]
        fn any_bytes(code in any::<u8>(), flags in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Type { code, is_unsigned: flags & 0x80 != 0 }.value(&mut Fields(&bytes));
        }
    }
}
