//! Groups of rows, and what is counted of them: COUNT, SUM, MIN, MAX, AVG, with GROUP BY, DISTINCT and HAVING.
//!
//! In: rows that fit, and what is asked of them. Out: a table of groups, for the same tail as every other. Of a row no more
//! is made than what it is grouped by and what is counted; what is held are the groups.

use super::compare::Key;
use super::fault::Fault;
use super::rows::{Column, Coming, Kind, Row, Table, Value};
use super::stmt::{Item, Select};
use super::tail::{Fitting, Operand, Order, place};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is counted of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    of: Aggregate,
    is_distinct: bool,
    /// None: whole rows.
    column: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
    Avg,
}

const AGGREGATES: [(&str, Aggregate); 5] = [
    ("COUNT", Aggregate::Count),
    ("SUM", Aggregate::Sum),
    ("MIN", Aggregate::Min),
    ("MAX", Aggregate::Max),
    ("AVG", Aggregate::Avg),
];

impl Measure {
    /// As it is written: `COUNT(*)`, `SUM(SIZE)`, `COUNT(DISTINCT BE_ID)`.
    pub fn named(text: &str) -> Option<Measure> {
        let (function, argument) = text.strip_suffix(')')?.split_once('(')?;
        let (_, of) = AGGREGATES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(function.trim()))?;
        let mut words: Vec<&str> = argument.split_whitespace().collect();
        let is_distinct = words.len() > 1 && words[0].eq_ignore_ascii_case("DISTINCT");
        if is_distinct {
            words.remove(0);
        }
        let bare = words.concat().replace('`', "");
        let column = bare.rsplit('.').next().unwrap_or_default();
        // A number is in every row.
        let is_row = bare == "*" || (!bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()));
        if is_row {
            return (of == Aggregate::Count && !is_distinct).then_some(Measure { of, is_distinct, column: None });
        }
        let is_name = !column.is_empty() && column.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_name.then(|| Measure { of, is_distinct, column: Some(column.into()) })
    }

    fn kind(&self, column: Option<&Column>) -> Kind {
        match (self.of, column.map(|column| column.kind)) {
            (Aggregate::Count, _) => Kind::Whole,
            (Aggregate::Avg, _) | (Aggregate::Sum, Some(Kind::Text | Kind::Real) | None) => Kind::Real,
            (Aggregate::Sum, Some(Kind::Whole)) => Kind::Whole,
            (Aggregate::Min | Aggregate::Max, kind) => kind.unwrap_or(Kind::Text),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = AGGREGATES[self.of as usize];
        let distinct = if self.is_distinct { "DISTINCT " } else { "" };
        write!(f, "{name}({distinct}{})", self.column.as_deref().unwrap_or("*"))
    }
}

/// What has been counted so far.
enum Count {
    Rows(u64),
    Distinct(BTreeSet<Key>),
    Sum { kind: Kind, whole: i128, real: f64, count: u64 },
    Average { sum: f64, count: u64 },
    Extreme { is_least: bool, found: Option<(Key, Value)> },
}

impl Count {
    fn of(measure: &Measure, kind: Kind) -> Count {
        match measure.of {
            Aggregate::Count if measure.is_distinct => Count::Distinct(BTreeSet::new()),
            Aggregate::Count => Count::Rows(0),
            Aggregate::Sum => Count::Sum { kind, whole: 0, real: 0.0, count: 0 },
            Aggregate::Avg => Count::Average { sum: 0.0, count: 0 },
            Aggregate::Min | Aggregate::Max => Count::Extreme { is_least: measure.of == Aggregate::Min, found: None },
        }
    }

    /// One more value, which is not NULL.
    fn add(&mut self, value: Value) {
        match self {
            Count::Rows(count) => *count += 1,
            Count::Distinct(seen) => drop(seen.insert(Key::of(&value))),
            Count::Sum { whole, real, count, .. } => {
                // What is no number adds nothing, as in MySQL.
                *whole += i128::from(value.whole().unwrap_or(0));
                *real += value.number().unwrap_or(0.0);
                *count += 1;
            }
            Count::Average { sum, count } => {
                *sum += value.number().unwrap_or(0.0);
                *count += 1;
            }
            Count::Extreme { is_least, found } => {
                let key = Key::of(&value);
                if found.as_ref().is_none_or(|(best, _)| if *is_least { key < *best } else { key > *best }) {
                    *found = Some((key, value));
                }
            }
        }
    }

