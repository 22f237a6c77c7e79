//! Manifests that were read lately: a reader of many small files would else parse and hash the whole list for each.
//!
//! Owns parsed papers, bounded by bytes, the longest unused going first. An entry counts only while the two files that
//! it was read from are the very same (inode, size, times), so an install, a mend or a collection needs to tell nobody.
//! Whoever looks for damage (verify, confirm, scan) reads the papers themselves, never these.

use super::papers::OpenVersion;
use rustix::fs::Stat;
use std::collections::BTreeMap;
use std::sync::Arc;
use stele_common::{ReplicaId, TabletId, Version};

/// What all entries of a disk may weigh, bytes: some 100 000 files' entries. With less, a few readers of large tablets
/// push each other out; more only costs memory.
pub(crate) const CACHE_BYTES: usize = 64 << 20;
/// About what an entry of a manifest takes in memory beside its texts.
const ENTRY_BYTES: usize = 200;

/// A version of a replica.
pub(crate) type Key = (TabletId, ReplicaId, Version);

/// The files that papers were read from, as they were before reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp([[i128; 6]; 2]);

impl Stamp {
    pub fn of(meta: &Stat, b3: &Stat) -> Stamp {
        let one = |stat: &Stat| {
            [
                i128::from(stat.st_ino),
                i128::from(stat.st_size),
                i128::from(stat.st_mtime),
                i128::from(stat.st_mtime_nsec),
                i128::from(stat.st_ctime),
                i128::from(stat.st_ctime_nsec),
            ]
        };
        Stamp([one(meta), one(b3)])
    }
}

struct Kept {
    open: Arc<OpenVersion>,
    stamp: Stamp,
    bytes: usize,
    used: u64,
}

/// The papers of one disk that are in memory.
#[derive(Default)]
pub(crate) struct ManifestCache {
    kept: BTreeMap<Key, Kept>,
    /// The keys by their last use.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

impl ManifestCache {
    /// The papers, if they were read from these very files.
    pub fn get(&mut self, key: &Key, stamp: &Stamp) -> Option<Arc<OpenVersion>> {
        let kept = self.kept.get_mut(key)?;
        if kept.stamp != *stamp {
            self.remove(key);
            return None;
        }
        self.uses += 1;
        self.by_use.remove(&kept.used);
        kept.used = self.uses;
        self.by_use.insert(self.uses, *key);
        Some(Arc::clone(&kept.open))
    }

    /// Keeps papers, at the cost of those that were not used for the longest time.
    pub fn put(&mut self, key: Key, stamp: Stamp, open: &Arc<OpenVersion>, bytes_max: usize) {
        self.remove(&key);
        // The texts, the same again as paths and sizes in the parsed form, and what each entry takes.
        let bytes = 2 * (open.b3_text.len() + open.meta_text.len()) + open.manifest.entries.len() * ENTRY_BYTES;
        if bytes > bytes_max {
            return;
        }
        while self.bytes + bytes > bytes_max
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.remove(&oldest);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key);
        self.kept.insert(key, Kept { open: Arc::clone(open), stamp, bytes, used: self.uses });
    }

    fn remove(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.by_use.remove(&kept.used);
            self.bytes -= kept.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: i128) -> Stamp {
        Stamp([[number; 6]; 2])
    }

    fn key(replica: u64) -> Key {
        (TabletId(1), ReplicaId(replica), Version(1))
    }

    /// Other files under the same name are other papers; over the bound the longest unused go; what is larger than the
    /// bound is not kept; the sum follows.
    #[test]
    fn stamps_and_bounds() {
        let (mut cache, open) = (ManifestCache::default(), Arc::new(OpenVersion::empty()));
        let one = 2 * (open.b3_text.len() + open.meta_text.len());
        for replica in 1..=3 {
            cache.put(key(replica), stamp(1), &open, 2 * one);
            assert!(cache.get(&key(1), &stamp(1)).is_some(), "the first is used each time");
        }
        assert!(cache.get(&key(2), &stamp(1)).is_none(), "the longest unused went");
        assert!(cache.get(&key(3), &stamp(1)).is_some());
        assert!(cache.get(&key(3), &stamp(2)).is_none(), "another file");
        assert!(cache.get(&key(3), &stamp(1)).is_none(), "what is not true any more is forgotten");
        assert_eq!((cache.bytes, cache.by_use.len(), cache.kept.len()), (one, 1, 1));
        cache.put(key(4), stamp(1), &open, one - 1);
        assert_eq!((cache.bytes, cache.kept.len()), (one, 1));
    }
}
