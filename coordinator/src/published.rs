//! What everybody but the Catalog sees of the world: a read-only snapshot, published after each commit.
//!
//! A watch cell holds the newest one; readers take it by reference count and never block the Catalog.

use std::sync::Arc;
use stele_common::Tick;
use stele_common::config::RepairKnobs;
use stele_coordinator_rules::World;
use tokio::sync::watch;

/// One committed state.
#[derive(Clone, Debug)]
pub struct Published {
    pub world: Arc<World>,
    /// When it was published, on both clocks.
    pub at: Tick,
    pub wall_ms: u64,
    /// Rises by one with each.
    pub number: u64,
}

/// The readers' end.
pub type Snapshots = watch::Receiver<Arc<Published>>;

/// A cell that shows an empty world until the first leadership has begun.
pub fn cell(knobs: Arc<RepairKnobs>) -> (watch::Sender<Arc<Published>>, Snapshots) {
    let nothing = Published { world: Arc::new(World::empty(knobs)), at: Tick(0), wall_ms: 0, number: 0 };
    watch::channel(Arc::new(nothing))
}
