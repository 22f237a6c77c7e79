//! Reads one statement word by word over a library's tokens, and its expressions with that library's parser.
//!
//! In: text. Out: words, names, numbers, texts, filters; or a fault that says what was expected, what was found, and
//! where. Bounded: in tokens of a statement and of a condition, so that no text makes it recurse without end.

use super::condition;
use super::fault::Fault;
use super::stmt::TableName;
use super::tail::{Filter, Order, Tail};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

static DIALECT: MySqlDialect = MySqlDialect {};

/// Tokens of one statement at most: a list of some thousand tablets.
const TOKENS_MAX: usize = 20_000;
/// Tokens of one condition at most: chains of AND are trees, and whoever walks them recurses.
const CONDITION_MAX: usize = 1_000;
/// Parentheses in one another at most.
const DEPTH_MAX: usize = 24;
/// Characters of what was found that are shown.
pub const FOUND_MAX: usize = 40;

/// The statements of a text, each as its tokens; empty ones are left out.
pub fn split(sql: &str) -> Result<Vec<Vec<TokenWithSpan>>, Fault> {
    let tokens = Tokenizer::new(&DIALECT, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| {
        Fault::syntax(format!(
            "cannot read the statement: {} at line {}, column {}",
            error.message, error.location.line, error.location.column
        ))
    })?;
    let mut statements = vec![Vec::new()];
    for token in tokens {
        match token.token {
            Token::SemiColon => statements.push(Vec::new()),
            Token::Whitespace(_) => {}
            _ => statements.last_mut().expect("there is one from the beginning").push(token),
        }
    }
    statements.retain(|tokens| !tokens.is_empty());
    match statements.iter().find(|tokens| tokens.len() > TOKENS_MAX) {
        Some(long) => {
            Err(Fault::syntax(format!("a statement has {TOKENS_MAX} words at most, this one has {}", long.len())))
        }
        None => Ok(statements),
    }
}

/// A text in quotes, so that it is read again as what it is.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A token as it may be read again: the library forgets what was escaped.
pub fn written(token: &Token) -> String {
    match token {
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => quoted(text),
        token => token.to_string(),
    }
}

/// Whether a value of a prepared statement goes here.
pub fn is_place(token: &Token) -> bool {
    matches!(token, Token::Placeholder(mark) if mark == "?")
}

/// Reads one statement. In a prepared one that has no values yet, a place for a value is read as one: as nothing, zero
/// or NULL.
pub struct Reader {
    parser: Parser<'static>,
    left: usize,
    /// Where the statement ends, for messages.
    end: (u64, u64),
}

impl Reader {
    pub fn new(tokens: Vec<TokenWithSpan>) -> Reader {
        let end = tokens.last().map_or((1, 1), |token| (token.span.end.line, token.span.end.column));
        let left = tokens.len();
        let parser = Parser::new(&DIALECT).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
        Reader { parser, left, end }
    }

    /// What was expected, what is there, and where.
    pub fn expected<T>(&self, what: &str) -> Result<T, Fault> {
        Err(self.fault(&format!("expected {what}")))
    }

    fn fault(&self, what: &str) -> Fault {
        let TokenWithSpan { token, span } = self.parser.peek_token_ref();
        let ((line, column), found) = match token {
            Token::EOF => (self.end, "the end".to_string()),
            token => {
                let text = token.to_string();
                let short: String = text.chars().take(FOUND_MAX).collect();
                let dots = if short.len() < text.len() { "..." } else { "" };
                ((span.start.line, span.start.column), format!("'{short}{dots}'"))
            }
        };
        Fault::syntax(format!("{what}, found {found} at line {line}, column {column}"))
    }

    /// What the library says, in our words; at the end of the text it knows no place.
    fn told(&self, text: &str) -> Fault {
        let text = text.replace("Expected: ", "expected ").replace(", found: EOF", ", found the end");
        let text = text.replace(", found: ", ", found ");
        Fault::syntax(match text.rsplit_once(" at Line: ") {
            Some((what, place)) => format!("{what} at line {}", place.replace("Column: ", "column ")),
            None => format!("{text} at line {}, column {}", self.end.0, self.end.1),
        })
    }

