//! What may stand behind every SHOW and SELECT: WHERE, ORDER BY, LIMIT. In: rows that are still to be made. Out: those
//! that were asked for. Names and texts are compared without regard to case, numbers as numbers.

use super::compare::{Key, Pattern};
use super::fault::Fault;
use super::order::Sorting;
use super::rows::{Cells, Column, Coming, Row, Sink, Table, Value};
use std::borrow::Cow;
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

/// What is shown of a row, column by column.
pub struct Picks {
    pub columns: Vec<Column>,
    picks: Vec<Pick>,
}

pub enum Pick {
    /// A column of the table, by its place.
    Place(usize),
    Literal(Value),
}

impl Picks {
    pub fn new(columns: Vec<Column>, picks: Vec<Pick>) -> Picks {
        Picks { columns, picks }
    }

    /// Everything.
    pub fn all(columns: &[Column]) -> Picks {
        Picks { columns: columns.to_vec(), picks: (0..columns.len()).map(Pick::Place).collect() }
    }

    /// The column that rows are ordered by, which may be named as it is shown, or by its number there, the first is 1;
    /// none where all rows have the same.
    fn place(&self, known: &[Column], name: &str) -> Result<Option<usize>, Fault> {
        let shown = self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        let by_number = || name.parse::<usize>().ok()?.checked_sub(1).filter(|place| *place < self.picks.len());
        match shown.or_else(by_number).map(|place| &self.picks[place]) {
            Some(Pick::Place(place)) => Ok(Some(*place)),
            Some(Pick::Literal(_)) => Ok(None),
            None => place(known, name).map(Some),
        }
    }

    fn row(&self, cells: &dyn Cells) -> Row {
        let one = |pick: &Pick| match pick {
            Pick::Place(place) => cells.cell(*place),
            Pick::Literal(value) => value.clone(),
        };
        self.picks.iter().map(one).collect()
    }
}

/// Rows that fit a filter. After a number of them others on this thread have their turn, whether they fit or not.
pub struct Fitting<'a> {
    rows: Coming<'a>,
    filter: Option<Placed>,
    looked_at: usize,
}

/// Rows looked at in one turn: about a millisecond of them.
const TURN: usize = 512;
/// Cells made in one turn, where rows are wide.
const CELLS_OF_TURN: usize = 64 * TURN;

impl<'a> Fitting<'a> {
    pub fn of(rows: Coming<'a>, filter: Option<Placed>) -> Fitting<'a> {
        Fitting { rows, filter, looked_at: 0 }
    }

    pub async fn next(&mut self) -> Option<Box<dyn Cells + 'a>> {
        loop {
            self.looked_at += 1;
            if self.looked_at.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
            let cells = self.rows.next()?;
            if self.filter.as_ref().is_none_or(|filter| filter.holds(&*cells)) {
                return Some(cells);
            }
        }
    }
}

/// The filter and the order, about the places of columns.
pub struct Places {
    filter: Option<Placed>,
    order: Vec<(usize, bool)>,
}

impl Tail {
    /// Gives the sink what is picked of those rows that are asked for, in the order that is asked for.
    pub async fn pour(&self, table: Table<'_>, picks: Picks, sink: &mut impl Sink) -> Result<(), Fault> {
        let places = self.places(&table.columns, &picks)?;
        sink.columns(&picks.columns).await?;
        self.send(table.rows, places, &picks, sink).await
    }

    /// Where it looks: whatever is wrong with it is told here.
    pub fn places(&self, columns: &[Column], picks: &Picks) -> Result<Places, Fault> {
        let filter = self.filter.as_ref().map(|filter| filter.on(columns)).transpose()?;
        let mut order: Vec<(usize, bool)> = Vec::new();
        for Order { by, descending } in &self.order {
            // What is ordered by again is in order already: no row is held with it twice.
            if let Some(at) = picks.place(columns, by)?
                && order.iter().all(|(known, _)| *known != at)
            {
                order.push((at, *descending));
            }
        }
        Ok(Places { filter, order })
    }

