//! All tablets, in chunks that snapshots share: a change copies one chunk and its branch, whatever the world's size.
//!
//! In: tablets by id. Out: look-ups and walks in id order. Two levels, so that the clone which every published snapshot
//! makes copies one pointer for some sixteen thousand tablets: 64 for a million.

use crate::world::Tablet;
use std::collections::BTreeMap;
use std::sync::Arc;
use stele_common::TabletId;

/// Tablets of at most [`CHUNK`] neighbouring ids.
type Chunk = BTreeMap<TabletId, Tablet>;
/// At most [`BRANCH`] chunks.
type Branch = BTreeMap<u64, Arc<Chunk>>;

#[derive(Clone, Debug, Default)]
pub struct Tablets {
    branches: BTreeMap<u64, Arc<Branch>>,
    len: usize,
}

/// Ids per chunk. 256 tablets are some 100 KiB: copying one costs tens of microseconds; halving it doubles the
/// branches.
pub const CHUNK: u64 = 256;
/// Chunks per branch: copying one costs about as much as 64 pointers.
const BRANCH: u64 = 64;

fn place(id: TabletId) -> (u64, u64) {
    (id.0 / CHUNK / BRANCH, id.0 / CHUNK)
}

impl Tablets {
    pub fn get(&self, id: TabletId) -> Option<&Tablet> {
        let (branch, chunk) = place(id);
        self.branches.get(&branch)?.get(&chunk)?.get(&id)
    }

    /// Only [`crate::world`]'s apply calls this.
    pub(crate) fn get_mut(&mut self, id: TabletId) -> Option<&mut Tablet> {
        let (branch, chunk) = place(id);
        // What snapshots share is copied only for a tablet that is there.
        self.get(id)?;
        let chunks = Arc::make_mut(self.branches.get_mut(&branch)?);
        Arc::make_mut(chunks.get_mut(&chunk)?).get_mut(&id)
    }

    pub(crate) fn insert(&mut self, tablet: Tablet) {
        let (branch, chunk) = place(tablet.id);
        let chunks = Arc::make_mut(self.branches.entry(branch).or_default());
        let chunk = Arc::make_mut(chunks.entry(chunk).or_default());
        if chunk.insert(tablet.id, tablet).is_none() {
            self.len += 1;
        }
    }

    pub(crate) fn remove(&mut self, id: TabletId) -> Option<Tablet> {
        self.get(id)?;
        let (branch, key) = place(id);
        let chunks = Arc::make_mut(self.branches.get_mut(&branch)?);
        let chunk = Arc::make_mut(chunks.get_mut(&key)?);
        let removed = chunk.remove(&id);
        if chunk.is_empty() {
            chunks.remove(&key);
        }
        if chunks.is_empty() {
            self.branches.remove(&branch);
        }
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// In id order.
    pub fn iter(&self) -> impl Iterator<Item = &Tablet> {
        self.chunks().flat_map(|chunk| chunk.values())
    }

    /// In id order, from `first` on.
    pub fn iter_from(&self, first: TabletId) -> impl Iterator<Item = &Tablet> {
        let (branch, chunk) = place(first);
        let chunks = self.branches.range(branch..).flat_map(move |(_, chunks)| chunks.range(chunk..));
        chunks.flat_map(|(_, chunk)| chunk.values()).skip_while(move |tablet| tablet.id < first)
    }

    /// The chunks, for walking or storing piece by piece.
    pub fn chunks(&self) -> impl Iterator<Item = &Arc<Chunk>> {
        self.branches.values().flat_map(|chunks| chunks.values())
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
