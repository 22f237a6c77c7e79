//! What is kept of a table's columns: the words of its CREATE TABLE from the columns to the distribution, as one text.
//!
//! In: those words, or the text again. Out: the text; the clauses; each column with its type and its properties, for
//! who describes a table. Nothing here is checked against files: it is a comment that can be read.

use super::fault::Fault;
use super::names::COLLATION;
use super::reader::{self, Reader, written};
use super::rows::{Row, Value, row};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Clauses of CREATE TABLE, as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Without the parentheses.
    pub columns: String,
    /// `DUPLICATE KEY (k)`
    pub key: Option<String>,
    pub comment: Option<String>,
    /// `HASH (k)`
    pub distribution: Option<String>,
    /// `(k)`
    pub order: Option<String>,
}

const KEYS: [&str; 4] = ["DUPLICATE KEY", "PRIMARY KEY", "UNIQUE KEY", "AGGREGATE KEY"];

impl Kept {
    /// `(columns) [ENGINE = e] [... KEY (k)] [COMMENT 'text']`
    pub fn head(reader: &mut Reader) -> Result<Kept, Fault> {
        let mut kept = Kept::default();
        if reader.sees_token(&Token::LParen) {
            kept.columns = reader.parenthesised()?;
        }
        if reader.takes("ENGINE") {
            reader.takes_token(&Token::Eq);
            reader.name("the name of an engine")?;
        }
        if let Some(kind) = KEYS.into_iter().find(|words| reader.takes(words)) {
            kept.key = Some(format!("{kind} ({})", reader.parenthesised()?));
        }
        if reader.takes("COMMENT") {
            reader.takes_token(&Token::Eq);
            kept.comment = Some(reader.text("a comment in quotes")?);
        }
        Ok(kept)
    }

    /// Behind DISTRIBUTED BY.
    pub fn distribution(&mut self, reader: &mut Reader) -> Result<(), Fault> {
        let Some(by) = ["HASH", "RANGE", "RANDOM"].into_iter().find(|word| reader.takes(word)) else {
            return reader.expected("HASH or RANGE");
        };
        let columns = if reader.sees_token(&Token::LParen) { reader.parenthesised()? } else { String::new() };
        self.distribution = match (by, columns.as_str()) {
            ("HASH", "") => None,
            (by, "") => Some(by.into()),
            (by, columns) => Some(format!("{by} ({columns})")),
        };
        Ok(())
    }

    /// `[ORDER BY (k)]`
    pub fn order(&mut self, reader: &mut Reader) -> Result<(), Fault> {
        if reader.takes("ORDER") {
            reader.needs("BY")?;
            self.order = Some(format!("({})", reader.parenthesised()?));
        }
        Ok(())
    }

    /// As one text; only columns stand there without parentheses.
    pub fn text(&self) -> String {
        let Kept { columns, key, comment, distribution, order } = self;
        if [key, comment, distribution, order].iter().all(|clause| clause.is_none()) {
            return columns.clone();
        }
        let comment = comment.as_ref().map(|text| format!("COMMENT {}", reader::quoted(text)));
        let distribution = distribution.as_ref().map(|by| format!("DISTRIBUTED BY {by}"));
        let order = order.as_ref().map(|columns| format!("ORDER BY {columns}"));
        let clauses = [Some(format!("({columns})")), key.clone(), comment, distribution, order];
        clauses.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Out of its text; what cannot be read are columns that nobody understands.
    pub fn of(text: &str) -> Kept {
        let whole = || Kept { columns: text.into(), ..Kept::default() };
        if !text.starts_with('(') {
            return whole();
        }
        let read = |text: &str| {
            let reader = &mut Reader::new(reader::split(text)?.into_iter().next().unwrap_or_default());
            let mut kept = Kept::head(reader)?;
            if reader.takes("DISTRIBUTED BY") {
                kept.distribution(reader)?;
            }
            kept.order(reader)?;
            reader.end().map(|()| kept)
        };
        read(text).unwrap_or_else(|_| whole())
    }

    /// What clients show as the table's comment.
    pub fn shown_comment(&self) -> &str {
        self.comment.as_deref().unwrap_or(&self.columns)
    }

    /// Its columns, in their order.
    pub fn fields(&self) -> Vec<Field> {
        let parts = pieces(&self.columns);
        let mut keys: Vec<String> = self.key.as_deref().map(in_parentheses).unwrap_or_default();
        let mut fields = Vec::new();
        for part in parts {
            match Field::of(&part) {
                Some(field) => fields.push(field),
                None if is_key(&part) => keys.extend(words_in_parentheses(&part)),
                None => {}
            }
        }
        let is_primary = self.key.as_ref().is_some_and(|key| key.starts_with("PRIMARY"));
        for field in &mut fields {
            if keys.iter().any(|key| key.eq_ignore_ascii_case(&field.name)) {
                field.is_key = true;
                field.is_null &= !is_primary;
            }
        }
        fields
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    /// `varchar(8)`
    pub kind: String,
    pub is_null: bool,
    pub is_key: bool,
    pub default: Option<String>,
    /// How values of one key come together, or that it counts by itself.
    pub extra: String,
    pub comment: String,
}

/// With these a part of the columns' text begins that is no column.
const NO_COLUMN: &[&str] =
    &["INDEX", "KEY", "PRIMARY", "UNIQUE", "CONSTRAINT", "FOREIGN", "CHECK", "FULLTEXT", "SPATIAL", "PERIOD"];
/// How values of one key come together.
const AGGREGATES: &[&str] = &[
    "SUM",
    "MIN",
    "MAX",
    "REPLACE",
    "REPLACE_IF_NOT_NULL",
    "HLL_UNION",
    "BITMAP_UNION",
    "PERCENTILE_UNION",
    "GENERIC",
    "NONE",
];
/// Where the type has ended.
const OPTIONS: &[&str] = &[
    "NOT",
    "NULL",
    "DEFAULT",
    "COMMENT",
    "KEY",
    "PRIMARY",
    "UNIQUE",
    "AUTO_INCREMENT",
    "AS",
    "GENERATED",
    "CHARACTER",
    "CHARSET",
    "COLLATE",
    "CHECK",
    "REFERENCES",
    "ON",
];

fn is_one_of(token: &Token, words: &[&str]) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none()
        && words.iter().any(|known| word.value.eq_ignore_ascii_case(known)))
}

