//! From tokens to a statement. In: one statement's tokens. Out: a [`Stmt`], or a fault with the place where it ends to
//! be understood. Words of any case; what stands in quotes is a name or a text. No names are looked up here.

use super::commands;
use super::fault::Fault;
use super::group::Measure;
use super::reader::Reader;
use super::rows::Value;
use super::stmt::{Fixed, Function, Item, Part, Select, Show, Stmt, TableName};
use super::tail::Tail;
use sqlparser::tokenizer::{Token, TokenWithSpan};

pub fn statement(tokens: Vec<TokenWithSpan>) -> Result<Stmt, Fault> {
    let reader = &mut Reader::new(tokens);
    if reader.takes("SHOW") {
        let show = show(reader)?;
        return Ok(Stmt::Show(show, reader.tail()?));
    }
    if reader.takes("DESCRIBE") || reader.takes("DESC") {
        let show = Show::Columns { table: reader.table_name()?, full: false, like: None };
        return Ok(Stmt::Show(show, reader.tail()?));
    }
    if reader.takes("ADMIN SHOW") {
        let show = admin_show(reader)?;
        return Ok(Stmt::Show(show, reader.tail()?));
    }
    let stmt = if reader.takes("ADMIN") {
        Stmt::Admin(commands::admin(reader)?)
    } else if reader.sees("ALTER SYSTEM") || reader.sees("CANCEL") {
        Stmt::System(commands::system(reader)?)
    } else if ["ALTER", "CREATE", "DROP"].iter().any(|word| reader.sees(word)) {
        Stmt::Ddl(commands::ddl(reader)?)
    } else if reader.takes("HELP") {
        Stmt::Help(commands::topic(reader)?)
    } else if reader.takes("SELECT") {
        Stmt::Select(select(reader)?)
    } else if reader.takes("USE") {
        Stmt::Use(reader.name("the name of a database")?)
    } else if reader.takes("SET") {
        set(reader)?
    } else if ["BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK"].iter().any(|words| reader.takes(words)) {
        reader.rest();
        Stmt::Nothing
    } else if ["INSERT", "REPLACE", "UPDATE", "DELETE", "TRUNCATE", "LOAD"].iter().any(|word| reader.sees(word)) {
        return Err(Fault::syntax(
            "tables hold files, not rows: `stele load db.table DIR` brings them in, `stele rm` takes them out",
        ));
    } else if ["GRANT", "REVOKE"].iter().any(|word| reader.sees(word)) {
        return Err(commands::not_by_sql());
    } else if ["PREPARE", "EXECUTE", "DEALLOCATE"].iter().any(|word| reader.sees(word)) {
        return Err(Fault::syntax(
            "PREPARE, EXECUTE and DEALLOCATE are not typed here: drivers prepare statements by the protocol, people type \
             the statement itself",
        ));
    } else {
        return reader.expected("a statement: SHOW, ADMIN, ALTER, CREATE, DROP, CANCEL, SELECT, USE, SET, HELP");
    };
    reader.end()?;
    Ok(stmt)
}

fn show(reader: &mut Reader) -> Result<Show, Fault> {
    if reader.takes("PROC") {
        return Ok(Show::Proc(reader.text("a path in quotes, as '/statistic'")?));
    }
    if reader.takes("TABLETS") || reader.takes("TABLET") {
        if reader.takes("FROM") {
            return part(reader).map(Show::TabletsOf);
        }
        return reader.number("FROM and a table, or the id of a tablet").map(Show::Tablet);
    }
    if reader.takes("CREATE TABLE") {
        return reader.table_name().map(Show::CreateTable);
    }
    if reader.takes("CREATE DATABASE") || reader.takes("CREATE SCHEMA") {
        reader.takes("IF NOT EXISTS");
        return reader.name("the name of a database").map(Show::CreateDatabase);
    }
    if reader.takes("PARTITIONS") {
        reader.needs("FROM")?;
        return reader.table_name().map(Show::Partitions);
    }
    if reader.takes("BACKENDS") {
        return Ok(Show::Backends);
    }
    if reader.takes("DATABASES") || reader.takes("SCHEMAS") {
        return Ok(Show::Databases { like: like(reader)? });
    }
    show_to_clients(reader)
}

