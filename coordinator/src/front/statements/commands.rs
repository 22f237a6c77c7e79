//! How statements that change something are written: ADMIN, ALTER SYSTEM, DDL, and HELP.
//!
//! In: words. Out: what is wanted; nothing is looked up, and nothing is done here.

use super::fault::Fault;
use super::kept::Kept;
use super::parse::{self, part};
use super::reader::Reader;
use super::stmt::{Admin, CreateTable, Ddl, NewPartition, Pairs, System};
use sqlparser::tokenizer::Token;

/// Behind ADMIN.
pub fn admin(reader: &mut Reader) -> Result<Admin, Fault> {
    if reader.takes("REPAIR TABLE") {
        return part(reader).map(Admin::Repair);
    }
    if reader.takes("CANCEL REPAIR TABLE") {
        return part(reader).map(Admin::CancelRepair);
    }
    if reader.takes("SET REPLICA STATUS") {
        return needed_properties(reader).map(Admin::SetReplica);
    }
    if reader.takes("CHECK TABLETS") || reader.takes("CHECK TABLET") {
        let tablets = reader.list(|reader| reader.number("the id of a tablet"))?;
        return Ok(Admin::CheckTablets { tablets, properties: properties(reader)? });
    }
    if reader.takes("SET FRONTEND CONFIG") {
        return reader.list(pair).map(Admin::SetConfig);
    }
    reader.expected(
        "REPAIR TABLE, CANCEL REPAIR TABLE, SET REPLICA STATUS, CHECK TABLET, SET FRONTEND CONFIG, \
         SHOW REPLICA STATUS, SHOW REPLICA DISTRIBUTION or SHOW FRONTEND CONFIG",
    )
}

/// ALTER SYSTEM ..., CANCEL DECOMMISSION ...
pub fn system(reader: &mut Reader) -> Result<System, Fault> {
    if reader.takes("CANCEL") {
        reader.needs("DECOMMISSION")?;
        backend(reader)?;
        return addresses(reader).map(System::CancelDecommission);
    }
    reader.needs("ALTER SYSTEM")?;
    if reader.sees("CANCEL") {
        return system(reader);
    }
    if reader.takes("ADD") {
        backend(reader)?;
        return addresses(reader).map(System::Add);
    }
    if reader.takes("DECOMMISSION") {
        backend(reader)?;
        return addresses(reader).map(System::Decommission);
    }
    if reader.takes("DROP") || reader.takes("DROPP") {
        backend(reader)?;
        let backends = addresses(reader)?;
        return Ok(System::Drop { backends, force: reader.takes("FORCE") });
    }
    reader.expected("ADD, DECOMMISSION or DROP BACKEND")
}

fn backend(reader: &mut Reader) -> Result<(), Fault> {
    if reader.takes("BACKENDS") { Ok(()) } else { reader.needs("BACKEND") }
}

fn addresses(reader: &mut Reader) -> Result<Vec<String>, Fault> {
    let mut addresses = vec![reader.text("a backend in quotes, as \"host:port\"")?];
    while reader.takes_token(&Token::Comma) {
        addresses.push(reader.text("a backend in quotes, as \"host:port\"")?);
    }
    Ok(addresses)
}

/// CREATE, DROP and ALTER of databases, tables and partitions.
pub fn ddl(reader: &mut Reader) -> Result<Ddl, Fault> {
    if reader.takes("CREATE DATABASE") || reader.takes("CREATE SCHEMA") {
        let if_not_exists = reader.takes("IF NOT EXISTS");
        return Ok(Ddl::CreateDatabase { name: reader.name("the name of a database")?, if_not_exists });
    }
    if reader.takes("DROP DATABASE") || reader.takes("DROP SCHEMA") {
        let if_exists = reader.takes("IF EXISTS");
        let name = reader.name("the name of a database")?;
        return Ok(Ddl::DropDatabase { name, if_exists, force: reader.takes("FORCE") });
    }
    if reader.takes("CREATE TABLE") {
        return create_table(reader).map(Ddl::CreateTable);
    }
    if reader.takes("DROP TABLE") {
        let if_exists = reader.takes("IF EXISTS");
        let table = reader.table_name()?;
        reader.takes("FORCE");
        return Ok(Ddl::DropTable { table, if_exists });
    }
    if reader.takes("ALTER TABLE") {
        return alter_table(reader);
    }
    let is_alter = reader.takes("ALTER");
    if !is_alter && !reader.takes("CREATE") {
        reader.needs("DROP")?;
    }
    if reader.sees("USER") || reader.sees("ROLE") {
        return Err(not_by_sql());
    }
    reader.expected(if is_alter { "TABLE or SYSTEM" } else { "DATABASE or TABLE" })
}