impl Field {
    /// One of a view, which has no properties.
    pub fn of_view(name: &str, kind: &str) -> Field {
        Field {
            name: name.into(),
            kind: kind.into(),
            is_null: true,
            is_key: false,
            default: None,
            extra: String::new(),
            comment: String::new(),
        }
    }

    /// `None`: it is no column.
    fn of(part: &[TokenWithSpan]) -> Option<Field> {
        let Token::Word(name) = &part.first()?.token else { return None };
        if is_one_of(&part[0].token, NO_COLUMN) {
            return None;
        }
        let end = type_end(part);
        let mut field = Field::of_view(&name.value, &shown_type(&part[1..end]));
        field.options(&mut Reader::new(part[end..].to_vec()));
        Some(field)
    }

    fn options(&mut self, reader: &mut Reader) {
        while !reader.sees_end() {
            if reader.takes("NOT NULL") {
                self.is_null = false;
            } else if reader.takes("PRIMARY KEY") {
                (self.is_key, self.is_null) = (true, false);
            } else if reader.takes("KEY") {
                self.is_key = true;
            } else if reader.takes("DEFAULT") {
                let is_null = reader.sees("NULL");
                let text = match reader.sees_token(&Token::LParen) {
                    true => reader.parenthesised(),
                    false => reader.scalar(""),
                };
                self.default = text.ok().filter(|_| !is_null);
            } else if reader.takes("COMMENT") {
                self.comment = reader.text("").unwrap_or_default();
            } else if reader.takes("AUTO_INCREMENT") {
                self.extra = "auto_increment".into();
            } else if let Some(how) = AGGREGATES.iter().find(|word| reader.takes(word)) {
                self.extra = how.to_string();
            } else {
                reader.skip();
            }
        }
    }

    /// As DESCRIBE shows it, or SHOW FULL COLUMNS.
    pub fn row(&self, full: bool) -> Row {
        let null = if self.is_null { "YES" } else { "NO" };
        let key = if self.is_key { "true" } else { "false" };
        let (name, kind, extra) = (self.name.as_str(), self.kind.as_str(), self.extra.as_str());
        match full {
            true => {
                let comment = self.comment.as_str();
                row![name, kind, self.collation(), null, key, self.default(), extra, "select", comment]
            }
            false => row![name, kind, null, key, self.default(), extra],
        }
    }

    pub fn default(&self) -> Value {
        self.default.clone().map_or(Value::Null, Value::Text)
    }

    fn collation(&self) -> Value {
        let is_text = ["char", "varchar", "string", "text"].contains(&self.bare_kind());
        if is_text { COLLATION.into() } else { Value::Null }
    }

    /// Without what stands in parentheses.
    pub fn bare_kind(&self) -> &str {
        let end = self.kind.find(['(', '<', ' ']).unwrap_or(self.kind.len());
        &self.kind[..end]
    }
}

/// How deep a token stands. `<` and `>` are brackets of types outside of parentheses; in them they compare.
#[derive(Default)]
struct Depth {
    round: i32,
    pointed: i32,
}

impl Depth {
    fn step(&mut self, token: &Token) {
        match token {
            Token::LParen => self.round += 1,
            Token::RParen => self.round -= 1,
            Token::Lt if self.round == 0 => self.pointed += 1,
            Token::Gt if self.round == 0 => self.pointed -= 1,
            Token::ShiftRight if self.round == 0 => self.pointed -= 2,
            _ => {}
        }
    }

    fn is_outside(&self) -> bool {
        (self.round, self.pointed) == (0, 0)
    }
}

