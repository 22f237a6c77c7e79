//! Real files in mixed sizes for tests, and comparing directories by digest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes about `megabytes` MiB: one large file, some middling, many small; `seed` makes the content.
pub fn write(dir: &Path, megabytes: usize, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut put = |name: String, size: usize| {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("inside dir")).expect("made");
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(size);
        fs::write(path, bytes).expect("written");
    };
    put("large/one.bin".into(), megabytes * 512 * 1024);
    for index in 0..megabytes * 2 {
        put(format!("middle/{index}.bin"), 192 * 1024 + index);
    }
    for index in 0..megabytes * 10 {
        put(format!("small/{}/{index}.txt", index % 7), 1 + index * 13 % 9000);
    }
    put("empty file with spaces".into(), 0);
}

/// Relative path → digest of every file below `dir`.
pub fn digests(dir: &Path) -> BTreeMap<PathBuf, blake3::Hash> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(&next).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let digest = blake3::hash(&fs::read(&path).expect("readable"));
                found.insert(path.strip_prefix(dir).expect("below dir").to_path_buf(), digest);
            }
        }
    }
    found
}

/// What `b3sum -c` does with the head's manifest, in the replica's directory.
pub fn check_replica(dir: &Path) -> Result<usize, String> {
    let head = fs::read_to_string(dir.join("head")).map_err(|error| format!("{}: no head: {error}", dir.display()))?;
    let version = head.split_whitespace().next().unwrap_or_default();
    let manifest = match fs::read_to_string(dir.join(format!("{version}.b3"))) {
        Ok(text) => text,
        Err(_) if version == "0" => return Ok(0),
        Err(error) => return Err(format!("{}: {version}.b3: {error}", dir.display())),
    };
    for line in manifest.lines() {
        let (digest, name) = line.split_once("  ").ok_or_else(|| format!("{}: odd line {line}", dir.display()))?;
        let bytes = fs::read(dir.join(name)).map_err(|error| format!("{}/{name}: {error}", dir.display()))?;
        if blake3::hash(&bytes).to_hex().as_str() != digest {
            return Err(format!("{}/{name}: digest differs", dir.display()));
        }
    }
    Ok(manifest.lines().count())
}

/// The same with the stock tool, where CI promised that it is installed.
pub fn check_with_b3sum(dir: &Path) {
    let head = fs::read_to_string(dir.join("head")).expect("a head");
    let version = head.split_whitespace().next().unwrap_or_default();
    if version == "0" {
        return;
    }
    let output =
        std::process::Command::new("b3sum").args(["--quiet", "-c", &format!("{version}.b3")]).current_dir(dir).output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "b3sum -c in {}: {}", dir.display(), super::cluster::text(&output))
        }
        Err(error) if std::env::var_os("CI").is_some() => panic!("b3sum is needed in CI: {error}"),
        Err(_) => {
            check_replica(dir).expect("our own check");
        }
    }
}

/// Every replica directory below a disk: `tablets/<tablet>/<replica>`.
pub fn replicas_on(disk: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for tablet in fs::read_dir(disk.join("tablets")).into_iter().flatten().flatten() {
        for replica in fs::read_dir(tablet.path()).into_iter().flatten().flatten() {
            found.push(replica.path());
        }
    }
    found
}
