//! What is understood, what is not and where it ends; and that no text makes the parser panic.

use super::rows::{Rows, Table, Value, row};
use super::stmt::{Admin, Ddl, Part, Show, Stmt};
use super::tail::Tail;
use super::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

mod acts;

pub(super) fn one(sql: &str) -> Result<Stmt, Fault> {
    let mut statements = split(sql)?;
    assert_eq!(statements.len(), 1, "{sql}");
    parse::statement(statements.remove(0).tokens)
}

fn part(db: Option<&str>, name: &str, partitions: &[&str]) -> Part {
    let table = TableName { db: db.map(String::from), name: name.into() };
    Part { table, partitions: partitions.iter().map(|name| name.to_string()).collect() }
}

/// Any case, comments, quoted names, partitions with and without quotes.
#[test]
fn as_people_write() {
    let expected = Stmt::Admin(Admin::Repair(part(Some("d"), "t", &["p1", "p2"])));
    for sql in [
        "ADMIN REPAIR TABLE d.t PARTITION (p1, p2)",
        "admin Repair table `d`.`t` partitions('p1', \"p2\");",
        "-- first\nadmin /* second */ repair table d.t partition (p1,p2) # third",
    ] {
        assert_eq!(one(sql).unwrap(), expected, "{sql}");
    }
    let Stmt::Show(Show::Proc(path), tail) = one("show proc \"/dbs/1\" limit 3, 4").unwrap() else { panic!() };
    assert_eq!((path.as_str(), tail.offset, tail.limit), ("/dbs/1", 3, Some(4)));
    let Stmt::Ddl(Ddl::CreateTable(create)) =
        one("create table t (k int, v varchar(8)) distributed by range(k) buckets 4").unwrap()
    else {
        panic!()
    };
    assert_eq!((create.kept.columns.as_str(), create.buckets), ("k int, v varchar (8)", Some(4)));
    assert_eq!(split("select 1; ; show tables;").unwrap().len(), 2);
    for (sql, same) in [
        ("ADMIN SHOW REPLICA STATUS FROM t PARTITION p0", "ADMIN SHOW REPLICA STATUS FROM t PARTITION (p0)"),
        ("SHOW COLUMNS IN t IN d LIKE 'k%'", "SHOW FIELDS FROM d.t LIKE 'k%'"),
        ("SHOW KEYS FROM t FROM d", "SHOW INDEX IN `d`.`t`"),
        ("SHOW EXTENDED FULL TABLES IN d", "show full tables from d"),
        ("SELECT DATABASE() FROM DUAL", "SELECT DATABASE()"),
        ("SELECT v.*, v.a FROM d.v AS v", "SELECT *, a FROM d.v"),
        ("SELECT -1, TRUE, NULL", "SELECT -1, 1 AS `TRUE`, null AS `NULL`"),
        (
            "CREATE TABLE t (k INT) DISTRIBUTED BY HASH(k) BUCKETS 2 ORDER BY (k) PROPERTIES ('tag' = 'a')",
            "create table t (k INT) distributed by hash (k) buckets 2 order by(k) properties('tag' = 'a')",
        ),
        ("ALTER TABLE t MODIFY PARTITION (*) SET ('tag' = 'a')", "ALTER TABLE t SET ('tag' = 'a')"),
        ("ALTER TABLE t MODIFY PARTITION (p1, p2) SET ('a' = 'b')", "ALTER TABLE t PARTITION (p1, p2) SET ('a' = 'b')"),
        ("ALTER SYSTEM CANCEL DECOMMISSION BACKEND 'h:1'", "CANCEL DECOMMISSION BACKEND \"h:1\""),
    ] {
        assert_eq!(one(sql).unwrap(), one(same).unwrap(), "{sql}");
    }
}

