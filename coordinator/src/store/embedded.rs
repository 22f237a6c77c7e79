//! The default store: one redb file. One row a change, keyed by its number; a table of a few named values beside it.
//!
//! ```text
//! log   0 ─▶ change, 1 ─▶ change, ...        MessagePack with named fields, as on the wire
//! facts "format" ─▶ "1", "cluster" ─▶ its id, "snapshot" ─▶ how many of the rows a snapshot wrote
//! ```
//!
//! Each commit is immediate and in two phases: redb's notes name crash bugs that those two do not have. Quick repair
//! keeps a start after a crash short. The file is locked while it is open.

use super::{MetaStore, StoreError};
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
};
use redb::{Table, WriteTransaction};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use stele_common::wire;
use stele_coordinator_rules::Change;

const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const FACTS: TableDefinition<&str, &str> = TableDefinition::new("facts");
/// Of the rows and their meaning, not of redb's file.
const FORMAT: &str = "1";
/// The file's name in the coordinator's directory.
pub const FILE: &str = "stele.redb";

/// One open file.
pub struct EmbeddedStore {
    path: PathBuf,
    database: Database,
    /// Number of the next row.
    next: u64,
    appended: u64,
}

impl EmbeddedStore {
    /// Opens or makes the file in `dir`, which is made too. Refuses a file that another process has open.
    pub fn open(dir: &Path) -> Result<EmbeddedStore, StoreError> {
        let path = dir.join(FILE);
        let failed = |doing, error: &dyn Display| failure(&path, doing, error);
        std::fs::create_dir_all(dir).map_err(|error| failed("make the directory of", &error))?;
        let database = Database::create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.clone() },
            error => failed("open", &error),
        })?;
        // The file's own name must survive a power cut as well as its content.
        std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| failed("make durable", &error))?;
        let mut store = EmbeddedStore { path, database, next: 0, appended: 0 };
        store.check_format()?;
        Ok(store)
    }

    fn failed(&self, doing: &'static str, error: impl Display) -> StoreError {
        failure(&self.path, doing, &error)
    }

    fn check_format(&mut self) -> Result<(), StoreError> {
        let write = self.begin()?;
        let found = {
            let mut facts = write.open_table(FACTS).map_err(|error| self.failed("open", error))?;
            let log = write.open_table(LOG).map_err(|error| self.failed("open", error))?;
            let found = facts.get("format").map_err(|error| self.failed("read", error))?.map(|v| v.value().to_string());
            let empty = log.is_empty().map_err(|error| self.failed("read", error))?;
            match found {
                Some(found) => found,
                None if empty => {
                    facts.insert("format", FORMAT).map_err(|error| self.failed("write", error))?;
                    FORMAT.to_string()
                }
                None => "none".to_string(),
            }
        };
        if found != FORMAT {
            return Err(StoreError::OtherFormat { path: self.path.clone(), found, reads: FORMAT });
        }
        write.commit().map_err(|error| self.failed("write", error))
    }

    fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let mut write = self.database.begin_write().map_err(|error| self.failed("write", error))?;
        write.set_durability(Durability::Immediate).map_err(|error| self.failed("write", error))?;
        write.set_two_phase_commit(true);
        write.set_quick_repair(true);
        Ok(write)
    }

    /// Writes rows from `first` on, and the cluster's id when a change tells it; returns the next free number.
    fn put(&self, write: &WriteTransaction, first: u64, changes: &[Change]) -> Result<u64, StoreError> {
        let mut log = write.open_table(LOG).map_err(|error| self.failed("write", error))?;
        let mut next = first;
        for change in changes {
            log.insert(next, wire::encode(change).as_slice()).map_err(|error| self.failed("write", error))?;
            next += 1;
            if let Change::Born { cluster } = change {
                self.put_fact(write, "cluster", &cluster.0)?;
            }
        }
        Ok(next)
    }

    fn put_fact(&self, write: &WriteTransaction, name: &str, value: &str) -> Result<(), StoreError> {
        let mut facts: Table<&str, &str> = write.open_table(FACTS).map_err(|error| self.failed("write", error))?;
        facts.insert(name, value).map_err(|error| self.failed("write", error))?;
        Ok(())
    }
}

fn failure(path: &Path, doing: &'static str, error: &dyn Display) -> StoreError {
    StoreError::Failed { doing, path: path.to_path_buf(), detail: error.to_string() }
}

impl MetaStore for EmbeddedStore {
    fn load(&mut self) -> Result<Vec<Change>, StoreError> {
        let read = self.database.begin_read().map_err(|error| self.failed("read", error))?;
        let log = read.open_table(LOG).map_err(|error| self.failed("read", error))?;
        let mut changes = Vec::with_capacity(log.len().map_err(|error| self.failed("read", error))? as usize);
        for row in log.iter().map_err(|error| self.failed("read", error))? {
            let (number, bytes) = row.map_err(|error| self.failed("read", error))?;
            let unreadable =
                |detail| StoreError::Unreadable { path: self.path.clone(), number: number.value(), detail };
            // Rows are numbered without a gap: one that is missing must not be passed over in silence.
            if number.value() != changes.len() as u64 {
                return Err(unreadable(format!("change {} is missing", changes.len())));
            }
            changes.push(wire::decode(bytes.value()).map_err(|error| unreadable(error.to_string()))?);
        }
        let facts = read.open_table(FACTS).map_err(|error| self.failed("read", error))?;
        let snapshot = facts.get("snapshot").map_err(|error| self.failed("read", error))?;
        let snapshot = snapshot.and_then(|value| value.value().parse::<u64>().ok()).unwrap_or(0);
        self.next = changes.len() as u64;
        self.appended = self.next.saturating_sub(snapshot);
        Ok(changes)
    }

