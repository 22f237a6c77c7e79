//! All loads: the few in flight, and the many whose results are kept for days, in drawers that snapshots share.
//!
//! In: loads by the client's key. Out: look-ups and walks, in an order that depends on the keys alone. A published
//! snapshot clones some thousand pointers whatever was loaded in a week; a change copies one drawer. It must never
//! decide what becomes of a load: it only files it by its phase.

use crate::world::{Load, LoadPhase};
use std::collections::BTreeMap;
use std::sync::Arc;
use stele_common::{LoadId, LoadKey};

/// Drawers of one cabinet. With a week of a load a second each holds 600; twice as many cost every snapshot twice the
/// pointers.
const DRAWERS: u64 = 1_024;

/// What says in which drawer it lies.
pub trait Filed: Ord + Clone {
    fn number(&self) -> u64;
}

impl Filed for LoadKey {
    fn number(&self) -> u64 {
        // FNV-1a: small, even, and the same for ever.
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.0.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
    }
}

impl Filed for LoadId {
    fn number(&self) -> u64 {
        self.0
    }
}

/// Many small things that snapshots share.
#[derive(Clone, Debug)]
pub struct Cabinet<K, V> {
    drawers: BTreeMap<u64, Arc<BTreeMap<K, V>>>,
    len: usize,
}

impl<K, V> Default for Cabinet<K, V> {
    fn default() -> Self {
        Cabinet { drawers: BTreeMap::new(), len: 0 }
    }
}

impl<K: Filed, V: Clone> Cabinet<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        self.drawers.get(&(key.number() % DRAWERS))?.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let drawer = self.drawers.entry(key.number() % DRAWERS).or_default();
        let before = Arc::make_mut(drawer).insert(key, value);
        self.len += usize::from(before.is_none());
        before
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        // What snapshots share is copied only for something that is there.
        self.get(key)?;
        let number = key.number() % DRAWERS;
        let drawer = Arc::make_mut(self.drawers.get_mut(&number)?);
        let removed = drawer.remove(key);
        if drawer.is_empty() {
            self.drawers.remove(&number);
        }
        self.len -= usize::from(removed.is_some());
        removed
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.drawers.values().flat_map(|drawer| drawer.iter())
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<K: Filed, V: Clone> std::ops::Index<&K> for Cabinet<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("whoever indexes knows that it is there")
    }
}

/// Loads in flight and results of ended ones.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    flying: BTreeMap<LoadKey, Load>,
    ended: Cabinet<LoadKey, Load>,
}

impl Loads {
    pub fn get(&self, key: &LoadKey) -> Option<&Load> {
        self.flying.get(key).or_else(|| self.ended.get(key))
    }

    pub fn contains_key(&self, key: &LoadKey) -> bool {
        self.get(key).is_some()
    }

    /// Those that are open, or committed and not yet visible: few, and looked through often.
    pub fn in_flight(&self) -> impl Iterator<Item = &Load> {
        self.flying.values()
    }

    /// All, the ones in flight first.
    pub fn values(&self) -> impl Iterator<Item = &Load> {
        self.flying.values().chain(self.ended.iter().map(|(_, load)| load))
    }

    pub fn len(&self) -> usize {
        self.flying.len() + self.ended.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Only [`crate::world`]'s apply calls this; what was there under its key comes back.
    pub(crate) fn insert(&mut self, load: Load) -> Option<Load> {
        let before = self.remove(&load.key);
        match load.phase {
            LoadPhase::Open | LoadPhase::Committed => self.flying.insert(load.key.clone(), load),
            LoadPhase::Visible | LoadPhase::Aborted { .. } => self.ended.insert(load.key.clone(), load),
        };
        before
    }

    pub(crate) fn remove(&mut self, key: &LoadKey) -> Option<Load> {
        self.flying.remove(key).or_else(|| self.ended.remove(key))
    }

    /// One in flight, to be changed in everything but its phase.
    pub(crate) fn flying_mut(&mut self, key: &LoadKey) -> Option<&mut Load> {
        self.flying.get_mut(key)
    }

    pub(crate) fn all_flying_mut(&mut self) -> impl Iterator<Item = &mut Load> {
        self.flying.values_mut()
    }
}

impl std::ops::Index<&LoadKey> for Loads {
    type Output = Load;

    fn index(&self, key: &LoadKey) -> &Load {
        self.get(key).expect("whoever indexes knows that it is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;
    use crate::sample::Sample;

    /// A load is found whatever its phase, moves between the two parts with it, and what a snapshot holds stays.
    #[test]
    fn filed_by_phase() {
        let mut sample = Sample::new(3, 1);
        let tablet = sample.table(3, 1)[0];
        sample.load_all(tablet);
        let one = sample.world.loads.values().next().expect("it was loaded just now").clone();
        let mut loads = Loads::default();
        for number in 0..3_000u64 {
            let key = LoadKey(format!("k{number}"));
            let load = Load { id: LoadId(number), key, phase: LoadPhase::Open, ..one.clone() };
            assert_eq!(loads.insert(load), None);
        }
        let snapshot = loads.clone();
        let (visible, aborted) = (LoadKey("k7".into()), LoadKey("k8".into()));
        for (key, phase) in [
            (&visible, LoadPhase::Committed),
            (&visible, LoadPhase::Visible),
            (&aborted, LoadPhase::Aborted { cause: Reason::LoadAborted }),
        ] {
            let load = Load { phase: phase.clone(), ..loads[key].clone() };
            assert!(loads.insert(load).is_some());
            assert_eq!((loads[key].phase.clone(), loads.len(), loads.values().count()), (phase, 3_000, 3_000));
        }
        assert_eq!((loads.in_flight().count(), snapshot.in_flight().count()), (2_998, 3_000));
        assert!(loads.flying_mut(&visible).is_none());
        assert_eq!(loads.remove(&visible).map(|load| load.key), Some(visible.clone()));
        assert!(!loads.contains_key(&visible) && snapshot.contains_key(&visible));
        assert_eq!(loads.len(), 2_999);
    }

    /// Cabinets keep count, and are empty when nothing is in them.
    #[test]
    fn cabinets() {
        let mut cabinet: Cabinet<LoadId, u32> = Cabinet::default();
        (0..5_000).for_each(|id| assert_eq!(cabinet.insert(LoadId(id), 1), None));
        assert_eq!((cabinet.insert(LoadId(5), 2), cabinet[&LoadId(5)], cabinet.len()), (Some(1), 2, 5_000));
        (0..5_000).for_each(|id| assert!(cabinet.remove(&LoadId(id)).is_some()));
        assert!(cabinet.is_empty() && cabinet.iter().next().is_none() && cabinet.drawers.is_empty());
    }
}
