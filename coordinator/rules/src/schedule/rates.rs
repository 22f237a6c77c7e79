//! How fast finished copies were, by disk: what remaining work is reckoned with.
//!
//! In: ends of copies. Out: bytes a second over all of them, per disk. It decides nothing and is forgotten with its
//! desk.

use crate::world::{Past, Work};
use std::collections::BTreeMap;
use stele_common::DiskId;

#[derive(Clone, Debug, Default)]
pub struct Rates {
    by_disk: BTreeMap<DiskId, (u64, u64)>,
}

impl Rates {
    /// Of the copies that are remembered.
    pub fn remembered<'a>(past: impl Iterator<Item = &'a Past>) -> Rates {
        let mut rates = Rates::default();
        for past in past {
            if let Work::Clone { disk, source_disk, .. } = past.task.work {
                rates.finished([disk, source_disk], past.end.bytes_done, past.end.took_ms);
            }
        }
        rates
    }

    /// A copy between these disks has moved `bytes` in `ms`. One that moved nothing says nothing about the disks.
    pub fn finished(&mut self, disks: [DiskId; 2], bytes: u64, ms: u64) {
        if bytes == 0 {
            return;
        }
        for disk in disks {
            let (moved, took) = self.by_disk.entry(disk).or_default();
            (*moved, *took) = (moved.saturating_add(bytes), took.saturating_add(ms.max(1)));
        }
    }

    /// Bytes a second over all finished copies from and to a disk; `None` before the first.
    pub fn of(&self, disk: DiskId) -> Option<u64> {
        let (moved, took) = self.by_disk.get(&disk)?;
        Some(u64::try_from(u128::from(*moved) * 1000 / u128::from(*took)).unwrap_or(u64::MAX))
    }
}