/// Of users, their passwords and their roles: a file keeps them.
pub fn not_by_sql() -> Fault {
    Fault::refused(
        "users, passwords and roles are kept in a file, and nothing of them is changed here: say `stele user passwd NAME`, \
         `stele user add NAME --role viewer|operator|admin` or `stele user remove NAME`, with --file FILE",
    )
}

fn create_table(reader: &mut Reader) -> Result<CreateTable, Fault> {
    let if_not_exists = reader.takes("IF NOT EXISTS");
    let table = reader.table_name()?;
    let mut kept = Kept::head(reader)?;
    let mut partitions = Vec::new();
    if reader.takes("PARTITION BY") {
        reader.takes("LIST");
        if !reader.sees_token(&Token::LParen) {
            return reader.expected("the names of the partitions, as (p0, p1)");
        }
        partitions = reader.list(|reader| {
            reader.takes("PARTITION");
            reader.scalar("the name of a partition")
        })?;
    }
    let mut buckets = None;
    if reader.takes("DISTRIBUTED BY") {
        kept.distribution(reader)?;
        if reader.takes("BUCKETS") {
            let number = reader.number("a number of buckets")?;
            buckets = Some(u32::try_from(number).unwrap_or(u32::MAX));
        }
    }
    kept.order(reader)?;
    let properties = properties(reader)?;
    Ok(CreateTable { table, if_not_exists, kept, partitions, buckets, properties })
}

fn alter_table(reader: &mut Reader) -> Result<Ddl, Fault> {
    let table = reader.table_name()?;
    if reader.takes("ADD PARTITION") {
        let if_not_exists = reader.takes("IF NOT EXISTS");
        let name = reader.scalar("the name of a partition")?;
        let named = reader.takes("PROPERTIES") || reader.sees_token(&Token::LParen);
        let properties = if named { reader.list(pair)? } else { Vec::new() };
        return Ok(Ddl::AddPartition { table, partition: NewPartition { name, if_not_exists, properties } });
    }
    if reader.takes("DROP PARTITION") {
        let if_exists = reader.takes("IF EXISTS");
        let partition = reader.scalar("the name of a partition")?;
        reader.takes("FORCE");
        return Ok(Ddl::DropPartition { table, partition, if_exists });
    }
    reader.takes("MODIFY");
    let mut partitions = Vec::new();
    if reader.takes("PARTITIONS") || reader.takes("PARTITION") {
        partitions = if reader.takes_all() { Vec::new() } else { parse::partitions(reader)? };
    }
    if !reader.takes("SET") {
        return reader.expected("SET, PARTITION, ADD PARTITION or DROP PARTITION");
    }
    Ok(Ddl::Set { table, partitions, properties: reader.list(pair)? })
}

fn needed_properties(reader: &mut Reader) -> Result<Pairs, Fault> {
    reader.needs("PROPERTIES")?;
    reader.list(pair)
}

fn properties(reader: &mut Reader) -> Result<Pairs, Fault> {
    if reader.takes("PROPERTIES") { reader.list(pair) } else { Ok(Vec::new()) }
}

/// `"name" = "value"`; quotes may be left out where a word or a number is meant.
fn pair(reader: &mut Reader) -> Result<(String, String), Fault> {
    let name = reader.scalar("the name of a property")?;
    reader.needs_token(&Token::Eq)?;
    Ok((name, reader.scalar("the value of a property")?))
}

/// Behind HELP: a text, or words.
pub fn topic(reader: &mut Reader) -> Result<String, Fault> {
    if let Ok(text) = reader.text("") {
        return Ok(text);
    }
    let mut words = Vec::new();
    while !reader.sees_end() {
        words.push(reader.scalar("the name of a statement")?);
    }
    Ok(words.join(" "))
}
