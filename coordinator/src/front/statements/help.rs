//! HELP: a topic for each statement. `docs/SQL.md` shows the same ones; a test holds the two together.

use super::compare::Pattern;
use super::rows::{Table, Value, row};

/// Name, what it does, an example that works.
pub const TOPICS: &[(&str, &str, &str)] = &[
    (
        "ADMIN SHOW REPLICA STATUS",
        "A row for each replica of a table, and one for each that is missing. Status is OK; DEAD: its backend is not \
         alive; BAD: its bytes are damaged; VERSION_ERROR: it lacks a version; MISSING: there is no such replica yet. \
         NORMAL in a filter means OK. Reason says why it does not count.\n\
         ADMIN SHOW REPLICA STATUS FROM [db.]table [PARTITION (p, ...)] [WHERE ...] [ORDER BY ...] [LIMIT n]",
        "ADMIN SHOW REPLICA STATUS FROM d.t PARTITION (p0) WHERE STATUS != \"OK\";",
    ),
    (
        "ADMIN SHOW REPLICA DISTRIBUTION",
        "How many replicas of a table each backend holds; a '>' for each time that it holds the average.\n\
         ADMIN SHOW REPLICA DISTRIBUTION FROM [db.]table [PARTITION (p, ...)]",
        "ADMIN SHOW REPLICA DISTRIBUTION FROM d.t;",
    ),
    (
        "ADMIN REPAIR TABLE",
        "The table's sick tablets are repaired before all others, for four hours.\n\
         ADMIN REPAIR TABLE [db.]table [PARTITION (p, ...)]",
        "ADMIN REPAIR TABLE d.t PARTITION (p0);",
    ),
    (
        "ADMIN CANCEL REPAIR TABLE",
        "Takes ADMIN REPAIR TABLE back; of one partition of an urgent table, so that its others stay urgent.\n\
         ADMIN CANCEL REPAIR TABLE [db.]table [PARTITION (p, ...)]",
        "ADMIN CANCEL REPAIR TABLE d.t;",
    ),
    (
        "ADMIN SET REPLICA STATUS",
        "Says that one replica is bad, so that another copy takes its place; or that it is ok, which counts once all \
         its bytes have been read and found sound.\n\
         ADMIN SET REPLICA STATUS PROPERTIES(\"tablet_id\" = \"n\", \"backend_id\" = \"n\", \"status\" = \"bad\" | \"ok\")",
        "ADMIN SET REPLICA STATUS PROPERTIES(\"tablet_id\" = \"10013\", \"backend_id\" = \"10001\", \"status\" = \"bad\");",
    ),
    (
        "ADMIN CHECK TABLET",
        "Every copy of these tablets is read through and held against its digests; what is found is repaired.\n\
         ADMIN CHECK TABLET (id, ...) [PROPERTIES(\"type\" = \"consistency\")]",
        "ADMIN CHECK TABLET (10013) PROPERTIES(\"type\" = \"consistency\");",
    ),
    (
        "ADMIN SHOW FRONTEND CONFIG",
        "All knobs with values, units and meaning; a pattern fits the originals' names too.\n\
         ADMIN SHOW FRONTEND CONFIG [LIKE 'pattern']",
        "ADMIN SHOW FRONTEND CONFIG LIKE '%slot%';",
    ),
    (
        "ADMIN SET FRONTEND CONFIG",
        "Sets knobs while the coordinator runs; they stay set. 'default' takes one back.\n\
         ADMIN SET FRONTEND CONFIG (\"name\" = \"value\", ...)",
        "ADMIN SET FRONTEND CONFIG (\"schedule_slot_num_per_path\" = \"4\");",
    ),
    (
        "SHOW PROC",
        "One screen of what is known: '/statistic[/<db_id>]', '/dbs[/<db>[/<table>[/partitions[/<p>[/<index>\
         [/<tablet>]]]]]]', '/backends[/<id>]', '/cluster_balance[/pending_tablets | /running_tablets | \
         /history_tablets | /cluster_load_stat[/<medium>[/<id>]] | /working_slots | /sched_stat | /priority_repair]', \
         '/colocation_group[/<id>]'.\nSHOW PROC 'path' [WHERE ...] [ORDER BY ...] [LIMIT n]",
        "SHOW PROC '/statistic';",
    ),
    (
        "SHOW TABLET",
        "All replicas of a table with size, files and the address of each manifest; or, by id, where one tablet \
         belongs.\nSHOW TABLET FROM [db.]table [PARTITION (p, ...)] [WHERE ...]\nSHOW TABLET id",
        "SHOW TABLET FROM d.t ORDER BY DataSize DESC LIMIT 10;",
    ),
    ("SHOW BACKENDS", "All nodes: addresses, liveness, room, drains.\nSHOW BACKENDS [WHERE ...]", "SHOW BACKENDS;"),
    ("SHOW DATABASES", "All databases.\nSHOW DATABASES [LIKE 'pattern']", "SHOW DATABASES;"),
    ("SHOW TABLES", "Tables of a database.\nSHOW [FULL] TABLES [FROM db] [LIKE 'pattern']", "SHOW TABLES FROM d;"),
    (
        "SHOW COLUMNS",
        "Columns of a view, or those that a table's CREATE TABLE named.\n\
         SHOW [FULL] COLUMNS FROM [db.]table [LIKE 'pattern']\nDESC [db.]table",
        "DESC d.t;",
    ),
    ("SHOW PARTITIONS", "Partitions of a table.\nSHOW PARTITIONS FROM [db.]table", "SHOW PARTITIONS FROM d.t;"),
    (
        "SHOW CREATE TABLE",
        "A statement that would make the table.\nSHOW CREATE TABLE [db.]table",
        "SHOW CREATE TABLE d.t;",
    ),
    ("USE", "Takes a database into use, so that tables need not be named with it.\nUSE db", "USE d;"),
    (
        "SELECT",
        "Rows of a read-only table of information_schema: tablets, replicas, disks, nodes, tasks, decisions.\n\
         SELECT [DISTINCT] * | column, ... | COUNT(*), SUM(column), MIN, MAX, AVG FROM information_schema.table\n\
         [WHERE ...] [GROUP BY column, ... [HAVING ...]] [ORDER BY ...] [LIMIT n]",
        "SELECT BE_ID, STATUS, COUNT(*) FROM information_schema.replicas GROUP BY BE_ID, STATUS ORDER BY COUNT(*) DESC;",
    ),
    (
        "ALTER SYSTEM ADD BACKEND",
        "Lets the agent of a removed backend join again, as a new one: by the address that was dropped, or by its host. \
         Others join by themselves, nothing is written down for them.\n\
         ALTER SYSTEM ADD BACKEND \"host:port\", ...",
        "ALTER SYSTEM ADD BACKEND \"host-3:7410\";",
    ),
    (
        "ALTER SYSTEM DECOMMISSION BACKEND",
        "Everything on the backend is copied elsewhere and proven there; refused when it finds no place.\n\
         ALTER SYSTEM DECOMMISSION BACKEND \"host:port\", ...",
        "ALTER SYSTEM DECOMMISSION BACKEND \"127.0.0.1:7410\";",
    ),
    (
        "CANCEL DECOMMISSION BACKEND",
        "The backend stays.\nCANCEL DECOMMISSION BACKEND \"host:port\", ...",
        "CANCEL DECOMMISSION BACKEND \"127.0.0.1:7410\";",
    ),
    (
        "ALTER SYSTEM DROP BACKEND",
        "The backend leaves for good. Refused while replicas stand on it; FORCE lets tablets be thinner by one, but \
         never takes a last complete copy.\nALTER SYSTEM DROP BACKEND \"host:port\", ... [FORCE]",
        "ALTER SYSTEM DROP BACKEND \"127.0.0.1:7410\";",
    ),
    ("CREATE DATABASE", "A new database.\nCREATE DATABASE [IF NOT EXISTS] db", "CREATE DATABASE d;"),
    (
        "DROP DATABASE",
        "The database goes; with FORCE its tables first, else one with tables stays.\n\
         DROP DATABASE [IF EXISTS] db [FORCE]",
        "DROP DATABASE IF EXISTS d FORCE;",
    ),
    (
        "CREATE TABLE",
        "A new table in a database that is there. Columns are kept as a comment. Properties: replication_num, storage_medium, \
         colocate_with, tag.\nCREATE TABLE [IF NOT EXISTS] [db.]table [(columns)] [DUPLICATE KEY (k)] [COMMENT 'text'] \
         [PARTITION BY (p, ...)] [DISTRIBUTED BY HASH | RANGE [(...)] BUCKETS n] [ORDER BY (...)] [PROPERTIES (\"name\" = \"value\", ...)]",
        "CREATE TABLE d.t (k INT) PARTITION BY (p0, p1) DISTRIBUTED BY HASH(k) BUCKETS 16 \
         PROPERTIES (\"replication_num\" = \"3\");",
    ),
    (
        "ALTER TABLE",
        "Another number of copies, medium, group or tag; partitions that come and go.\n\
         ALTER TABLE [db.]table [[MODIFY] PARTITION p | (p, ...) | (*)] SET (\"name\" = \"value\", ...)\n\
         ALTER TABLE [db.]table ADD PARTITION [IF NOT EXISTS] p [(\"name\" = \"value\", ...)]\n\
         ALTER TABLE [db.]table DROP PARTITION [IF EXISTS] p",
        "ALTER TABLE d.t PARTITION p0 SET (\"replication_num\" = \"2\");",
    ),
    (
        "ALTER TABLE SET",
        "Another number of copies or medium, of a table or of some of its partitions; another group or tag of a table. \
         (*) are all partitions. Defaults for future partitions are refused: none is kept.\n\
         ALTER TABLE [db.]table [[MODIFY] PARTITION p | (p, ...) | (*)] SET (\"name\" = \"value\", ...)",
        "ALTER TABLE d.t MODIFY PARTITION (p0, p1) SET (\"replication_num\" = \"2\");",
    ),
    (
        "ALTER TABLE ADD PARTITION",
        "A new partition, as the first one is unless its properties say otherwise.\n\
         ALTER TABLE [db.]table ADD PARTITION [IF NOT EXISTS] p [(\"name\" = \"value\", ...)]",
        "ALTER TABLE d.t ADD PARTITION p2;",
    ),
    (
        "ALTER TABLE DROP PARTITION",
        "A partition goes, with all its files; the last one stays.\n\
         ALTER TABLE [db.]table DROP PARTITION [IF EXISTS] p",
        "ALTER TABLE d.t DROP PARTITION p2;",
    ),
    ("DROP TABLE", "The table goes, with all its files.\nDROP TABLE [IF EXISTS] [db.]table", "DROP TABLE d.t;"),
    ("HELP", "What a statement does.\nHELP 'statement'", "HELP 'ADMIN SHOW REPLICA STATUS';"),
];