/// What clients ask so that they can show a tree, or complete names.
fn show_to_clients(reader: &mut Reader) -> Result<Show, Fault> {
    reader.takes("EXTENDED");
    let full = reader.takes("FULL");
    if reader.takes("TABLES") {
        return Ok(Show::Tables { db: of_database(reader)?, full, like: like(reader)? });
    }
    if reader.takes("TABLE STATUS") {
        return Ok(Show::TableStatus { db: of_database(reader)?, like: like(reader)? });
    }
    if reader.takes("COLUMNS") || reader.takes("FIELDS") {
        return Ok(Show::Columns { table: of_table(reader)?, full, like: like(reader)? });
    }
    if ["INDEX", "INDEXES", "KEYS"].iter().any(|word| reader.takes(word)) {
        return of_table(reader).map(Show::Indexes);
    }
    for (words, fixed) in [
        ("TRIGGERS", Fixed::Triggers),
        ("EVENTS", Fixed::Events),
        ("PROCEDURE STATUS", Fixed::Routines),
        ("FUNCTION STATUS", Fixed::Routines),
    ] {
        if reader.takes(words) {
            of_database(reader)?;
            like(reader)?;
            return Ok(Show::Fixed(fixed));
        }
    }
    if reader.takes("PROCESSLIST") {
        return Ok(Show::ProcessList);
    }
    if full {
        return reader.expected("TABLES, COLUMNS or PROCESSLIST");
    }
    for scope in ["SESSION", "GLOBAL", "LOCAL"] {
        if reader.takes(scope) {
            break;
        }
    }
    if reader.takes("VARIABLES") {
        return Ok(Show::Variables { like: like(reader)? });
    }
    for (words, fixed) in [
        ("WARNINGS", Fixed::Warnings),
        ("ERRORS", Fixed::Warnings),
        ("STATUS", Fixed::Status),
        ("STORAGE ENGINES", Fixed::Engines),
        ("ENGINES", Fixed::Engines),
        ("COLLATION", Fixed::Collation),
        ("CHARACTER SET", Fixed::CharacterSet),
        ("CHARSET", Fixed::CharacterSet),
        ("PLUGINS", Fixed::Plugins),
        ("PRIVILEGES", Fixed::Privileges),
    ] {
        if reader.takes(words) {
            // Those that have a filter of their own have nothing that it could leave out.
            like(reader)?;
            return Ok(Show::Fixed(fixed));
        }
    }
    reader.expected("what to show: PROC '...', TABLET, PARTITIONS, BACKENDS, DATABASES, TABLES, VARIABLES")
}

/// `[FROM db]`
fn of_database(reader: &mut Reader) -> Result<Option<String>, Fault> {
    let is_named = reader.takes("FROM") || reader.takes("IN");
    if is_named { reader.name("the name of a database").map(Some) } else { Ok(None) }
}

/// `FROM t [FROM db]`
fn of_table(reader: &mut Reader) -> Result<TableName, Fault> {
    if !reader.takes("IN") {
        reader.needs("FROM")?;
    }
    let table = reader.table_name()?;
    Ok(TableName { db: of_database(reader)?.or(table.db), name: table.name })
}

fn like(reader: &mut Reader) -> Result<Option<String>, Fault> {
    if reader.takes("LIKE") { reader.text("a pattern in quotes").map(Some) } else { Ok(None) }
}

fn admin_show(reader: &mut Reader) -> Result<Show, Fault> {
    if reader.takes("REPLICA STATUS") {
        reader.needs("FROM")?;
        return part(reader).map(Show::ReplicaStatus);
    }
    if reader.takes("REPLICA DISTRIBUTION") {
        reader.needs("FROM")?;
        return part(reader).map(Show::ReplicaDistribution);
    }
    if reader.takes("FRONTEND CONFIG") || reader.takes("CONFIG") {
        return Ok(Show::FrontendConfig { like: like(reader)? });
    }
    reader.expected("REPLICA STATUS, REPLICA DISTRIBUTION or FRONTEND CONFIG")
}

/// `t [PARTITION (p0, p1)]`.
pub(super) fn part(reader: &mut Reader) -> Result<Part, Fault> {
    let table = reader.table_name()?;
    let named = reader.takes("PARTITIONS") || reader.takes("PARTITION");
    let partitions = if named { partitions(reader)? } else { Vec::new() };
    Ok(Part { table, partitions })
}

/// `p0` or `(p0, p1)`
pub(super) fn partitions(reader: &mut Reader) -> Result<Vec<String>, Fault> {
    let one = |reader: &mut Reader| reader.scalar("the name of a partition");
    if reader.sees_token(&Token::LParen) { reader.list(one) } else { Ok(vec![one(reader)?]) }
}

fn select(reader: &mut Reader) -> Result<Select, Fault> {
    let is_distinct = reader.takes("DISTINCT");
    let mut items = vec![item(reader)?];
    while reader.takes_token(&Token::Comma) {
        items.push(item(reader)?);
    }
    // From nowhere, as Oracle says it.
    let is_from = !reader.takes("FROM DUAL") && reader.takes("FROM");
    let from = if is_from { Some(reader.table_name()?) } else { None };
    if from.is_some() {
        // There is one table: whatever it is called, its columns are meant.
        alias(reader)?;
    }
    let filter = reader.condition_after("WHERE")?;
    let mut group = Vec::new();
    if reader.takes("GROUP") {
        reader.needs("BY")?;
        group.push(reader.ordered_by()?);
        while reader.takes_token(&Token::Comma) {
            group.push(reader.ordered_by()?);
        }
    }
    let having = reader.condition_after("HAVING")?;
    let tail = Tail { filter, ..reader.order_and_limit()? };
    Ok(Select { is_distinct, items, from, group, having, tail })
}

