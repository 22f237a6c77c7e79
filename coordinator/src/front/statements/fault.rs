//! Why a statement came to nothing, with the number and the SQL state that MySQL's own clients look at.
//!
//! Out of a [`Reason`]: its sentence, its code in brackets, and its next step, so that no door says less than another.

use super::info;
use super::names::INFORMATION_SCHEMA;
use crate::front::ask::Sorry;
use crate::front::near;
use stele_common::near::{did_you_mean, nearest};
use stele_coordinator_rules::{Reason, World};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    pub code: u16,
    /// Five characters.
    pub state: &'static str,
    pub text: String,
    /// It names something that is not there.
    pub is_absent: bool,
}

fn fault(code: u16, state: &'static str, text: impl Into<String>) -> Fault {
    Fault { code, state, text: text.into(), is_absent: matches!(code, 1049 | 1146) }
}

impl Fault {
    /// Not understood; the text says where.
    pub fn syntax(text: impl Into<String>) -> Fault {
        fault(1064, "42000", text)
    }

    pub fn empty() -> Fault {
        fault(1065, "42000", "the query was empty")
    }

    pub fn no_database() -> Fault {
        fault(1046, "3D000", "no database selected: say `USE db`, or name the table as db.table")
    }

    pub fn unknown_database(world: &World, name: &str) -> Fault {
        let next = near::database(world, name).unwrap_or_else(|| "see SHOW DATABASES".into());
        fault(1049, "42000", format!("unknown database '{name}': {next}"))
    }

    pub fn database_exists(name: &str) -> Fault {
        fault(1007, "HY000", format!("database '{name}' exists already"))
    }

    pub fn read_only(db: &str) -> Fault {
        fault(1044, "42000", format!("database '{db}' is read-only: its views are made from what is known"))
    }

    pub fn ending() -> Fault {
        Sorry::Ending.into()
    }

    pub fn unknown_table(world: &World, db: &str, name: &str) -> Fault {
        let full = format!("{db}.{name}");
        let view = match db == INFORMATION_SCHEMA {
            true => nearest(name, info::names()),
            false => info::names().find(|view| view.eq_ignore_ascii_case(name)),
        };
        let view = view.map(|view| did_you_mean(format_args!("{INFORMATION_SCHEMA}.{view}")));
        let next = view.or_else(|| near::table(world, &full));
        let next = next.unwrap_or_else(|| format!("see SHOW TABLES FROM `{db}`"));
        fault(1146, "42S02", format!("table '{db}.{name}' does not exist: {next}"))
    }

    /// What is asked is about tables of files.
    pub fn view(name: &str) -> Fault {
        let full = format!("{INFORMATION_SCHEMA}.{}", name.to_lowercase());
        fault(1347, "HY000", format!("'{full}' is a read-only view: say DESCRIBE {full}, or SELECT from it"))
    }

    pub fn unknown_column<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Fault {
        let meant = nearest(name, known.clone()).map(|near| did_you_mean(near) + " ").unwrap_or_default();
        let known: Vec<&str> = known.collect();
        fault(1054, "42S22", format!("unknown column '{name}': {meant}there are {}", known.join(", ")))
    }

    /// A column stands beside groups, and each group may have many of its values.
    pub fn not_grouped(name: &str) -> Fault {
        fault(1055, "42000", format!("column '{name}' is neither in GROUP BY nor inside COUNT, SUM, MIN, MAX or AVG"))
    }

    /// What is grouped by is not among what is shown, and that is to be distinct.
    pub fn hidden_group(name: &str) -> Fault {
        fault(
            3065,
            "HY000",
            format!("DISTINCT with GROUP BY: add '{name}' to what is selected, or leave one of both out"),
        )
    }

    pub fn too_many_groups(most: usize) -> Fault {
        let mib = most >> 20;
        fault(1038, "HY001", format!("the groups take more than {mib} MiB: add a WHERE, or group by fewer columns"))
    }

    pub fn too_many_columns(most: usize) -> Fault {
        fault(1117, "HY000", format!("too many columns: an answer has {most} at most, name those that you need"))
    }

    pub fn unknown_variable(name: &str) -> Fault {
        fault(1193, "HY000", format!("unknown system variable '{name}'"))
    }

