//! What must travel when a replica is behind, by the difference of manifests: most of a version is there already,
//! under whatever name. The same plan serves catching up, copying whole, resuming and mending one flipped byte.

use std::collections::BTreeMap;
use stele_agent_rules::clone_plan::plan;
use stele_common::{Delta, Digest, LoadMode, Manifest, NewFile, RelPath, Version};

fn main() {
    let file = |path: &str, content: &str| NewFile {
        path: RelPath::new(path).expect("a plain relative name"),
        size: content.len() as u64,
        digest: Digest::of(content.as_bytes()),
    };
    let add = |put: Vec<NewFile>| Delta { mode: LoadMode::Add, put, remove: Vec::new() };
    let shards: Vec<NewFile> = (0..100).map(|n| file(&format!("shard-{n:03}"), &format!("content of {n}"))).collect();
    let one = Manifest::default().with(&add(shards), Version(1));
    // The next load changes one shard, brings a copy of another under a new name, and adds one.
    let changed = vec![
        file("shard-007", "another content"),
        file("backup/shard-001", "content of 1"),
        file("shard-100", "content of 100"),
    ];
    let two = one.with(&add(changed), Version(2));

    let held: BTreeMap<Digest, &RelPath> = one.entries.iter().map(|(path, entry)| (entry.digest, path)).collect();
    show("catching up from version 1 to 2", &plan(&two, &held));
    show("a new replica", &plan(&two, &BTreeMap::<Digest, &RelPath>::new()));

    // One byte of shard-050 has flipped: its digest is not held any more.
    let mut damaged: BTreeMap<Digest, &RelPath> =
        two.entries.iter().map(|(path, entry)| (entry.digest, path)).collect();
    damaged.remove(&Digest::of(b"content of 50"));
    show("mending one flipped byte", &plan(&two, &damaged));
}

fn show(what: &str, plan: &stele_agent_rules::clone_plan::Plan<&RelPath>) {
    println!(
        "{what}: {} files ({} bytes) are here, {} files ({} bytes) travel",
        plan.reuse.len(),
        plan.bytes_reused,
        plan.fetch.len(),
        plan.bytes_to_fetch
    );
    for (path, entry) in plan.fetch.iter().take(3) {
        println!("    {path}  {}", entry.digest);
    }
}
