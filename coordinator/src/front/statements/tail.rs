//! What may stand behind every SHOW and SELECT: WHERE, ORDER BY, LIMIT. In: rows that are still to be made. Out: those
//! that were asked for. Names and texts are compared without regard to case, numbers as numbers.

use super::fault::Fault;
use super::rows::{Column, Row, Rows, Table, Value};
use std::cmp::Ordering;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tail {
    pub filter: Option<Filter>,
    pub order: Vec<Order>,
    pub offset: usize,
    pub limit: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub by: String,
    pub descending: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare { left: Operand, op: Op, right: Operand },
    Like { of: Operand, pattern: String },
    Among { of: Operand, values: Vec<Operand> },
    IsNull(Operand),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Column(String),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Op {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Op::Equal => ordering.is_eq(),
            Op::NotEqual => ordering.is_ne(),
            Op::Less => ordering.is_lt(),
            Op::LessOrEqual => ordering.is_le(),
            Op::Greater => ordering.is_gt(),
            Op::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Tail {
    /// How many rows fit the filter, whatever the order and the limit.
    pub fn count(&self, table: Table<'_>) -> Result<usize, Fault> {
        let Table { columns, rows } = table;
        let filter = self.filter.as_ref().map(|filter| filter.on(&columns)).transpose()?;
        Ok(rows.filter(|row| filter.as_ref().is_none_or(|filter| filter.holds(row))).count())
    }

    /// Those rows of the table that are asked for, in the order that is asked for.
    pub fn of(&self, table: Table<'_>) -> Result<Rows, Fault> {
        let Table { columns, rows } = table;
        let filter = self.filter.as_ref().map(|filter| filter.on(&columns)).transpose()?;
        let order = self.order.iter().map(|order| Ok((place(&columns, &order.by)?, order.descending)));
        let order = order.collect::<Result<Vec<_>, Fault>>()?;
        let rows = rows.filter(|row| filter.as_ref().is_none_or(|filter| filter.holds(row)));
        let limit = self.limit.unwrap_or(usize::MAX);
        if order.is_empty() {
            let rows = rows.skip(self.offset).take(limit).collect();
            return Ok(Rows { columns, rows });
        }
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by(|a, b| {
            let by = order.iter().map(|(place, descending)| {
                let ordering = compare(&a[*place], &b[*place]);
                if *descending { ordering.reverse() } else { ordering }
            });
            by.into_iter().find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        });
        let rows = rows.into_iter().skip(self.offset).take(limit).collect();
        Ok(Rows { columns, rows })
    }
}

pub fn place(columns: &[Column], name: &str) -> Result<usize, Fault> {
    let found = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    // By number, as SQL has it: the first column is 1.
    let by_number = || name.parse::<usize>().ok().filter(|number| (1..=columns.len()).contains(number));
    found.or_else(|| by_number().map(|number| number - 1)).ok_or_else(|| {
        let known: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
        Fault::unknown_column(name, &known.join(", "))
    })
}

impl Filter {
    /// The same, about the places of columns.
    fn on(&self, columns: &[Column]) -> Result<Placed, Fault> {
        let operand = |operand: &Operand| match operand {
            Operand::Column(name) => place(columns, name).map(PlacedOperand::Place),
            Operand::Literal(value) => Ok(PlacedOperand::Literal(value.clone())),
        };
        let all = |filters: &[Filter]| filters.iter().map(|filter| filter.on(columns)).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Filter::And(filters) => Placed::And(all(filters)?),
            Filter::Or(filters) => Placed::Or(all(filters)?),
            Filter::Not(filter) => Placed::Not(Box::new(filter.on(columns)?)),
            Filter::Compare { left, op, right } => Placed::Compare(operand(left)?, *op, operand(right)?),
            Filter::Like { of, pattern } => Placed::Like(operand(of)?, Pattern::of(pattern)),
            Filter::Among { of, values } => {
                let values = values.iter().map(operand).collect::<Result<Vec<_>, _>>()?;
                Placed::Among(operand(of)?, values)
            }
            Filter::IsNull(of) => Placed::IsNull(operand(of)?),
        })
    }

    /// Changes every literal that a column of this name is compared with.
    pub fn rewrite(&mut self, column: &str, change: &impl Fn(&mut Value)) {
        let is_it = |operand: &Operand| matches!(operand, Operand::Column(name) if name.eq_ignore_ascii_case(column));
        let literal = |operand: &mut Operand| {
            if let Operand::Literal(value) = operand {
                change(value);
            }
        };
        match self {
            Filter::And(filters) | Filter::Or(filters) => {
                filters.iter_mut().for_each(|filter| filter.rewrite(column, change));
            }
            Filter::Not(filter) => filter.rewrite(column, change),
            Filter::Compare { left, right, .. } if is_it(left) => literal(right),
            Filter::Compare { left, right, .. } if is_it(right) => literal(left),
            Filter::Among { of, values } if is_it(of) => values.iter_mut().for_each(literal),
            Filter::Compare { .. } | Filter::Among { .. } | Filter::Like { .. } | Filter::IsNull(_) => {}
        }
    }
}

