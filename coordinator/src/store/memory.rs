//! A store that forgets when the process ends: for tests. Several handles may share one log, so that a test can
//! end a coordinator and start the next one on what was kept.

use super::{MetaStore, StoreError};
use std::sync::{Arc, Mutex, PoisonError};
use stele_coordinator_rules::Change;

/// Shares its log with its clones.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    log: Arc<Mutex<Vec<Change>>>,
    appended: u64,
}

impl MemoryStore {
    pub fn kept(&self) -> Vec<Change> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl MetaStore for MemoryStore {
    fn load(&mut self) -> Result<Vec<Change>, StoreError> {
        let kept = self.kept();
        self.appended = kept.len() as u64;
        Ok(kept)
    }

    fn append(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(changes);
        self.appended += changes.len() as u64;
        Ok(())
    }

    fn snapshot(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = changes.to_vec();
        self.appended = 0;
        Ok(())
    }

    fn appended(&self) -> u64 {
        self.appended
    }
}