    fn value(self) -> Value {
        match self {
            Count::Rows(count) => count.into(),
            Count::Distinct(seen) => seen.len().into(),
            Count::Sum { count: 0, .. } | Count::Average { count: 0, .. } => Value::Null,
            Count::Sum { kind: Kind::Whole, whole, .. } => {
                i64::try_from(whole).map_or_else(|_| Value::Text(whole.to_string()), Value::Whole)
            }
            Count::Sum { real, .. } => real.into(),
            Count::Average { sum, count } => (sum / count as f64).into(),
            Count::Extreme { found, .. } => found.map_or(Value::Null, |(_, value)| value),
        }
    }
}

/// Whether it asks for groups, or for rows as they are.
pub fn is_asked(select: &Select) -> bool {
    let counts = |item: &Item| matches!(item, Item::Measure { .. });
    select.is_distinct || !select.group.is_empty() || select.having.is_some() || select.items.iter().any(counts)
}

/// Where each thing that is asked of groups comes from: places of columns of the table.
pub struct Grouping {
    keys: Vec<usize>,
    /// With the place of what is counted.
    measures: Vec<(Measure, Option<usize>)>,
    /// Of the groups: the keys, then the measures.
    columns: Vec<Column>,
}

impl Grouping {
    /// Names in HAVING and ORDER BY become those of the groups' columns.
    pub fn of(known: &[Column], select: &mut Select) -> Result<Grouping, Fault> {
        let mut grouping = Grouping { keys: Vec::new(), measures: Vec::new(), columns: Vec::new() };
        let named = Named::of(&select.items);
        let mut keys: Vec<String> = select.group.iter().map(|name| named.meant(name)).collect();
        if select.is_distinct && keys.is_empty() {
            keys = select.items.iter().filter_map(shown_of).map(str::to_string).collect();
        }
        for key in keys {
            let at = place(known, &key)?;
            if !grouping.keys.contains(&at) {
                grouping.keys.push(at);
                grouping.columns.push(known[at].clone());
            }
        }
        for item in &select.items {
            grouping.item(known, item)?;
        }
        let mut fault = None;
        let mut asked = |name: &mut String| {
            *name = named.meant(name);
            if let Some(measure) = Measure::named(name) {
                *name = measure.to_string();
                fault = grouping.measure(known, measure).err().or(fault.take());
            }
        };
        select.tail.order.iter_mut().for_each(|Order { by, .. }| asked(by));
        if let Some(having) = &mut select.having {
            having.each_operand(&mut |operand| {
                if let Operand::Column(name) = operand {
                    asked(name);
                }
            });
        }
        fault.map_or(Ok(grouping), Err)
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What is shown of a group must be the same for all of its rows.
    fn item(&mut self, known: &[Column], item: &Item) -> Result<(), Fault> {
        match item {
            Item::Column { name, .. } if self.keys.contains(&place(known, name)?) => Ok(()),
            Item::Column { name, .. } => Err(Fault::not_grouped(&known[place(known, name)?].name)),
            Item::Measure { measure, .. } => self.measure(known, measure.clone()),
            Item::All | Item::Literal { .. } | Item::Variable { .. } | Item::Function { .. } => Ok(()),
        }
    }

    fn measure(&mut self, known: &[Column], measure: Measure) -> Result<(), Fault> {
        let name = measure.to_string();
        if self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name)) {
            return Ok(());
        }
        let at = measure.column.as_deref().map(|column| place(known, column)).transpose()?;
        let kind = measure.kind(at.map(|at| &known[at]));
        self.columns.push(Column { name: name.into(), kind });
        self.measures.push((measure, at));
        Ok(())
    }

    /// The groups of those rows that fit.
    pub async fn groups(self, mut fitting: Fitting<'_>) -> Coming<'static> {
        let kinds: Vec<Kind> = self.columns[self.keys.len()..].iter().map(|column| column.kind).collect();
        let new = || self.measures.iter().zip(&kinds).map(|((measure, _), kind)| Count::of(measure, *kind)).collect();
        let mut groups: BTreeMap<Vec<Key>, (Row, Vec<Count>)> = BTreeMap::new();
        if self.keys.is_empty() {
            // All rows are one group, also where there are none.
            groups.insert(Vec::new(), (Vec::new(), new()));
        }
        while let Some(cells) = fitting.next().await {
            let row: Row = self.keys.iter().map(|place| cells.cell(*place)).collect();
            let keys = row.iter().map(Key::of).collect();
            let (_, counts) = groups.entry(keys).or_insert_with(|| (row, new()));
            for ((_, at), count) in self.measures.iter().zip(counts) {
                match at.map(|at| cells.cell(at)) {
                    Some(Value::Null) => {}
                    Some(value) => count.add(value),
                    None => count.add(Value::Null),
                }
            }
        }
        let rows = groups.into_values().map(|(mut row, counts)| {
            row.extend(counts.into_iter().map(Count::value));
            row
        });
        Table::whole(self.columns, rows).rows
    }
}