enum Placed {
    And(Vec<Placed>),
    Or(Vec<Placed>),
    Not(Box<Placed>),
    Compare(PlacedOperand, Op, PlacedOperand),
    Like(PlacedOperand, Pattern),
    Among(PlacedOperand, Vec<PlacedOperand>),
    IsNull(PlacedOperand),
}

enum PlacedOperand {
    Place(usize),
    Literal(Value),
}

impl PlacedOperand {
    fn value<'a>(&'a self, row: &'a Row) -> &'a Value {
        match self {
            PlacedOperand::Place(place) => &row[*place],
            PlacedOperand::Literal(value) => value,
        }
    }
}

impl Placed {
    fn holds(&self, row: &Row) -> bool {
        let is_null = |operand: &PlacedOperand| matches!(operand.value(row), Value::Null);
        match self {
            Placed::And(filters) => filters.iter().all(|filter| filter.holds(row)),
            Placed::Or(filters) => filters.iter().any(|filter| filter.holds(row)),
            Placed::Not(filter) => !filter.holds(row),
            Placed::Compare(left, op, right) => {
                !is_null(left) && !is_null(right) && op.holds(compare(left.value(row), right.value(row)))
            }
            Placed::Like(of, pattern) => !is_null(of) && pattern.fits(&of.value(row).shown()),
            Placed::Among(of, values) => {
                !is_null(of) && values.iter().any(|value| compare(of.value(row), value.value(row)).is_eq())
            }
            Placed::IsNull(of) => is_null(of),
        }
    }
}

/// NULL first, then numbers as numbers, then texts without regard to case.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Whole(a), Value::Whole(b)) => a.cmp(b),
        (a, b) => match (a.number(), b.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            // A total order over mixed columns: numbers stand before texts.
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => a.shown().to_lowercase().cmp(&b.shown().to_lowercase()),
        },
    }
}

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
    use super::super::rows::row;
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

    fn table() -> Table<'static> {
        Table::of(&["Id", "Name"], vec![row![10u64, "b"], row![9u64, "A"], row![100u64, "c"], row!["N/A", "d"]])
    }

    fn ids(tail: &Tail) -> Vec<String> {
        tail.of(table()).unwrap().rows.iter().map(|row| row[0].shown().into_owned()).collect()
    }

    /// Numbers are compared as numbers, texts without regard to case; what is no number stands behind them.
    #[test]
    fn order_and_limit() {
        let by = |by: &str, descending| vec![Order { by: by.into(), descending }];
        let order = |order, limit| Tail { order, limit, ..Tail::default() };
        assert_eq!(ids(&order(by("ID", false), None)), ["9", "10", "100", "N/A"]);
        assert_eq!(ids(&order(by("name", true), Some(2))), ["N/A", "100"]);
        assert_eq!(ids(&order(by("1", false), Some(1))), ["9"]);
        assert_eq!(ids(&Tail { offset: 1, limit: Some(2), ..Tail::default() }), ["9", "100"]);
        let unknown = order(by("Size", false), None).of(table()).unwrap_err();
        assert!(unknown.text.contains("'Size'") && unknown.text.contains("Id, Name"), "{unknown}");
    }

    /// The literals of one column are rewritten wherever it is compared, and no others.
    #[test]
    fn rewriting() {
        let compare = |column: &str, text: &str| Filter::Compare {
            left: Operand::Column(column.into()),
            op: Op::Equal,
            right: Operand::Literal(Value::text(text)),
        };
        let mut filter = Filter::Or(vec![compare("name", "x"), Filter::Not(Box::new(compare("Id", "x")))]);
        filter.rewrite("ID", &|value| *value = Value::text("y"));
        assert_eq!(filter, Filter::Or(vec![compare("name", "x"), Filter::Not(Box::new(compare("Id", "y")))]));
    }
}
