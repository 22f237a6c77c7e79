//! The names in `trash/`: `<unix milliseconds>-<tablet>-<replica>`, one for each dropped replica.
//!
//! The time is the wall clock's at the drop; it only says how old the trash is. What may be freed is the
//! coordinator's word, by replica id.

use super::beneath::Beneath;
use super::error::{DiskError, Tried};
use stele_common::{ReplicaId, TabletId};

/// One name in `trash/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrashEntry {
    pub name: String,
    pub dropped_ms: u64,
    pub tablet: TabletId,
    pub replica: ReplicaId,
}

impl TrashEntry {
    pub fn new(dropped_ms: u64, tablet: TabletId, replica: ReplicaId) -> TrashEntry {
        TrashEntry { name: format!("{dropped_ms}-{tablet}-{replica}"), dropped_ms, tablet, replica }
    }

    fn parse(name: &str) -> Option<TrashEntry> {
        let mut parts = name.split('-');
        let (dropped, tablet, replica) = (parts.next()?, parts.next()?, parts.next()?);
        let entry = TrashEntry::new(dropped.parse().ok()?, tablet.parse().ok()?, replica.parse().ok()?);
        // Only what we would write ourselves: no leading zeros, nothing behind.
        (entry.name == name).then_some(entry)
    }
}

/// What lies in the trash; names that are not ours are left alone.
pub(crate) fn trash_entries(beneath: &Beneath) -> Result<Vec<TrashEntry>, DiskError> {
    let names = beneath.names("trash").tried(|| "list `trash`".to_string())?;
    Ok(names.iter().filter_map(|(name, _)| TrashEntry::parse(name)).collect())
}

/// The trash of exactly this replica.
pub(crate) fn find(beneath: &Beneath, tablet: TabletId, replica: ReplicaId) -> Result<Vec<TrashEntry>, DiskError> {
    let entries = trash_entries(beneath)?.into_iter();
    Ok(entries.filter(|entry| entry.tablet == tablet && entry.replica == replica).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names in the trash are read back exactly; anything else is not ours.
    #[test]
    fn names() {
        let entry = TrashEntry::new(1_700_000_000_000, TabletId(5), ReplicaId(9));
        assert_eq!(entry.name, "1700000000000-5-9");
        assert_eq!(TrashEntry::parse(&entry.name), Some(entry));
        for other in ["", "1-2", "1-2-3-4", "01-2-3", "a-2-3", "1-2-3 "] {
            assert_eq!(TrashEntry::parse(other), None, "{other}");
        }
    }
}