/// What stands between commas.
fn pieces(columns: &str) -> Vec<Vec<TokenWithSpan>> {
    let Ok(statements) = reader::split(columns) else { return Vec::new() };
    let (mut pieces, mut depth) = (vec![Vec::new()], Depth::default());
    for token in statements.into_iter().flatten() {
        depth.step(&token.token);
        match pieces.last_mut() {
            Some(piece) if !depth.is_outside() || token.token != Token::Comma => piece.push(token),
            _ => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The place of the first word behind the type.
fn type_end(part: &[TokenWithSpan]) -> usize {
    let mut depth = Depth::default();
    for (place, one) in part.iter().enumerate().skip(1) {
        // The first word is of the type, whatever it is.
        if place > 1 && depth.is_outside() && (is_one_of(&one.token, OPTIONS) || is_one_of(&one.token, AGGREGATES)) {
            return place;
        }
        depth.step(&one.token);
    }
    part.len()
}

fn shown_type(tokens: &[TokenWithSpan]) -> String {
    let mut text = String::new();
    for TokenWithSpan { token, .. } in tokens {
        let is_word = matches!(token, Token::Word(_));
        if is_word && text.ends_with(|last: char| last.is_alphanumeric() || last == ')') {
            text.push(' ');
        }
        text += &written(token).to_lowercase();
    }
    text
}

fn is_key(part: &[TokenWithSpan]) -> bool {
    part.windows(2).any(|two| is_one_of(&two[0].token, &["PRIMARY", "UNIQUE"]) && is_one_of(&two[1].token, &["KEY"]))
}

fn in_parentheses(text: &str) -> Vec<String> {
    reader::split(text).map(|statements| words_in_parentheses(&statements.concat())).unwrap_or_default()
}

fn words_in_parentheses(tokens: &[TokenWithSpan]) -> Vec<String> {
    let inside = tokens.iter().skip_while(|one| one.token != Token::LParen);
    let word = |one: &TokenWithSpan| match &one.token {
        Token::Word(word) => Some(word.value.clone()),
        _ => None,
    };
    inside.filter_map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Kept {
        let reader = &mut Reader::new(reader::split(text).unwrap().remove(0));
        let mut kept = Kept::head(reader).unwrap();
        if reader.takes("DISTRIBUTED BY") {
            kept.distribution(reader).unwrap();
        }
        kept.order(reader).unwrap();
        kept
    }

    /// What is kept can be read again, whatever stands in its texts; a table of columns only is kept as before.
    #[test]
    fn there_and_back() {
        assert_eq!(kept("(k int, v varchar(8))").text(), "k int, v varchar (8)");
        for text in [
            "(k int)",
            "(k int COMMENT 'it''s \\\\ (a) trap', v array<int>) DUPLICATE KEY(k) COMMENT 'don''t; \\\\' ",
            "(`a b` int, v int SUM DEFAULT \"0\") AGGREGATE KEY(`a b`) DISTRIBUTED BY HASH(`a b`) ORDER BY (`a b`)",
            "() COMMENT 'none'",
            "COMMENT 'none'",
            "(k int) DISTRIBUTED BY RANDOM",
        ] {
            let once = kept(text);
            assert_eq!(Kept::of(&once.text()), once, "{text}");
        }
        for torn in ["(k int", "(k int) what", "(", "(k 'int)"] {
            assert_eq!(Kept::of(torn).text(), torn);
        }
    }

    /// Columns as people write them.
    #[test]
    fn columns() {
        let text = "(k BIGINT NOT NULL, `a b` VARCHAR(8) DEFAULT 'x''y' COMMENT \"a, b\", d decimal(9, 2) SUM DEFAULT \
                    \"0\", m MAP<INT, ARRAY<STRING>> NULL DEFAULT NULL, u int(11) unsigned DEFAULT -1, t datetime \
                    DEFAULT CURRENT_TIMESTAMP, i bigint AUTO_INCREMENT, INDEX x (k) USING BITMAP COMMENT 'k') PRIMARY KEY (k, `a b`)";
        let rows: Vec<String> = kept(text)
            .fields()
            .iter()
            .map(|field| field.row(false).iter().map(|cell| cell.shown().into_owned()).collect::<Vec<_>>().join("|"))
            .collect();
        assert_eq!(
            rows,
            [
                "k|bigint|NO|true||",
                "a b|varchar(8)|NO|true|x'y|",
                "d|decimal(9,2)|YES|false|0|SUM",
                "m|map<int,array<string>>|YES|false||",
                "u|int(11) unsigned|YES|false|-1|",
                "t|datetime|YES|false|CURRENT_TIMESTAMP|",
                "i|bigint|YES|false||auto_increment",
            ]
        );
        let full = kept(text).fields()[1].row(true);
        assert_eq!((full.len(), full[8].shown().into_owned()), (9, "a, b".into()));
        let compared = kept("(k int, c boolean AS (a > b), d int DEFAULT (a < b), e map<int, int>, f int)").fields();
        assert_eq!(compared.iter().map(|field| field.row(false)[0].shown().into_owned()).collect::<String>(), "kcdef");
        let inline = kept("(k int KEY, v int PRIMARY KEY, UNIQUE KEY u (w), w int)").fields();
        assert_eq!(inline.iter().map(|field| field.is_key).collect::<Vec<_>>(), [true, true, true]);
        assert!(kept("(1, 'x', ())").fields().is_empty() && Kept::of("').-").fields().is_empty());
    }
}