/// A fault says what was expected, what was found, and where.
#[test]
fn faults_have_a_place() {
    for (sql, what, place) in [
        ("ADMIN SHOW REPLICA STATUS FORM t", "expected FROM, found 'FORM'", "line 1, column 27"),
        ("SHOW\nPROC statistic", "a path in quotes", "line 2, column 6"),
        ("SHOW TABLET", "found the end", "line 1"),
        ("SHOW BACKENDS WHERE", "expected an expression, found the end", "at line 1, column 20"),
        ("SHOW BACKENDS WHERE Alive =", "expected an expression, found the end", "at line 1, column 28"),
        ("SHOW BACKENDS WHERE (Alive = 'true'", "expected ), found the end", "at line 1, column 36"),
        ("SHOW BACKENDS\nWHERE Alive LIKE", "expected an expression, found the end", "at line 2, column 17"),
        ("SHOW BACKENDS WHERE )", "found )", "at line 1, column 21"),
        ("SHOW BACKENDS ORDER", "expected BY, found the end", "column 20"),
        ("SELECT a FROM d.t GROUP a", "expected BY, found 'a'", "column 25"),
        ("ALTER", "expected TABLE or SYSTEM, found the end", "column 6"),
        ("CREATE", "expected DATABASE or TABLE, found the end", "column 7"),
        ("create external table d.t (k int)", "expected DATABASE or TABLE, found 'external'", "column 8"),
        ("DROP VIEW v", "expected DATABASE or TABLE, found 'VIEW'", "column 6"),
        ("SHOW BACKENDS LIMIT x", "a number of rows, found 'x'", "column 21"),
        ("SHOW BACKENDS WHERE a + 1", "a condition compares", "'a + 1'"),
        ("SHOW BACKENDS 7", "the end of the statement, found '7'", "column 15"),
        ("DROP TABLE d.t.u", "found '.'", "column 15"),
        ("SHOW PROC '/a", "Unterminated", "column 11"),
        (
            "CREATE TABLE t PARTITION BY RANGE (a) ()",
            "the names of the partitions, as (p0, p1), found 'RANGE'",
            "column 29",
        ),
        ("INSERT INTO t VALUES (1)", "tables hold files", "stele load"),
        ("PREPARE s FROM 'SHOW TABLES'", "drivers prepare", "type the statement itself"),
    ] {
        let fault = one(sql).expect_err(sql);
        assert!(fault.text.contains(what) && fault.text.contains(place), "{sql}: {fault}");
        assert_eq!(fault.code, 1064, "{sql}");
    }
    assert_eq!(split(" ; -- nothing").err(), Some(Fault::empty()));
}

/// What would change nothing is not said to be done, and who can do it is named.
#[test]
fn not_by_sql() {
    for sql in [
        "SET PASSWORD = PASSWORD('x')",
        "SET PASSWORD FOR 'ana'@'%' = 'x'",
        "SET DEFAULT ROLE ALL TO ana",
        "ALTER USER ana IDENTIFIED BY 'x'",
        "CREATE USER 'ana' IDENTIFIED BY 'x'",
        "DROP ROLE operator",
        "GRANT operator TO ana",
    ] {
        let fault = one(sql).expect_err(sql);
        assert!(fault.text.contains("stele user passwd"), "{sql}: {fault}");
    }
    for sql in ["SET GLOBAL wait_timeout = 5", "SET @@GLOBAL.wait_timeout = 5", "SET names utf8, PERSIST a = 1"] {
        assert_eq!(one(sql).expect_err(sql).code, 1238, "{sql}");
    }
    for sql in ["SET NAMES utf8mb4", "SET autocommit = 0", "SET SESSION wait_timeout = 5", "SET @@session.a = 1"] {
        assert!(matches!(one(sql), Ok(Stmt::Set { .. })), "{sql}");
    }
}

async fn poured(tail: &Tail, table: Table<'_>) -> Result<Rows, Fault> {
    let (mut rows, picks) = (Rows::default(), Picks::all(&table.columns));
    tail.pour(table, picks, &mut rows).await.map(|()| rows)
}

async fn filtered(condition: &str) -> Result<Vec<String>, Fault> {
    let Stmt::Show(_, tail) = one(&format!("SHOW BACKENDS {condition}"))? else { panic!("{condition}") };
    let rows = vec![row![1u64, "b", 10u64], row![2u64, "A", 9u64], row![3u64, "c", Value::Null]];
    let rows = poured(&tail, Table::of(&["Id", "Name", "Size"], rows)).await?;
    Ok(rows.rows.iter().map(|row| row[0].shown().into_owned()).collect())
}

