//! What stands in packets: length-encoded numbers and texts, OK, ERR and EOF, columns and rows; and reading what a
//! client sent, field by field, without ever going past its end.

use crate::front::statements::fault::Fault;
use crate::front::statements::rows::{Column, Kind, Value};
use bytes::{BufMut, BytesMut};

/// The client's and our abilities; the protocol's numbers.
pub mod capability {
    pub const LONG_PASSWORD: u32 = 1;
    pub const LONG_FLAG: u32 = 1 << 2;
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    pub const COMPRESS: u32 = 1 << 5;
    pub const PROTOCOL_41: u32 = 1 << 9;
    pub const SSL: u32 = 1 << 11;
    pub const TRANSACTIONS: u32 = 1 << 13;
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    pub const MULTI_STATEMENTS: u32 = 1 << 16;
    pub const MULTI_RESULTS: u32 = 1 << 17;
    pub const PLUGIN_AUTH: u32 = 1 << 19;
    pub const CONNECT_ATTRS: u32 = 1 << 20;
    pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
}

/// Status flags of OK and EOF.
pub const AUTOCOMMIT: u16 = 2;
pub const MORE_RESULTS: u16 = 8;

/// utf8mb4_general_ci.
pub const UTF8: u16 = 45;
const BINARY: u16 = 63;

pub fn put_number(out: &mut BytesMut, number: u64) {
    match number {
        0..=250 => out.put_u8(number as u8),
        251..=0xffff => {
            out.put_u8(0xfc);
            out.put_u16_le(number as u16);
        }
        0x1_0000..=0xff_ffff => {
            out.put_u8(0xfd);
            out.put_uint_le(number, 3);
        }
        _ => {
            out.put_u8(0xfe);
            out.put_u64_le(number);
        }
    }
}

pub fn put_text(out: &mut BytesMut, text: &[u8]) {
    put_number(out, text.len() as u64);
    out.put_slice(text);
}

pub fn put_ok(out: &mut BytesMut, affected: u64, status: u16, message: &str) {
    out.put_u8(0);
    put_number(out, affected);
    put_number(out, 0);
    out.put_u16_le(status);
    out.put_u16_le(0);
    if !message.is_empty() {
        put_text(out, message.as_bytes());
    }
}

pub fn put_eof(out: &mut BytesMut, status: u16) {
    out.put_u8(0xfe);
    out.put_u16_le(0);
    out.put_u16_le(status);
}

pub fn put_error(out: &mut BytesMut, fault: &Fault) {
    out.put_u8(0xff);
    out.put_u16_le(fault.code);
    out.put_u8(b'#');
    out.put_slice(fault.state.as_bytes());
    out.put_slice(fault.text.as_bytes());
}

/// COM_STMT_PREPARE_OK.
pub fn put_prepared(out: &mut BytesMut, statement: u32, columns: usize, parameters: usize) {
    out.put_u8(0);
    out.put_u32_le(statement);
    // Columns are capped where `*` is expanded; without FROM, and for parameters, the cap on words is below 2^16.
    out.put_u16_le(columns as u16);
    out.put_u16_le(parameters as u16);
    out.put_u8(0);
    out.put_u16_le(0);
}

/// Protocol::ColumnDefinition41.
pub fn put_column(out: &mut BytesMut, column: &Column) {
    const VAR_STRING: u8 = 0xfd;
    const LONGLONG: u8 = 0x08;
    const DOUBLE: u8 = 0x05;
    const NEW_DECIMAL: u8 = 0xf6;
    let (kind, charset, length, decimals) = match column.kind {
        Kind::Text => (VAR_STRING, UTF8, 65_535, 0),
        Kind::Whole => (LONGLONG, BINARY, 21, 0),
        Kind::Decimal => (NEW_DECIMAL, BINARY, 41, 0),
        Kind::Real => (DOUBLE, BINARY, 23, 31),
    };
    for text in ["def", "", "", "", &column.name, &column.name] {
        put_text(out, text.as_bytes());
    }
    put_number(out, 0x0c);
    out.put_u16_le(charset);
    out.put_u32_le(length);
    out.put_u8(kind);
    out.put_u16_le(0);
    out.put_u8(decimals);
    out.put_u16_le(0);
}

pub fn put_row(out: &mut BytesMut, row: &[Value]) {
    for value in row {
        match value {
            Value::Null => out.put_u8(0xfb),
            Value::Text(text) => put_text(out, text.as_bytes()),
            Value::Whole(number) => put_text(out, number.to_string().as_bytes()),
            Value::Real(number) => put_text(out, number.to_string().as_bytes()),
        }
    }
}

/// Reads fields off a payload.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Up to a zero byte, which is taken too; to the end where there is none.
    pub fn until_zero(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or(&[][..], |end| &self.0[end + 1..]);
        text
    }

    /// A text after its length-encoded length.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            short @ 0..=250 => u64::from(short),
            0xfc => u64::from(self.u16()?),
            0xfd => self.take(3).map(|b| u64::from(b[0]) | u64::from(b[1]) << 8 | u64::from(b[2]) << 16)?,
            0xfe => u64::from(self.u32()?) | u64::from(self.u32()?) << 32,
            0xfb | 0xff => return None,
        };
        self.take(usize::try_from(length).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers are as long as the protocol has them, and texts come back.
    #[test]
    fn numbers_and_texts() {
        for (number, length) in [(0, 1), (250, 1), (251, 3), (65_535, 3), (65_536, 4), (16_777_215, 4), (16_777_216, 9)]
        {
            let mut out = BytesMut::new();
            put_number(&mut out, number);
            assert_eq!(out.len(), length, "{number}");
        }
        for length in [0, 250, 251, 70_000] {
            let (mut out, text) = (BytesMut::new(), vec![b'x'; length]);
            put_text(&mut out, &text);
            let mut fields = Fields(&out);
            assert_eq!(fields.text(), Some(&text[..]));
            assert!(fields.0.is_empty());
            assert!(Fields(&out[..out.len() - 1]).text().is_none());
        }
        assert_eq!(Fields(&[0xfe, 255, 255, 255, 255, 255, 255, 255, 255]).text(), None);
    }
}
