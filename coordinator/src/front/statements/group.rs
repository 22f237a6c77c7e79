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

/// What one statement's groups may hold, roughly: every tablet of a large house may be a group of its own.
const HELD_MAX: usize = 128 << 20;
/// A group's lists and its place among the others.
const GROUP_BYTES: usize = 64;

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
            (Aggregate::Sum, Some(Kind::Whole | Kind::Decimal)) => Kind::Decimal,
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
    Distinct { of: Kind, seen: BTreeSet<Key> },
    Sum { kind: Kind, whole: i128, real: f64, count: u64 },
    Average { sum: f64, count: u64 },
    Extreme { is_least: bool, found: Option<(Key, Value)> },
}

impl Count {
    /// With the kind of its result, and of what is counted.
    fn of(measure: &Measure, kind: Kind, of: Kind) -> Count {
        match measure.of {
            Aggregate::Count if measure.is_distinct => Count::Distinct { of, seen: BTreeSet::new() },
            Aggregate::Count => Count::Rows(0),
            Aggregate::Sum => Count::Sum { kind, whole: 0, real: 0.0, count: 0 },
            Aggregate::Avg => Count::Average { sum: 0.0, count: 0 },
            Aggregate::Min | Aggregate::Max => Count::Extreme { is_least: measure.of == Aggregate::Min, found: None },
        }
    }

