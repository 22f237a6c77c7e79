//! "These bytes *need not travel*": holds the manifest that is wanted against what lies here, by digest.
//!
//! In: the source's manifest, and every digest held (staged by an earlier try, kept by this replica, by a bad or trashed
//! replica of the tablet) with where it lies. Out: what is reused from where and what is fetched, in path order.
//! Catching up, copying whole, resuming and mending are all this one plan. It never trusts what is held: whoever carries
//! the plan out checks a reused file's bytes before it counts.

use std::collections::BTreeMap;
use stele_common::{Digest, Entry, Manifest, RelPath};

/// How to come by every file of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<L> {
    /// Files whose content is here, and where.
    pub reuse: Vec<(RelPath, Entry, L)>,
    /// Files whose content must come from the source.
    pub fetch: Vec<(RelPath, Entry)>,
    pub bytes_reused: u64,
    pub bytes_to_fetch: u64,
}

/// Splits `target` into what `held` has and what it lacks.
pub fn plan<L: Clone>(target: &Manifest, held: &BTreeMap<Digest, L>) -> Plan<L> {
    let mut plan = Plan { reuse: Vec::new(), fetch: Vec::new(), bytes_reused: 0, bytes_to_fetch: 0 };
    for (path, entry) in &target.entries {
        match held.get(&entry.digest) {
            Some(place) => {
                plan.bytes_reused += entry.size;
                plan.reuse.push((path.clone(), *entry, place.clone()));
            }
            None => {
                plan.bytes_to_fetch += entry.size;
                plan.fetch.push((path.clone(), *entry));
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stele_common::{Delta, LoadMode, NewFile, Version};

    fn manifest(files: &[(&str, &str)]) -> Manifest {
        let put = files
            .iter()
            .map(|(path, content)| NewFile {
                path: RelPath::new(*path).unwrap(),
                size: content.len() as u64,
                digest: Digest::of(content.as_bytes()),
            })
            .collect();
        Manifest::default().with(&Delta { mode: LoadMode::Add, put, remove: vec![] }, Version(1))
    }

    /// Content decides, not the name: a renamed file does not travel, a changed one does.
    #[test]
    fn only_missing_content_travels() {
        let held = BTreeMap::from([(Digest::of(b"one"), "here"), (Digest::of(b"old"), "there")]);
        let plan = plan(&manifest(&[("a", "one"), ("b/renamed", "one"), ("c", "changed")]), &held);
        let names = |list: Vec<String>| list.join(" ");
        assert_eq!(
            names(plan.reuse.iter().map(|(path, _, place)| format!("{path}@{place}")).collect()),
            "a@here b/renamed@here"
        );
        assert_eq!(names(plan.fetch.iter().map(|(path, _)| path.to_string()).collect()), "c");
        assert_eq!((plan.bytes_reused, plan.bytes_to_fetch), (6, 7));
    }

    proptest! {
        /// Whatever is held: every file is planned exactly once, its bytes are counted once, and nothing held travels.
        #[test]
        fn plans_are_whole(files in proptest::collection::btree_map("[a-e]{1,2}", "[x-z]{0,2}", 0..8),
                           held in proptest::collection::btree_set("[x-z]{0,2}", 0..6)) {
            let files: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
            let target = manifest(&files);
            let held: BTreeMap<_, _> = held.iter().map(|content| (Digest::of(content.as_bytes()), ())).collect();
            let plan = plan(&target, &held);
            let mut planned: Vec<_> = plan.reuse.iter().map(|(path, entry, ())| (path.clone(), *entry))
                .chain(plan.fetch.iter().cloned()).collect();
            planned.sort_by(|a, b| a.0.cmp(&b.0));
            prop_assert_eq!(planned, target.entries.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(plan.bytes_reused + plan.bytes_to_fetch, target.bytes());
            prop_assert!(plan.fetch.iter().all(|(_, entry)| !held.contains_key(&entry.digest)));
        }
    }
}