fn item(reader: &mut Reader) -> Result<Item, Fault> {
    if reader.takes_token(&Token::Mul) {
        return Ok(Item::All);
    }
    if let Ok(text) = reader.text("") {
        let alias = alias(reader)?.unwrap_or_else(|| text.clone());
        return Ok(Item::Literal { value: Value::Text(text), alias });
    }
    if reader.sees_token(&Token::Minus) || reader.sees_number() {
        let number = reader.scalar("a number")?;
        let value = number.parse().map(Value::Whole).or_else(|_| number.parse().map(Value::Real));
        let value = value.unwrap_or_else(|_| Value::text(&*number));
        return Ok(Item::Literal { value, alias: alias(reader)?.unwrap_or(number) });
    }
    let mut name = reader.name("a column, COUNT(*), @@variable or a function")?;
    if name.starts_with("@@") {
        while reader.takes_token(&Token::Period) {
            name = reader.name("the name of a variable")?;
        }
        let bare = name.trim_start_matches('@').to_lowercase();
        let alias = alias(reader)?.unwrap_or_else(|| format!("@@{bare}"));
        return Ok(Item::Variable { name: bare, alias });
    }
    if reader.sees_token(&Token::LParen) {
        return function(reader, &name);
    }
    let literal = match name.to_uppercase().as_str() {
        "NULL" => Some(Value::Null),
        "TRUE" => Some(Value::Whole(1)),
        "FALSE" => Some(Value::Whole(0)),
        _ => None,
    };
    if let Some(value) = literal {
        return Ok(Item::Literal { value, alias: alias(reader)?.unwrap_or(name) });
    }
    if name.eq_ignore_ascii_case("CURRENT_USER") {
        return Ok(Item::Function { of: Function::User, alias: alias(reader)?.unwrap_or(name) });
    }
    while reader.takes_token(&Token::Period) {
        if reader.takes_token(&Token::Mul) {
            return Ok(Item::All);
        }
        name = reader.name("a column")?;
    }
    Ok(Item::Column { name, alias: alias(reader)? })
}

const FUNCTIONS: &str = "COUNT(*), COUNT, SUM, MIN, MAX or AVG of a column, or one of the functions DATABASE USER VERSION \
                         CONNECTION_ID NOW";

fn function(reader: &mut Reader, name: &str) -> Result<Item, Fault> {
    let of = match name.to_uppercase().as_str() {
        "DATABASE" | "SCHEMA" => Function::Database,
        "USER" | "CURRENT_USER" | "SESSION_USER" => Function::User,
        "VERSION" => Function::Version,
        "CONNECTION_ID" => Function::ConnectionId,
        "NOW" | "CURRENT_TIMESTAMP" => Function::Now,
        _ => {
            let place = reader.expected::<Item>(FUNCTIONS);
            let written = format!("{name}({})", reader.parenthesised()?);
            return match Measure::named(&written) {
                Some(measure) => Ok(Item::Measure { measure, alias: alias(reader)?.unwrap_or(written) }),
                None => place,
            };
        }
    };
    reader.needs_token(&Token::LParen)?;
    reader.needs_token(&Token::RParen)?;
    let alias = alias(reader)?.unwrap_or_else(|| format!("{name}()"));
    Ok(Item::Function { of, alias })
}

fn alias(reader: &mut Reader) -> Result<Option<String>, Fault> {
    if reader.takes("AS") {
        return match reader.text("") {
            Ok(text) => Ok(Some(text)),
            Err(_) => reader.name("the name of a column").map(Some),
        };
    }
    let ends = ["FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT"].iter().any(|word| reader.sees(word));
    Ok(if ends { None } else { reader.name("").ok() })
}

/// Clients set much for their session that means nothing here; it is taken and forgotten. What others would feel is not.
fn set(reader: &mut Reader) -> Result<Stmt, Fault> {
    if ["PASSWORD", "DEFAULT ROLE", "ROLE", "PROPERTY"].iter().any(|words| reader.sees(words)) {
        return Err(commands::not_by_sql());
    }
    let mut wait_timeout_s = None;
    while !reader.sees_end() {
        if ["GLOBAL", "PERSIST", "@@GLOBAL", "@@PERSIST"].iter().any(|scope| reader.sees(scope)) {
            return Err(Fault::global_variable());
        }
        let named = reader.takes("WAIT_TIMEOUT") || reader.takes("@@WAIT_TIMEOUT");
        if named && reader.takes_token(&Token::Eq) {
            wait_timeout_s = Some(reader.number("seconds")?.clamp(1, 31_536_000));
        } else if !named {
            reader.skip();
        }
    }
    Ok(Stmt::Set { wait_timeout_s })
}