    pub fn global_variable() -> Fault {
        let text =
            "variables are set for a session only: leave GLOBAL out; ADMIN SET FRONTEND CONFIG sets what holds for all";
        fault(1238, "HY000", text)
    }

    /// There is nothing of this name or number.
    pub fn not_found(text: impl Into<String>) -> Fault {
        Fault { is_absent: true, ..fault(1105, "HY000", text) }
    }

    /// Sound, but not as things are.
    pub fn refused(text: impl Into<String>) -> Fault {
        fault(1105, "HY000", text)
    }

    /// The role does not allow it.
    pub fn not_allowed(text: impl Into<String>) -> Fault {
        fault(1227, "42000", text)
    }

    pub fn access_denied(user: &str, host: &str, has_password: bool) -> Fault {
        let used = if has_password { "YES" } else { "NO" };
        fault(1045, "28000", format!("Access denied for user '{user}'@'{host}' (using password: {used})"))
    }

    pub fn tls_required() -> Fault {
        fault(3159, "HY000", "connections must be encrypted here: connect with TLS (--ssl)")
    }

    pub fn too_many_connections() -> Fault {
        fault(1040, "08004", "too many connections")
    }

    pub fn unknown_command(command: u8) -> Fault {
        fault(1047, "08S01", format!("unknown command 0x{command:02x}: statements, ping and init-db are spoken here"))
    }

    /// A text to be prepared holds more than one.
    pub fn one_at_a_time(statements: usize) -> Fault {
        Fault::syntax(format!("one statement is prepared at a time, these are {statements}"))
    }

    pub fn not_prepared(id: u32) -> Fault {
        fault(1243, "HY000", format!("there is no prepared statement {id}: it was closed, or the session was reset"))
    }

    pub fn too_many_prepared(most: usize) -> Fault {
        fault(1461, "42000", format!("a session has {most} prepared statements at most: close some"))
    }

    pub fn too_much_prepared(most: usize) -> Fault {
        let mib = most >> 20;
        fault(1105, "HY000", format!("a session's prepared statements take more than {mib} MiB: close some"))
    }

    pub fn too_long_values(most: usize) -> Fault {
        let mib = most >> 20;
        fault(
            1105,
            "HY000",
            format!("a session's long values take more than {mib} MiB: execute or reset their statements"),
        )
    }

    /// What came with an execution is not what the statement waits for.
    pub fn wrong_values(text: impl Into<String>) -> Fault {
        fault(1210, "HY000", text)
    }

    pub fn oversize(bytes: usize) -> Fault {
        fault(1153, "08S01", format!("a packet of {bytes} bytes is more than is taken here"))
    }

    pub fn too_large(bytes: usize) -> Fault {
        let mib = bytes >> 20;
        fault(
            1153,
            "08S01",
            format!("the answer is larger than {mib} MiB: say LIMIT, or ask the MySQL port for all of it"),
        )
    }

    pub fn out_of_order() -> Fault {
        fault(1156, "08S01", "got packets out of order")
    }

    pub fn no_compression() -> Fault {
        fault(1043, "08S01", "bad handshake: compression is not offered here; connect without it")
    }

    pub fn bad_handshake() -> Fault {
        fault(1043, "08S01", "bad handshake")
    }

    pub fn not_utf8() -> Fault {
        fault(1300, "HY000", "the statement is not UTF-8")
    }
}

impl Fault {
    fn refusal(reason: &Reason, meant: Option<String>) -> Fault {
        let next = meant.or(reason.next()).map(|next| format!("; {next}")).unwrap_or_default();
        let text = format!("{} [{}]{next}", reason.detail(), reason.code());
        let (code, state) = if matches!(reason, Reason::TableExists { .. }) {
            (1050, "42S01")
        } else if matches!(reason, Reason::NoSuchTable { .. }) {
            (1146, "42S02")
        } else {
            (1105, "HY000")
        };
        Fault { is_absent: reason.code().starts_with("no_such_"), ..fault(code, state, text) }
    }
}

impl From<Sorry> for Fault {
    fn from(sorry: Sorry) -> Fault {
        match sorry {
            Sorry::Refused { reason, meant } => Fault::refusal(&reason, meant),
            Sorry::Ending => fault(1053, "08S01", "this coordinator is ending: ask again when it is back"),
        }
    }
}
