//! A statement that is not understood yet: its tokens, with places where values of a prepared one go.
//!
//! Values become tokens of their own, never text that is read again: what stands in a value cannot become a statement.

use super::fault::Fault;
use super::reader;
use super::rows::Value;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// One statement of a text.
#[derive(Clone, Debug)]
pub struct Raw {
    pub(super) tokens: Vec<TokenWithSpan>,
}

/// The statements of a text; at least one.
pub fn split(sql: &str) -> Result<Vec<Raw>, Fault> {
    let statements: Vec<Raw> = reader::split(sql)?.into_iter().map(|tokens| Raw { tokens }).collect();
    if statements.is_empty() { Err(Fault::empty()) } else { Ok(statements) }
}

impl Raw {
    /// How many values it waits for.
    pub fn places(&self) -> usize {
        self.tokens.iter().filter(|token| reader::is_place(&token.token)).count()
    }

    /// The same with these values in its places; there are as many as it waits for.
    pub fn filled(self, values: Vec<Value>) -> Raw {
        let (mut values, mut tokens) = (values.into_iter(), Vec::with_capacity(self.tokens.len()));
        for token in self.tokens {
            let span = token.span;
            let value = if reader::is_place(&token.token) { values.next() } else { None };
            match value {
                Some(value) => tokens.extend(literal(value).map(|token| TokenWithSpan { token, span })),
                None => tokens.push(token),
            }
        }
        Raw { tokens }
    }

    /// Everything in it is known.
    pub(super) fn complete(&self) -> Result<(), Fault> {
        let place = self.tokens.iter().find(|token| reader::is_place(&token.token));
        place.map_or(Ok(()), |place| {
            let (line, column) = (place.span.start.line, place.span.start.column);
            Err(Fault::syntax(format!(
                "'?' at line {line}, column {column} has no value: only prepared statements are given some"
            )))
        })
    }

    /// As it is written in the log: cut short.
    pub fn shown(&self) -> String {
        const SHOWN_MAX: usize = 400;
        let mut text = String::new();
        for token in &self.tokens {
            if text.len() > SHOWN_MAX {
                return text + " ...";
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.extend(token.token.to_string().chars().take(SHOWN_MAX));
        }
        text
    }
}

fn literal(value: Value) -> impl Iterator<Item = Token> {
    let signed =
        |is_negative: bool, digits: String| (is_negative.then_some(Token::Minus), Token::Number(digits, false));
    let (sign, token) = match value {
        Value::Null => (None, Token::make_keyword("NULL")),
        Value::Text(text) => (None, Token::SingleQuotedString(text)),
        Value::Whole(number) => signed(number < 0, number.unsigned_abs().to_string()),
        Value::Real(number) => signed(number < 0.0, number.abs().to_string()),
    };
    sign.into_iter().chain([token])
}

#[cfg(test)]
mod tests {
    use super::super::stmt::{Show, Stmt};
    use super::super::tail::{Filter, Op, Operand};
    use super::super::{parse, tests::one};
    use super::*;

    fn filled(sql: &str, values: Vec<Value>) -> Result<Stmt, Fault> {
        let raw = split(sql)?.remove(0);
        assert_eq!(raw.places(), values.len(), "{sql}");
        parse::statement(raw.filled(values).tokens)
    }

    /// A value means what it would mean as a literal, whatever stands in it; quotes and comments hold no places.
    #[test]
    fn values_in_their_places() {
        let evil = "'; DROP DATABASE d; -- \\";
        let Stmt::Show(_, tail) = filled("SHOW BACKENDS WHERE Host = ?", vec![evil.into()]).unwrap() else { panic!() };
        let (left, right) = (Operand::Column("Host".into()), Operand::Literal(evil.into()));
        assert_eq!(tail.filter, Some(Filter::Compare { left, op: Op::Equal, right }));
        for (sql, values, same) in [
            ("show tablet ?", vec![Value::Whole(7)], "show tablet 7"),
            ("SHOW TABLET ?", vec!["7".into()], "SHOW TABLET 7"),
            ("SHOW PROC ?", vec!["/dbs".into()], "SHOW PROC '/dbs'"),
            (
                "SHOW BACKENDS WHERE a = '?' /* ? */ AND `?` = ? -- ?",
                vec![Value::Null],
                "SHOW BACKENDS WHERE a = '?' AND `?` = NULL",
            ),
            (
                "SHOW BACKENDS WHERE a IN (?, ?) LIMIT ?, ?",
                vec![Value::Whole(-1), Value::Real(-0.5), 3u64.into(), "4".into()],
                "SHOW BACKENDS WHERE a IN (-1, -0.5) LIMIT 3, 4",
            ),
            (
                "SELECT ?, COUNT(*) FROM d.t WHERE b LIKE ? ",
                vec!["x".into(), "%y".into()],
                "SELECT 'x', COUNT(*) FROM d.t WHERE b LIKE '%y'",
            ),
            (
                "ADMIN CHECK TABLET (?, ?) PROPERTIES(\"type\" = ?)",
                vec![1u64.into(), 2u64.into(), "consistency".into()],
                "ADMIN CHECK TABLET (1, 2) PROPERTIES('type' = 'consistency')",
            ),
            ("ALTER SYSTEM DECOMMISSION BACKEND ?", vec!["h:1".into()], "ALTER SYSTEM DECOMMISSION BACKEND 'h:1'"),
        ] {
            assert_eq!(filled(sql, values).unwrap(), one(same).unwrap(), "{sql}");
        }
    }

    /// Places are for values: before there are any a statement is understood with them, and nowhere else may they stand.
    #[test]
    fn places_before_values() {
        for sql in ["SHOW TABLET ?", "SHOW PROC ?", "SHOW TABLES LIKE ?", "SELECT * FROM d.t WHERE a = ? LIMIT ?"] {
            let raw = split(sql).unwrap().remove(0);
            assert!(raw.complete().unwrap_err().text.contains("'?' at line 1, column "), "{sql}");
            assert!(parse::statement(raw.tokens).is_ok(), "{sql}");
        }
        assert!(matches!(one("SHOW TABLET ?").unwrap(), Stmt::Show(Show::Tablet(0), _)));
        for sql in ["SHOW TABLET FROM ?", "USE ?", "SHOW ?", "DROP TABLE ?", "SHOW TABLET ?5"] {
            assert_eq!(one(sql).expect_err(sql).code, 1064, "{sql}");
        }
    }
}