/// One topic in full; several by name.
pub fn show<'a>(asked: &str) -> Table<'a> {
    let asked = asked.trim().trim_end_matches(';').trim();
    let is_all = asked.is_empty() || asked.eq_ignore_ascii_case("contents");
    let pattern = Pattern::of(asked);
    let about = Pattern::of(&format!("%{asked}%"));
    let exact: Vec<_> = TOPICS.iter().filter(|(name, ..)| pattern.fits(name)).collect();
    let found: Vec<_> = match exact.as_slice() {
        [_] => exact,
        _ => TOPICS.iter().filter(|(name, ..)| is_all || about.fits(name)).collect(),
    };
    // A whole statement: its beginning is a topic.
    let begins = |name: &str| asked.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let longest =
        TOPICS.iter().filter(|(name, ..)| found.is_empty() && begins(name)).max_by_key(|(name, ..)| name.len());
    let found = longest.map_or(found, |topic| vec![topic]);
    match found.as_slice() {
        [(name, description, example)] => {
            // Clients print them one right after the other.
            let row: Vec<Value> = row![*name, format!("{description}\n"), format!("{example}\n")];
            Table::of(&["name", "description", "example"], vec![row])
        }
        some => Table::of(&["name", "is_it_category"], some.iter().map(|(name, ..)| row![*name, "N"]).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::statements::{parse, split};

    /// Every example is a statement, and stands in the documentation.
    #[test]
    fn examples_are_statements() {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SQL.md");
        let docs = std::fs::read_to_string(place).unwrap();
        for (name, _, example) in TOPICS {
            for raw in split(example).unwrap() {
                parse::statement(raw.tokens).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            }
            assert!(docs.contains(example), "docs/SQL.md does not show {name}: {example}");
        }
    }

    /// Each statement that the port is made for has a topic of its own, whether it is asked for by name or typed whole.
    #[test]
    fn a_topic_for_each_statement() {
        for statement in [
            "SHOW PROC '/statistic'",
            "SHOW PROC '/dbs/1/2/partitions'",
            "SHOW PROC '/cluster_balance/pending_tablets'",
            "ADMIN SHOW REPLICA STATUS",
            "ADMIN SHOW REPLICA DISTRIBUTION",
            "SHOW TABLET",
            "SHOW TABLET FROM t",
            "SHOW TABLET 10013",
            "ADMIN REPAIR TABLE",
            "ADMIN CANCEL REPAIR TABLE",
            "ADMIN SET REPLICA STATUS",
            "ADMIN CHECK TABLET",
            "ADMIN SET FRONTEND CONFIG",
            "ADMIN SHOW FRONTEND CONFIG",
            "ALTER SYSTEM ADD BACKEND",
            "ALTER SYSTEM DROP BACKEND",
            "ALTER SYSTEM DECOMMISSION BACKEND",
            "CANCEL DECOMMISSION BACKEND",
            "SHOW BACKENDS",
            "SHOW DATABASES",
            "SHOW TABLES",
            "SHOW PARTITIONS FROM t",
            "SHOW CREATE TABLE t",
            "SHOW COLUMNS",
            "USE",
            "CREATE DATABASE",
            "DROP DATABASE",
            "create table",
            "ALTER TABLE",
            "ALTER TABLE SET",
            "ALTER TABLE ADD PARTITION",
            "ALTER TABLE DROP PARTITION",
            "DROP TABLE",
            "HELP",
            "SELECT COUNT(*) FROM information_schema.tablets",
        ] {
            let told = show(statement);
            assert_eq!(told.columns.len(), 3, "{statement}");
            let name = told.rows.map(|row| row.cell(0).shown().to_lowercase()).next().unwrap_or_default();
            assert!(statement.to_lowercase().starts_with(&name), "{statement}: {name}");
        }
    }

    /// One topic is told in full, several by name, none as nothing.
    #[test]
    fn topics() {
        let names = |asked: &str| show(asked).rows.map(|row| row.cell(0).shown().into_owned()).collect::<Vec<_>>();
        assert_eq!(names("admin show replica status"), ["ADMIN SHOW REPLICA STATUS"]);
        assert_eq!(show("show tablet").columns.len(), 3);
        assert_eq!(names("decommission").len(), 2);
        assert_eq!(names("contents").len(), TOPICS.len());
        assert!(names("no such thing").is_empty());
    }
}
