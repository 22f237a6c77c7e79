//! How a table is named on the command line: `[DB.]TABLE[/PARTITION]`.

use crate::exit::Failure;
use crate::http::{Face, encode_path};
use std::str::FromStr;
use stele_common::api::{PartitionInfo, TableInfo};

/// The database of a table that is named without one.
pub const DEFAULT_DB: &str = "default";

/// A table, perhaps one partition of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub db: String,
    pub table: String,
    pub partition: Option<String>,
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<TableName, String> {
        let (name, partition) = match text.split_once('/') {
            Some((name, partition)) => (name, Some(partition.to_string())),
            None => (text, None),
        };
        let (db, table) = name.split_once('.').unwrap_or((DEFAULT_DB, name));
        let empty = db.is_empty() || table.is_empty() || partition.as_deref() == Some("");
        if empty || table.contains('.') || partition.as_deref().is_some_and(|name| name.contains('/')) {
            return Err("a table is named [DB.]TABLE[/PARTITION], such as d.t or d.t/p0".to_string());
        }
        Ok(TableName { db: db.to_string(), table: table.to_string(), partition })
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.db, self.table)?;
        self.partition.as_ref().map_or(Ok(()), |partition| write!(f, "/{partition}"))
    }
}

impl TableName {
    /// `db.table`, as queries name it.
    pub fn full(&self) -> String {
        format!("{}.{}", self.db, self.table)
    }

    /// Its place in the HTTP face.
    pub fn url(&self) -> String {
        format!("/v1/tables/{}/{}", encode_path(&self.db), encode_path(&self.table))
    }

    pub fn info(&self, face: &Face) -> Result<TableInfo, Failure> {
        face.get(&self.url(), &[])
    }

    /// The partition that is meant; a table with only one needs no name for it.
    pub fn one_partition<'a>(&self, info: &'a TableInfo) -> Result<&'a PartitionInfo, Failure> {
        let names = || info.partitions.iter().map(|partition| partition.name.as_str()).collect::<Vec<_>>().join(", ");
        match &self.partition {
            Some(name) => info.partitions.iter().find(|partition| partition.name == *name).ok_or_else(|| {
                Failure::not_found(format!("table {} has no partition {name}", self.full()))
                    .next(format!("it has {}", names()))
            }),
            None => match info.partitions.as_slice() {
                [only] => Ok(only),
                _ => Err(Failure::usage(format!("table {} has partitions {}", self.full(), names())).next(format!(
                    "name one, such as {}/{}",
                    self.full(),
                    info.partitions.first().map_or("p0", |p| &p.name)
                ))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are split at the first dot and the first slash; empty or extra parts are refused.
    #[test]
    fn names_are_read() {
        let read = |text: &str| text.parse::<TableName>().map(|name| (name.db, name.table, name.partition));
        assert_eq!(read("t"), Ok(("default".into(), "t".into(), None)));
        assert_eq!(read("d.t"), Ok(("d".into(), "t".into(), None)));
        assert_eq!(read("d.t/p1"), Ok(("d".into(), "t".into(), Some("p1".into()))));
        for wrong in ["", ".t", "d.", "d.t/", "d.t.u", "d.t/p/q", "/p"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!("d.t/p".parse::<TableName>().unwrap().to_string(), "d.t/p");
    }
}
