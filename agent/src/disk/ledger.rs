//! What our own files weigh on one disk, counted as they come and go.
//!
//! Filled by the scan, kept by every op. Bytes are lengths of files; the file system's own overhead shows in its
//! free space, which is asked separately.

use std::collections::BTreeMap;
use stele_common::ReplicaId;

/// Bytes by what they belong to.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    replicas: BTreeMap<ReplicaId, u64>,
    trash: BTreeMap<ReplicaId, u64>,
    staging: BTreeMap<String, u64>,
    used: u64,
}

impl Ledger {
    /// All of it.
    pub fn used(&self) -> u64 {
        self.used
    }

    pub fn replica(&self, replica: ReplicaId) -> Option<u64> {
        self.replicas.get(&replica).copied()
    }

    pub fn set_replica(&mut self, replica: ReplicaId, bytes: u64) {
        set(&mut self.replicas, &mut self.used, replica, bytes);
    }

    /// A replica went to the trash; answers what it weighs.
    pub fn move_to_trash(&mut self, replica: ReplicaId) -> u64 {
        let bytes = self.replicas.remove(&replica).unwrap_or(0);
        self.used = self.used.saturating_sub(bytes);
        set(&mut self.trash, &mut self.used, replica, bytes);
        bytes
    }

    pub fn set_trash(&mut self, replica: ReplicaId, bytes: u64) {
        set(&mut self.trash, &mut self.used, replica, bytes);
    }

    pub fn purge(&mut self, replica: ReplicaId) {
        self.used = self.used.saturating_sub(self.trash.remove(&replica).unwrap_or(0));
    }

    pub fn add_staging(&mut self, dir: &str, bytes: u64) {
        let now = self.staging.get(dir).copied().unwrap_or(0).saturating_add(bytes);
        set(&mut self.staging, &mut self.used, dir.to_string(), now);
    }

    pub fn clear_staging(&mut self, dir: &str) {
        self.used = self.used.saturating_sub(self.staging.remove(dir).unwrap_or(0));
    }

    pub fn clear(&mut self) {
        *self = Ledger::default();
    }
}

fn set<K: Ord>(map: &mut BTreeMap<K, u64>, used: &mut u64, key: K, bytes: u64) {
    let old = map.insert(key, bytes).unwrap_or(0);
    *used = used.saturating_sub(old).saturating_add(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However bytes move, the sum is the sum of the parts.
    #[test]
    fn the_sum_follows() {
        let mut ledger = Ledger::default();
        ledger.set_replica(ReplicaId(1), 10);
        ledger.set_replica(ReplicaId(1), 7);
        ledger.add_staging("a", 5);
        ledger.add_staging("a", 5);
        assert_eq!(ledger.used(), 17);
        assert_eq!(ledger.move_to_trash(ReplicaId(1)), 7);
        assert_eq!((ledger.used(), ledger.replica(ReplicaId(1))), (17, None));
        ledger.clear_staging("a");
        ledger.purge(ReplicaId(1));
        ledger.purge(ReplicaId(1));
        assert_eq!(ledger.used(), 0);
    }
}