/// Conditions mean what they mean in MySQL.
#[actix_rt::test]
async fn conditions() {
    for (condition, ids) in [
        ("WHERE Name = 'a'", "2"),
        ("WHERE name != 'a' AND id < 3", "1"),
        ("WHERE NOT (id = 1 OR id = 2)", "3"),
        ("WHERE size > 9", "1"),
        ("WHERE size IS NULL", "3"),
        ("WHERE size IS NOT NULL ORDER BY size", "2 1"),
        ("WHERE id IN (1, '3') ORDER BY id DESC", "3 1"),
        ("WHERE id BETWEEN 2 AND 3", "2 3"),
        ("WHERE name LIKE '%B%' OR name NOT LIKE '_'", "1"),
        ("WHERE -1 < id AND 2 >= id", "1 2"),
        ("ORDER BY Name LIMIT 1 OFFSET 1", "1"),
        ("ORDER BY 3 DESC, 1", "1 2 3"),
        ("WHERE id = NULL", ""),
    ] {
        assert_eq!(filtered(condition).await.unwrap().join(" "), ids, "{condition}");
    }
    assert_eq!(filtered("WHERE nothing = 1").await.unwrap_err().code, 1054);
}

/// Neither depth nor length of a condition costs a stack.
#[test]
fn deep_and_long() {
    let deep = format!("SHOW BACKENDS WHERE {}a = 1{}", "(".repeat(5_000), ")".repeat(5_000));
    let long = format!("SHOW BACKENDS WHERE a = 1{}", " AND a = 1".repeat(100_000));
    let wide = format!("SHOW BACKENDS WHERE {}a", "NOT ".repeat(4_000));
    for sql in [deep, long, wide] {
        assert!(one(&sql).is_err());
    }
    for by in ["AND", "OR"] {
        assert!(one(&format!("SHOW BACKENDS WHERE a = 1{}", format!(" {by} a = 1").repeat(200))).is_ok());
    }
    let nested = |depth: usize| format!("SHOW BACKENDS WHERE {}a = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(one(&nested(10)).is_ok());
    assert!(one(&nested(300)).unwrap_err().text.contains("nested too deeply"));
    let columns = format!("CREATE TABLE t {}x{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(one(&columns).is_ok());
}

const WORDS: &[&str] = &[
    "SHOW",
    "PROC",
    "ADMIN",
    "REPLICA",
    "STATUS",
    "FROM",
    "TABLE",
    "PARTITION",
    "(",
    ")",
    ",",
    ";",
    ".",
    "=",
    "!=",
    "'x'",
    "\"y\"",
    "`z`",
    "1",
    "-1",
    "3.5",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "LIKE",
    "IN",
    "ORDER BY",
    "LIMIT",
    "SELECT",
    "*",
    "COUNT(*)",
    "@@a",
    "AS",
    "ALTER",
    "SYSTEM",
    "BACKEND",
    "CREATE",
    "DROP",
    "SET",
    "PROPERTIES",
    "BUCKETS",
    "HELP",
    "/* c */",
    "--\n",
    "NULL",
    "BETWEEN",
    "IS",
    "CASE",
    "t",
    "d.t",
    "TABLET",
    "CHECK",
    "ADD",
    "USE",
];

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), cases: 400, ..Config::default() })]

    /// No text makes it panic, nor does it take a fault for a statement without a reason.
    #[test]
    fn any_text(text in ".{0,120}") {
        for raw in split(&text).unwrap_or_default() {
            let _ = parse::statement(raw.tokens);
        }
    }

    /// Nor do words in any order.
    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(WORDS), 0..24)) {
        for raw in split(&words.join(" ")).unwrap_or_default() {
            if let Ok(stmt) = parse::statement(raw.tokens) {
                prop_assert!(stmt != Stmt::Nothing || words.is_empty());
            }
        }
    }
}

/// Without a tail everything is shown, in its order.
#[actix_rt::test]
async fn no_tail() {
    let rows = poured(&Tail::default(), Table::of(&["A"], vec![row!["x"], row!["w"]])).await.unwrap();
    assert_eq!(rows.rows, [row!["x"], row!["w"]]);
}