/// What names and numbers in GROUP BY, HAVING and ORDER BY stand for.
struct Named {
    /// As it is shown, and what it is.
    items: Vec<(String, String)>,
}

impl Named {
    fn of(items: &[Item]) -> Named {
        let one = |item: &Item| match item {
            Item::Column { name, alias } => (alias.clone().unwrap_or_else(|| name.clone()), name.clone()),
            Item::Measure { measure, alias } => (alias.clone(), measure.to_string()),
            Item::All | Item::Variable { .. } | Item::Function { .. } | Item::Literal { .. } => Default::default(),
        };
        Named { items: items.iter().map(one).collect() }
    }

    fn meant(&self, name: &str) -> String {
        let by_number = || name.parse::<usize>().ok().and_then(|number| self.items.get(number.checked_sub(1)?));
        let item = self.items.iter().find(|(shown, _)| shown.eq_ignore_ascii_case(name)).or_else(by_number);
        item.map_or_else(|| name.to_string(), |(_, meant)| meant.clone())
    }
}

/// The column that an item shows.
fn shown_of(item: &Item) -> Option<&str> {
    match item {
        Item::Column { name, .. } => Some(name),
        Item::All | Item::Measure { .. } | Item::Literal { .. } | Item::Variable { .. } | Item::Function { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{Rows, row};
    use super::super::stmt::Stmt;
    use super::super::{select, tests::one};
    use super::*;

    fn replicas() -> Table<'static> {
        let rows = vec![
            row![1u64, "OK", 10u64, 0.5],
            row![2u64, "ok", 30u64, 1.0],
            row![1u64, "DEAD", Value::Null, 0.25],
            row![3u64, "OK", 20u64, Value::Null],
        ];
        Table::of(&["#BE_ID", "STATUS", "#SIZE", "%SHARE"], rows)
    }

    async fn asked(sql: &str) -> Result<Rows, Fault> {
        let Stmt::Select(asked) = one(&format!("SELECT {sql}"))? else { panic!("{sql}") };
        let mut rows = Rows::default();
        select::answer(replicas(), asked, &mut rows).await.map(|()| rows)
    }

    /// Groups, and what is counted of them, as MySQL has it.
    #[actix_rt::test]
    async fn groups() {
        for (sql, expected) in [
            ("COUNT(*) FROM r", "4"),
            ("count(1) AS n, COUNT(SIZE), count(distinct BE_ID) FROM r", "4,3,3"),
            ("STATUS, COUNT(*) FROM r GROUP BY STATUS ORDER BY COUNT(*) DESC", "OK,3 DEAD,1"),
            ("r.STATUS s, COUNT(*) n FROM d.r AS r GROUP BY s ORDER BY n", "DEAD,1 OK,3"),
            ("COUNT(*), STATUS FROM r GROUP BY 2 ORDER BY 1 DESC LIMIT 1", "3,OK"),
            ("SUM(SIZE), MIN(SIZE), MAX(STATUS), AVG(SIZE), SUM(SHARE) FROM r", "60,10,OK,20,1.75"),
            ("BE_ID FROM r GROUP BY BE_ID HAVING COUNT(*) > 1", "1"),
            ("BE_ID, MAX(SIZE) AS most FROM r GROUP BY BE_ID HAVING most >= 20 AND BE_ID != 3", "2,30"),
            ("COUNT(*) FROM r WHERE BE_ID = 9", "0"),
            ("SUM(SIZE), AVG(SIZE), MIN(SIZE), COUNT(SIZE) FROM r WHERE BE_ID = 9", ",,,0"),
            ("STATUS, COUNT(*) FROM r WHERE BE_ID = 9 GROUP BY STATUS", ""),
            ("COUNT(*) FROM r GROUP BY STATUS ORDER BY STATUS", "1 3"),
            ("DISTINCT STATUS FROM r ORDER BY 1", "DEAD OK"),
            ("DISTINCT * FROM r WHERE BE_ID = 3", "3,OK,20,"),
            ("STATUS, SIZE, COUNT(*) FROM r GROUP BY STATUS, SIZE ORDER BY SIZE LIMIT 2", "DEAD,,1 OK,10,1"),
            ("'x', COUNT(*) FROM r GROUP BY BE_ID LIMIT 1 OFFSET 1", "x,1"),
            ("SIZE AS s, 'x', BE_ID FROM r WHERE SIZE > 0 ORDER BY 2, s DESC LIMIT 1", "30,x,2"),
        ] {
            let rows = asked(sql).await.unwrap_or_else(|fault| panic!("{sql}: {fault}")).rows;
            let shown = |row: &Row| row.iter().map(|value| value.shown().into_owned()).collect::<Vec<_>>().join(",");
            assert_eq!(rows.iter().map(shown).collect::<Vec<_>>().join(" "), expected, "{sql}");
        }
        for (sql, code, text) in [
            ("STATUS, COUNT(*) FROM r", 1055, "'STATUS' is neither in GROUP BY"),
            ("* FROM r GROUP BY STATUS", 1055, "'BE_ID'"),
            ("STATUS, COUNT(*) FROM r GROUP BY STATSU", 1054, "did you mean STATUS?"),
            ("SUM(SIZ) FROM r", 1054, "did you mean SIZE?"),
            ("STATUS FROM r GROUP BY STATUS HAVING MIN(NOTHING) > 1", 1054, "'NOTHING'"),
            ("SUM(*) FROM r", 1064, "SUM, MIN, MAX or AVG of a column"),
            ("MEDIAN(SIZE) FROM r", 1064, "found '(' at line 1, column 14"),
            ("SUM(SIZE + 1) FROM r", 1064, "found '('"),
            (&format!("{}* FROM r", "*,".repeat(1_024)), 1117, "4096 at most"),
            (&format!("DISTINCT {}* FROM r", "*,".repeat(1_024)), 1117, "4096 at most"),
        ] {
            let fault = asked(sql).await.expect_err(sql);
            assert!(fault.code == code && fault.text.contains(text), "{sql}: {fault:?}");
        }
        let wide = asked(&format!("{}* FROM r LIMIT 1", "*,".repeat(1_023))).await.unwrap();
        assert_eq!((wide.columns.len(), wide.rows[0].len()), (4_096, 4_096));
    }

    /// What is counted is announced as what it is, under its alias or as it was written.
    #[actix_rt::test]
    async fn announced() {
        let rows =
            asked("count( * ), sum(SIZE), AVG(SIZE), MAX(STATUS) AS m, SUM(SHARE), MIN(SIZE) FROM r").await.unwrap();
        let columns = ["#count(*)", "#sum(SIZE)", "%AVG(SIZE)", "m", "%SUM(SHARE)", "#MIN(SIZE)"].map(Column::of);
        assert_eq!(rows.columns, columns);
        for (name, of) in AGGREGATES {
            let measure = Measure::named(&format!("{name}(a)")).unwrap();
            assert_eq!((measure.of, measure.to_string()), (of, format!("{name}(a)")));
        }
    }
}