    /// One more value, which is not NULL. How many bytes more are held for it.
    fn add(&mut self, value: Value) -> usize {
        match self {
            Count::Rows(count) => *count += 1,
            Count::Distinct { of, seen } => {
                if seen.insert(same(*of, &value)) {
                    return value.bytes() + size_of::<Key>();
                }
            }
            Count::Sum { whole, real, count, .. } => {
                // What is no number adds nothing, as in MySQL.
                *whole += exact(&value);
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
        0
    }

    fn value(self) -> Value {
        match self {
            Count::Rows(count) => count.into(),
            Count::Distinct { seen, .. } => seen.len().into(),
            Count::Sum { count: 0, .. } | Count::Average { count: 0, .. } => Value::Null,
            Count::Sum { kind: Kind::Decimal, whole, .. } => {
                i64::try_from(whole).map_or_else(|_| Value::Text(whole.to_string()), Value::Whole)
            }
            Count::Sum { real, .. } => real.into(),
            Count::Average { sum, count } => (sum / count as f64).into(),
            Count::Extreme { found, .. } => found.map_or(Value::Null, |(_, value)| value),
        }
    }
}

/// What values are one group by: texts as texts, so that `1` and `01` are two, all others as they compare.
fn same(kind: Kind, value: &Value) -> Key {
    if kind == Kind::Text && *value != Value::Null {
        return Key::Text(value.shown().to_lowercase());
    }
    Key::of(value)
}

/// Whole numbers beyond 64 bits come as texts.
fn exact(value: &Value) -> i128 {
    let written = if let Value::Text(text) = value { text.trim().parse().ok() } else { None };
    written.unwrap_or_else(|| i128::from(value.whole().unwrap_or(0)))
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
    /// There is a group where there are no rows: all of them are one.
    is_whole: bool,
}

impl Grouping {
    /// Names in HAVING and ORDER BY become those of the groups' columns.
    pub fn of(known: &[Column], select: &mut Select) -> Result<Grouping, Fault> {
        let counts = select.items.iter().any(|item| matches!(item, Item::Measure { .. }));
        let is_bare = select.is_distinct && select.group.is_empty() && !counts;
        let mut grouping = Grouping { keys: Vec::new(), measures: Vec::new(), columns: Vec::new(), is_whole: false };
        let named = Named::of(&select.items);
        let mut keys: Vec<String> = select.group.iter().map(|name| named.meant(name)).collect();
        if is_bare {
            keys = select.items.iter().filter_map(shown_of).map(str::to_string).collect();
        }
        for key in keys {
            let at = place(known, &key)?;
            if !grouping.keys.contains(&at) {
                grouping.keys.push(at);
                grouping.columns.push(known[at].clone());
            }
        }
        grouping.is_whole = grouping.keys.is_empty() && !is_bare;
        for item in &select.items {
            grouping.item(known, item)?;
        }
        if select.is_distinct {
            grouping.are_all_shown(&select.items)?;
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

    /// Groups that differ in nothing that is shown would have to be made one: DISTINCT makes them so once only.
    fn are_all_shown(&self, items: &[Item]) -> Result<(), Fault> {
        let is_shown =
            |column: &Column| items.iter().filter_map(shown_of).any(|shown| shown.eq_ignore_ascii_case(&column.name));
        let hidden = self.columns[..self.keys.len()].iter().find(|column| !is_shown(column));
        hidden.map_or(Ok(()), |column| Err(Fault::hidden_group(&column.name)))
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

    /// The groups of those rows that fit, of the table with these columns.
    pub async fn groups(self, known: &[Column], mut fitting: Fitting<'_>) -> Result<Coming<'static>, Fault> {
        let results = &self.columns[self.keys.len()..];
        let new = || -> Vec<Count> {
            let one = |((measure, at), column): (&(Measure, Option<usize>), &Column)| {
                Count::of(measure, column.kind, at.map_or(Kind::Whole, |at| known[at].kind))
            };
            self.measures.iter().zip(results).map(one).collect()
        };
        let mut groups: BTreeMap<Vec<Key>, (Row, Vec<Count>)> = BTreeMap::new();
        if self.is_whole {
            groups.insert(Vec::new(), (Vec::new(), new()));
        }
        let mut held = 0;
        while let Some(cells) = fitting.next().await {
            let row: Row = self.keys.iter().map(|place| cells.cell(*place)).collect();
            let keys = self.keys.iter().zip(&row).map(|(place, value)| same(known[*place].kind, value)).collect();
            let (_, counts) = groups.entry(keys).or_insert_with(|| {
                let each = size_of::<Key>() * self.keys.len() + size_of::<Count>() * self.measures.len();
                held += GROUP_BYTES + each + 2 * row.iter().map(Value::bytes).sum::<usize>();
                (row, new())
            });
            for ((_, at), count) in self.measures.iter().zip(counts) {
                held += match at.map(|at| cells.cell(at)) {
                    Some(Value::Null) => 0,
                    Some(value) => count.add(value),
                    None => count.add(Value::Null),
                };
            }
            if held > HELD_MAX {
                return Err(Fault::too_many_groups(HELD_MAX));
            }
        }
        let rows = groups.into_values().map(|(mut row, counts)| {
            row.extend(counts.into_iter().map(Count::value));
            row
        });
        Ok(Table::whole(self.columns, rows).rows)
    }
}

/// What names and numbers in GROUP BY, HAVING and ORDER BY stand for.
struct Named {
    /// As it is shown, and what it is; none of what is the same in all groups.
    items: Vec<Option<(String, String)>>,
}

impl Named {
    fn of(items: &[Item]) -> Named {
        let one = |item: &Item| match item {
            Item::Column { name, alias } => Some((alias.clone().unwrap_or_else(|| name.clone()), name.clone())),
            Item::Measure { measure, alias } => Some((alias.clone(), measure.to_string())),
            Item::All | Item::Variable { .. } | Item::Function { .. } | Item::Literal { .. } => None,
        };
        Named { items: items.iter().map(one).collect() }
    }

    fn meant(&self, name: &str) -> String {
        let by_number = || self.items.get(name.parse::<usize>().ok()?.checked_sub(1)?)?.as_ref();
        let item = self.items.iter().flatten().find(|(shown, _)| shown.eq_ignore_ascii_case(name)).or_else(by_number);
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
            ("'x', COUNT(*) FROM r GROUP BY STATUS ORDER BY 1, 2 DESC", "x,3 x,1"),
            ("'x', STATUS FROM r GROUP BY STATUS ORDER BY 2", "x,DEAD x,OK"),
            ("DISTINCT *, 'x' FROM r WHERE SIZE > 10 ORDER BY 3", "3,OK,20,,x 2,ok,30,1,x"),
            ("DISTINCT 'x' FROM r", "x"),
            ("DISTINCT 'x' FROM r WHERE BE_ID = 9", ""),
            ("DISTINCT COUNT(*) FROM r WHERE BE_ID = 9", "0"),
            ("DISTINCT STATUS, COUNT(*) FROM r GROUP BY STATUS ORDER BY 2", "DEAD,1 OK,3"),
            ("SIZE AS s, 'x', BE_ID FROM r WHERE SIZE > 0 ORDER BY 2, s DESC LIMIT 1", "30,x,2"),
        ] {
            let rows = asked(sql).await.unwrap_or_else(|fault| panic!("{sql}: {fault}")).rows;
            let shown = |row: &Row| row.iter().map(|value| value.shown().into_owned()).collect::<Vec<_>>().join(",");
            assert_eq!(rows.iter().map(shown).collect::<Vec<_>>().join(" "), expected, "{sql}");
        }
        for (sql, code, text) in [
            ("STATUS, COUNT(*) FROM r", 1055, "'STATUS' is neither in GROUP BY"),
            ("* FROM r GROUP BY STATUS", 1055, "'BE_ID'"),
            ("DISTINCT STATUS FROM r GROUP BY STATUS, BE_ID", 3065, "add 'BE_ID' to what is selected"),
            ("DISTINCT STATUS, COUNT(*) FROM r", 1055, "'STATUS' is neither"),
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
        let mut columns = ["#count(*)", "sum(SIZE)", "%AVG(SIZE)", "m", "%SUM(SHARE)", "#MIN(SIZE)"].map(Column::of);
        columns[1].kind = Kind::Decimal;
        assert_eq!(rows.columns, columns);
        for (name, of) in AGGREGATES {
            let measure = Measure::named(&format!("{name}(a)")).unwrap();
            assert_eq!((measure.of, measure.to_string()), (of, format!("{name}(a)")));
        }
    }

    async fn of(table: Table<'_>, sql: &str) -> Result<Vec<Row>, Fault> {
        let Stmt::Select(asked) = one(&format!("SELECT {sql}"))? else { panic!("{sql}") };
        let mut rows = Rows::default();
        select::answer(table, asked, &mut rows).await.map(|()| rows.rows)
    }

    /// Texts that read as the same number are different texts; a sum is exact beyond what 64 bits hold.
    #[actix_rt::test]
    async fn as_they_are_written() {
        let table = || {
            let rows = ["1", "01", "1e3", "1000", "a", "A"].map(|name| row![name, u64::MAX]);
            Table::of(&["NAME", "#SIZE"], rows.to_vec())
        };
        assert_eq!(of(table(), "NAME FROM r GROUP BY NAME").await.unwrap().len(), 5);
        let counted = of(table(), "COUNT(DISTINCT NAME), SUM(SIZE) FROM r").await.unwrap();
        assert_eq!(counted, [row![5u64, (u128::from(u64::MAX) * 6).to_string()]]);
    }

    /// Groups of too many rows that all differ are refused, with what to do, and few groups of as many rows are not.
    #[actix_rt::test]
    async fn bounded() {
        let long = "x".repeat(1 << 16);
        let table = || Table::new(&["NAME", "#SIZE"], (0..2_100u64).map(|id| row![format!("{long}{id}"), id % 7]));
        for sql in ["DISTINCT NAME FROM r", "COUNT(DISTINCT NAME) FROM r"] {
            let fault = of(table(), sql).await.unwrap_err();
            assert!(fault.code == 1038 && fault.text.contains("128 MiB: add a WHERE"), "{fault}");
        }
        assert_eq!(of(table(), "SIZE FROM r GROUP BY SIZE").await.unwrap().len(), 7);
    }
}