    fn append(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let write = self.begin()?;
        let next = self.put(&write, self.next, changes)?;
        write.commit().map_err(|error| self.failed("write", error))?;
        self.appended += next - self.next;
        self.next = next;
        Ok(())
    }

    fn snapshot(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let write = self.begin()?;
        write.delete_table(LOG).map_err(|error| self.failed("write", error))?;
        let next = self.put(&write, 0, changes)?;
        self.put_fact(&write, "snapshot", &next.to_string())?;
        write.commit().map_err(|error| self.failed("write", error))?;
        self.next = next;
        self.appended = 0;
        Ok(())
    }

    fn appended(&self) -> u64 {
        self.appended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::{ClusterId, Epoch};

    fn epochs(numbers: std::ops::Range<u64>) -> Vec<Change> {
        numbers.map(|n| Change::EpochBegan { epoch: Epoch(n) }).collect()
    }

    fn reopened(dir: &Path) -> Vec<Change> {
        EmbeddedStore::open(dir).unwrap().load().unwrap()
    }

    /// What was appended is there after a new start, in order, and appending goes on behind it.
    #[test]
    fn append_and_load() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = EmbeddedStore::open(dir.path()).unwrap();
        assert!(store.load().unwrap().is_empty());
        let born = vec![Change::Born { cluster: ClusterId("c".into()) }];
        store.append(&born).unwrap();
        store.append(&epochs(1..3)).unwrap();
        drop(store);
        let mut store = EmbeddedStore::open(dir.path()).unwrap();
        assert_eq!(store.load().unwrap(), [born.clone(), epochs(1..3)].concat());
        assert_eq!(store.appended(), 3);
        store.append(&epochs(3..4)).unwrap();
        drop(store);
        assert_eq!(reopened(dir.path()), [born, epochs(1..4)].concat());
    }

    /// A snapshot takes the place of all rows before it; later rows follow it.
    #[test]
    fn snapshot_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = EmbeddedStore::open(dir.path()).unwrap();
        store.append(&epochs(0..100)).unwrap();
        store.snapshot(&epochs(99..100)).unwrap();
        assert_eq!(store.appended(), 0);
        store.append(&epochs(100..102)).unwrap();
        drop(store);
        let mut store = EmbeddedStore::open(dir.path()).unwrap();
        assert_eq!(store.load().unwrap(), epochs(99..102));
        assert_eq!(store.appended(), 2);
    }

    /// Two coordinators on one store: the second is told so and changes nothing.
    #[test]
    fn second_opener() {
        let dir = tempfile::tempdir().unwrap();
        let _first = EmbeddedStore::open(dir.path()).unwrap();
        let error = EmbeddedStore::open(dir.path()).err().unwrap();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        assert!(error.to_string().contains("in use by another coordinator"));
    }

    /// A process that dies between two steps: an uncommitted batch and an uncommitted snapshot leave no trace, and a
    /// file that was never closed opens with everything that was acknowledged.
    #[test]
    fn killed_between() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = EmbeddedStore::open(dir.path()).unwrap();
        store.append(&epochs(0..3)).unwrap();
        let write = store.begin().unwrap();
        store.put(&write, 3, &epochs(3..9)).unwrap();
        drop(write);
        let write = store.begin().unwrap();
        write.delete_table(LOG).unwrap();
        store.put(&write, 0, &epochs(7..8)).unwrap();
        drop(write);
        store.append(&epochs(3..4)).unwrap();
        // The copy of an open file is what a killed process leaves behind.
        let killed = tempfile::tempdir().unwrap();
        std::fs::copy(dir.path().join(FILE), killed.path().join(FILE)).unwrap();
        assert_eq!(reopened(killed.path()), epochs(0..4));
    }

    /// A store of another format, or one with a hole, is refused by name.
    #[test]
    fn refused_stores() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = EmbeddedStore::open(dir.path()).unwrap();
        store.append(&epochs(0..3)).unwrap();
        let write = store.begin().unwrap();
        write.open_table(LOG).unwrap().remove(1).unwrap();
        write.commit().unwrap();
        let error = store.load().unwrap_err().to_string();
        assert!(error.contains("change 1 is missing"), "{error}");
        let write = store.begin().unwrap();
        store.put_fact(&write, "format", "9").unwrap();
        write.commit().unwrap();
        drop(store);
        let error = EmbeddedStore::open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("has format 9, this build reads 1"), "{error}");
    }
}
