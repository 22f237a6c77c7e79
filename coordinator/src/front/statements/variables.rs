//! What clients ask before a person has typed anything: variables, warnings, engines. Small tables; nothing of the
//! cluster is in them.

use super::Session;
use super::compare::Pattern;
use super::rows::{Table, Value, row};
use super::stmt::Fixed;
use crate::front::sql_version;

const VARIABLES: &[(&str, &str)] = &[
    ("auto_increment_increment", "1"),
    ("autocommit", "1"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_database", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("collation_connection", "utf8mb4_general_ci"),
    ("collation_database", "utf8mb4_general_ci"),
    ("collation_server", "utf8mb4_general_ci"),
    ("have_query_cache", "NO"),
    ("init_connect", ""),
    ("interactive_timeout", "28800"),
    ("license", "Apache-2.0"),
    ("lower_case_table_names", "0"),
    ("max_allowed_packet", "16777216"),
    ("net_buffer_length", "16384"),
    ("net_read_timeout", "30"),
    ("net_write_timeout", "60"),
    ("performance_schema", "0"),
    ("port", "9030"),
    ("query_cache_size", "0"),
    ("query_cache_type", "OFF"),
    ("read_only", "0"),
    ("sql_mode", ""),
    ("sql_safe_updates", "0"),
    ("sql_select_limit", "18446744073709551615"),
    ("system_time_zone", "UTC"),
    ("time_zone", "+00:00"),
    ("transaction_isolation", "READ-COMMITTED"),
    ("transaction_read_only", "0"),
    ("tx_isolation", "READ-COMMITTED"),
    ("tx_read_only", "0"),
    ("version_comment", "Stele"),
    ("version_compile_os", std::env::consts::OS),
];

/// A variable's value, in this session.
pub fn value(session: &Session, name: &str) -> Option<Value> {
    match name {
        "wait_timeout" => Some(Value::from(session.wait_timeout_s)),
        "version" => Some(Value::text(sql_version())),
        name => VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| match value.parse::<i64>() {
            Ok(number) => Value::Whole(number),
            Err(_) => Value::text(*value),
        }),
    }
}

pub fn list<'a>(session: &Session, like: Option<&str>) -> Table<'a> {
    let names = VARIABLES.iter().map(|(name, _)| *name).chain(["version", "wait_timeout"]);
    let pattern = like.map(Pattern::of);
    let mut names: Vec<&str> = names.filter(|name| pattern.as_ref().is_none_or(|p| p.fits(name))).collect();
    names.sort_unstable();
    let rows = names.into_iter().filter_map(|name| Some(row![name, value(session, name)?]));
    Table::of(&["Variable_name", "Value"], rows.collect())
}

pub fn fixed<'a>(fixed: Fixed) -> Table<'a> {
    match fixed {
        Fixed::Warnings => Table::of(&["Level", "Code", "Message"], vec![]),
        Fixed::Status => Table::of(&["Variable_name", "Value"], vec![]),
        Fixed::Engines => Table::of(
            &["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"],
            vec![row!["Stele", "DEFAULT", "Replicated directories of files", "NO", "NO", "NO"]],
        ),
        Fixed::Collation => Table::of(
            &["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"],
            vec![row!["utf8mb4_general_ci", "utf8mb4", 45u64, "Yes", "Yes", 1u64]],
        ),
        Fixed::CharacterSet => Table::of(
            &["Charset", "Description", "Default collation", "Maxlen"],
            vec![row!["utf8mb4", "UTF-8 Unicode", "utf8mb4_general_ci", 4u64]],
        ),
        Fixed::Plugins => Table::of(&["Name", "Status", "Type", "Library", "License"], vec![]),
        Fixed::Triggers => {
            Table::of(&["Trigger", "Event", "Table", "Statement", "Timing", "Created", "sql_mode", "Definer"], vec![])
        }
        Fixed::Events => Table::of(&["Db", "Name", "Definer", "Time zone", "Type", "Status"], vec![]),
        Fixed::Routines => {
            Table::of(&["Db", "Name", "Type", "Definer", "Modified", "Created", "Security_type", "Comment"], vec![])
        }
        Fixed::Privileges => Table::of(&["Privilege", "Context", "Comment"], vec![]),
    }
}

/// One's own connection; those of others are nobody's business.
pub fn process_list<'a>(session: &Session) -> Table<'a> {
    let db = session.db.clone().map_or(Value::Null, Value::Text);
    let (id, user, host) = (session.connection, session.user.as_str(), session.host.as_str());
    let row = row![id, user, host, db, "Query", 0u64, "OK", "SHOW PROCESSLIST"];
    Table::of(&["Id", "User", "Host", "db", "Command", "Time", "State", "Info"], vec![row])
}