    /// The rows, once the columns are out.
    pub async fn send(
        &self,
        rows: Coming<'_>,
        places: Places,
        picks: &Picks,
        sink: &mut impl Sink,
    ) -> Result<(), Fault> {
        let Places { filter, order } = places;
        let mut fitting = Fitting::of(rows, filter);
        if !order.is_empty() {
            let most = self.limit.map_or(usize::MAX, |limit| limit.saturating_add(self.offset));
            let mut sorting = Sorting::by(order, most);
            while let Some(cells) = fitting.next().await {
                sorting.add(cells);
            }
            fitting = Fitting::of(Box::new(sorting.done()), None);
        }
        let (mut over, mut left, mut made) = (self.offset, self.limit.unwrap_or(usize::MAX), 0);
        while left > 0
            && let Some(cells) = fitting.next().await
        {
            if over > 0 {
                over -= 1;
            } else {
                left -= 1;
                sink.row(picks.row(&*cells)).await?;
                made += picks.columns.len();
                if made >= CELLS_OF_TURN {
                    made = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(())
    }
}

pub fn place(columns: &[Column], name: &str) -> Result<usize, Fault> {
    let found = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| Fault::unknown_column(name, columns.iter().map(|column| &*column.name)))
}

impl Filter {
    /// The same, about the places of columns.
    pub fn on(&self, columns: &[Column]) -> Result<Placed, Fault> {
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

    /// Shows each operand, so that it may be changed.
    pub fn each_operand(&mut self, change: &mut impl FnMut(&mut Operand)) {
        match self {
            Filter::And(filters) | Filter::Or(filters) => {
                filters.iter_mut().for_each(|filter| filter.each_operand(change));
            }
            Filter::Not(filter) => filter.each_operand(change),
            Filter::Compare { left, right, .. } => [left, right].into_iter().for_each(change),
            Filter::Like { of, .. } | Filter::IsNull(of) => change(of),
            Filter::Among { of, values } => {
                change(of);
                values.iter_mut().for_each(change);
            }
        }
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

/// A filter over rows.
pub enum Placed {
    And(Vec<Placed>),
    Or(Vec<Placed>),
    Not(Box<Placed>),
    Compare(PlacedOperand, Op, PlacedOperand),
    Like(PlacedOperand, Pattern),
    Among(PlacedOperand, Vec<PlacedOperand>),
    IsNull(PlacedOperand),
}

pub enum PlacedOperand {
    Place(usize),
    Literal(Value),
}

impl PlacedOperand {
    fn value(&self, row: &dyn Cells) -> Cow<'_, Value> {
        match self {
            PlacedOperand::Place(place) => Cow::Owned(row.cell(*place)),
            PlacedOperand::Literal(value) => Cow::Borrowed(value),
        }
    }
}

impl Placed {
    fn holds(&self, row: &dyn Cells) -> bool {
        match self {
            Placed::And(filters) => filters.iter().all(|filter| filter.holds(row)),
            Placed::Or(filters) => filters.iter().any(|filter| filter.holds(row)),
            Placed::Not(filter) => !filter.holds(row),
            Placed::Compare(left, op, right) => {
                let (left, right) = (left.value(row), right.value(row));
                let is_null = matches!(*left, Value::Null) || matches!(*right, Value::Null);
                !is_null && op.holds(Key::of(&left).cmp(&Key::of(&right)))
            }
            Placed::Like(of, pattern) => match &*of.value(row) {
                Value::Null => false,
                value => pattern.fits(&value.shown()),
            },
            Placed::Among(of, values) => match &*of.value(row) {
                Value::Null => false,
                value => values.iter().any(|one| Key::of(value) == Key::of(&one.value(row))),
            },
            Placed::IsNull(of) => matches!(*of.value(row), Value::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{Col, Rows, col, row};
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    fn table() -> Table<'static> {
        Table::of(&["Id", "Name"], vec![row![10u64, "b"], row![9u64, "A"], row![100u64, "c"], row!["N/A", "d"]])
    }

    async fn shown(tail: &Tail, table: Table<'_>) -> Result<Vec<String>, Fault> {
        let (mut rows, picks) = (Rows::default(), Picks::all(&table.columns));
        tail.pour(table, picks, &mut rows).await?;
        Ok(rows.rows.iter().map(|row| row[0].shown().into_owned()).collect())
    }

    async fn ids(tail: &Tail) -> Vec<String> {
        shown(tail, table()).await.unwrap()
    }

    /// Numbers are compared as numbers, texts without regard to case; what is no number stands behind them.
    #[actix_rt::test]
    async fn order_and_limit() {
        let by = |by: &str, descending| vec![Order { by: by.into(), descending }];
        let order = |order, limit| Tail { order, limit, ..Tail::default() };
        assert_eq!(ids(&order(by("ID", false), None)).await, ["9", "10", "100", "N/A"]);
        assert_eq!(ids(&order(by("name", true), Some(2))).await, ["N/A", "100"]);
        assert_eq!(ids(&order(by("1", false), Some(1))).await, ["9"]);
        assert_eq!(ids(&Tail { offset: 1, limit: Some(2), ..Tail::default() }).await, ["9", "100"]);
        let again = Tail { order: [by("name", true), by("2", false), by("id", false)].concat(), ..Tail::default() };
        let places = again.places(&table().columns, &Picks::all(&table().columns)).unwrap();
        assert_eq!(places.order, [(1, true), (0, false)], "each place once, as it came first");
        let unknown = shown(&order(by("Size", false), None), table()).await.unwrap_err();
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

    /// Of a long table no more cells are made than a filter, an order and what is shown look at; and what comes first
    /// of all comes first, whatever was left out on the way.
    #[actix_rt::test]
    async fn little_is_made() {
        type Counted<'a> = (u64, &'a [AtomicUsize; 2]);
        fn columns<'a>() -> Vec<Col<Counted<'a>>> {
            vec![
                col("#Id", |of: &Counted<'a>| {
                    of.1[0].fetch_add(1, Relaxed);
                    Value::from(of.0)
                }),
                col("#Back", |of: &Counted<'a>| {
                    of.1[1].fetch_add(1, Relaxed);
                    Value::from(50_000 - of.0 % 50_000)
                }),
            ]
        }
        let order = vec![Order { by: "Back".into(), descending: false }];
        for (tail, expected, made) in [
            (Tail { limit: Some(2), ..Tail::default() }, ["0", "1"], [2, 2]),
            (Tail { limit: Some(2), offset: 1, order, ..Tail::default() }, ["99999", "49998"], [2, 100_002]),
        ] {
            let counts = [AtomicUsize::new(0), AtomicUsize::new(0)];
            let table = Table::lazy(columns(), (0..100_000).map(|id| (id, &counts)));
            assert_eq!(shown(&tail, table).await.unwrap(), expected);
            assert_eq!(counts.map(AtomicUsize::into_inner), made);
        }
    }
}