    fn next(&mut self) -> Token {
        self.left = self.left.saturating_sub(1);
        self.parser.next_token().token
    }

    fn nth_is(&self, n: usize, word: &str) -> bool {
        match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(found) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
            _ => false,
        }
    }

    /// Whether these words come next, without taking them.
    pub fn sees(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, word)| self.nth_is(n, word))
    }

    /// Takes these words, if all of them come next.
    pub fn takes(&mut self, words: &str) -> bool {
        let sees = self.sees(words);
        if sees {
            words.split(' ').for_each(|_| drop(self.next()));
        }
        sees
    }

    pub fn needs(&mut self, words: &str) -> Result<(), Fault> {
        if self.takes(words) { Ok(()) } else { self.expected(words) }
    }

    pub fn takes_token(&mut self, token: &Token) -> bool {
        let sees = self.parser.peek_token_ref().token == *token;
        if sees {
            self.next();
        }
        sees
    }

    pub fn sees_token(&self, token: &Token) -> bool {
        self.parser.peek_token_ref().token == *token
    }

    pub fn needs_token(&mut self, token: &Token) -> Result<(), Fault> {
        if self.takes_token(token) { Ok(()) } else { self.expected(&format!("'{token}'")) }
    }

    pub fn sees_end(&self) -> bool {
        self.parser.peek_token_ref().token == Token::EOF
    }

    /// Nothing may follow.
    pub fn end(&self) -> Result<(), Fault> {
        if self.sees_end() { Ok(()) } else { self.expected("the end of the statement") }
    }

    /// A name, quoted or not.
    pub fn name(&mut self, what: &str) -> Result<String, Fault> {
        match &self.parser.peek_token_ref().token {
            Token::Word(word) => {
                let name = word.value.clone();
                self.next();
                Ok(name)
            }
            _ => self.expected(what),
        }
    }

    /// `table` or `db.table`.
    pub fn table_name(&mut self) -> Result<TableName, Fault> {
        let first = self.name("the name of a table")?;
        if self.takes_token(&Token::Period) {
            let name = self.name("the name of a table")?;
            return Ok(TableName { db: Some(first), name });
        }
        Ok(TableName { db: None, name: first })
    }

    /// A text in quotes.
    pub fn text(&mut self, what: &str) -> Result<String, Fault> {
        match &self.parser.peek_token_ref().token {
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => {
                let text = text.clone();
                self.next();
                Ok(text)
            }
            token if is_place(token) => {
                self.next();
                Ok(String::new())
            }
            _ => self.expected(what),
        }
    }

    /// A number, a word or a text in quotes: what a property may be.
    pub fn scalar(&mut self, what: &str) -> Result<String, Fault> {
        let minus = if self.takes_token(&Token::Minus) { "-" } else { "" };
        match self.parser.peek_token_ref().token.clone() {
            Token::Number(number, _) => {
                self.next();
                Ok(format!("{minus}{number}"))
            }
            Token::Word(word) if minus.is_empty() => {
                self.next();
                Ok(word.value)
            }
            _ if minus.is_empty() => self.text(what),
            _ => self.expected("a number"),
        }
    }

    pub fn sees_number(&self) -> bool {
        matches!(self.parser.peek_token_ref().token, Token::Number(..))
    }

    /// Quoted, too: drivers quote whatever they are given.
    pub fn number(&mut self, what: &str) -> Result<u64, Fault> {
        let number = match &self.parser.peek_token_ref().token {
            Token::Number(number, _) | Token::SingleQuotedString(number) => number.parse().ok(),
            token if is_place(token) => Some(0),
            _ => None,
        };
        match number {
            Some(number) => {
                self.next();
                Ok(number)
            }
            None => self.expected(what),
        }
    }

    /// `(one, another)`; at least one.
    pub fn list<T>(&mut self, mut one: impl FnMut(&mut Reader) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        self.needs_token(&Token::LParen)?;
        let mut list = vec![one(self)?];
        while self.takes_token(&Token::Comma) {
            list.push(one(self)?);
        }
        self.needs_token(&Token::RParen)?;
        Ok(list)
    }

    /// `(*)`
    pub fn takes_all(&mut self) -> bool {
        let sees = [Token::LParen, Token::Mul, Token::RParen];
        let sees = sees.iter().enumerate().all(|(n, token)| self.parser.peek_nth_token_ref(n).token == *token);
        if sees {
            (0..3).for_each(|_| drop(self.next()));
        }
        sees
    }

    /// One word, thrown away.
    pub fn skip(&mut self) {
        self.next();
    }

    /// Everything up to the end, thrown away.
    pub fn rest(&mut self) {
        while !self.sees_end() {
            self.next();
        }
    }

    /// `(...)` with whatever is in it, parentheses in pairs; its text.
    pub fn parenthesised(&mut self) -> Result<String, Fault> {
        self.needs_token(&Token::LParen)?;
        let (mut depth, mut text) = (1, String::new());
        loop {
            if self.sees_end() {
                return self.expected("')'");
            }
            let token = self.next();
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(text);
            }
            if !text.is_empty() && !matches!(token, Token::Comma | Token::RParen) && !text.ends_with('(') {
                text.push(' ');
            }
            text += &written(&token);
        }
    }

    /// `[WHERE ...] [ORDER BY ...] [LIMIT ...]` and the end.
    pub fn tail(&mut self) -> Result<Tail, Fault> {
        let filter = self.condition_after("WHERE")?;
        Ok(Tail { filter, ..self.order_and_limit()? })
    }

    /// A column, its number, or what is counted of a group.
    pub fn ordered_by(&mut self) -> Result<String, Fault> {
        let mut by = self.scalar("a column")?;
        while self.takes_token(&Token::Period) {
            by = self.name("a column")?;
        }
        if self.sees_token(&Token::LParen) {
            by = format!("{by}({})", self.parenthesised()?);
        }
        Ok(by)
    }

    /// `[ORDER BY ...] [LIMIT ...]` and the end.
    pub fn order_and_limit(&mut self) -> Result<Tail, Fault> {
        let mut tail = Tail::default();
        if self.takes("ORDER") {
            self.needs("BY")?;
            loop {
                let by = self.ordered_by()?;
                let descending = self.takes("DESC");
                if !descending {
                    self.takes("ASC");
                }
                tail.order.push(Order { by, descending });
                if !self.takes_token(&Token::Comma) {
                    break;
                }
            }
        }
        if self.takes("LIMIT") {
            let first = self.size()?;
            if self.takes_token(&Token::Comma) {
                (tail.offset, tail.limit) = (first, Some(self.size()?));
            } else {
                tail.limit = Some(first);
                if self.takes("OFFSET") {
                    tail.offset = self.size()?;
                }
            }
        }
        self.end()?;
        Ok(tail)
    }

    fn size(&mut self) -> Result<usize, Fault> {
        self.number("a number of rows").map(|size| usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// What stands behind the word, if that comes next.
    pub fn condition_after(&mut self, word: &str) -> Result<Option<Filter>, Fault> {
        if self.takes(word) { self.condition().map(Some) } else { Ok(None) }
    }

    fn condition(&mut self) -> Result<Filter, Fault> {
        if self.left > CONDITION_MAX {
            return Err(self.fault(&format!("a condition has {CONDITION_MAX} words at most")));
        }
        let expr = self.parser.parse_expr().map_err(|error| match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => self.told(&text),
            ParserError::RecursionLimitExceeded => self.fault("the condition is nested too deeply"),
        })?;
        condition::of(expr)
    }
}
