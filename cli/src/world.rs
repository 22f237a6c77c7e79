//! World files on disk: JSON, or zstd of it, told apart by their first bytes.
//!
//! In: a path, `-` for standard input. Out: the world that it describes, with warnings on standard error; or a failure
//! that names the place in the file: a tablet and replica, a node and disk, or a line of text.

use crate::exit::Failure;
use crate::http::Face;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
use stele_coordinator_rules::worldfile::format::{FileDisk, FileGroup, FileNode, FilePartition, FileReplica};
use stele_coordinator_rules::worldfile::format::{FileTable, FileTablet, FileTask, Scalar};
use stele_coordinator_rules::worldfile::{self, Reading, WorldFile};

/// The first bytes of a zstd frame; a skippable frame, which some writers put first, has 0x50 to 0x5f in its first.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// Reads a world file.
pub fn read(path: &Path) -> Result<Reading, Failure> {
    let name = if is_standard(path) { "standard input".to_string() } else { path.display().to_string() };
    let bytes = bytes(path).map_err(|error| Failure::io(format_args!("cannot read {name}"), error))?;
    let reading = parse(bytes).map_err(|text| Failure::error(format!("{name}: {text}")))?;
    for warning in &reading.warnings {
        // Nobody is left to tell when this fails.
        let _ = writeln!(anstream::stderr(), "warning: {name}: {warning}");
    }
    Ok(reading)
}

/// Asks the live coordinator for its world.
pub fn live(face: &Face) -> Result<Reading, Failure> {
    let mut bytes = Vec::new();
    let mut sent = face.bytes("/v1/world", &[])?;
    sent.read_to_end(&mut bytes).map_err(|error| Failure::io("the coordinator's world did not come whole", error))?;
    parse(bytes).map_err(|text| Failure::error(format!("the coordinator's world: {text}")))
}

/// Whether standard input or output is meant.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let bytes = match is_standard(path) {
        true => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes)?;
            bytes
        }
        false => std::fs::read(path)?,
    };
    if bytes.starts_with(&ZSTD) || bytes.get(1..4) == Some(&SKIPPABLE) && bytes[0] >> 4 == 5 {
        return zstd::stream::decode_all(&bytes[..]);
    }
    Ok(bytes)
}

fn parse(bytes: Vec<u8>) -> Result<Reading, String> {
    let file: WorldFile = serde_json::from_slice(&bytes).map_err(|error| place(&bytes, &error))?;
    // A large file's text need not stand beside its world.
    drop(bytes);
    worldfile::read(file).map_err(|error| error.to_string())
}

/// Where a file is not as the format says: looked for only after it was refused, thing by thing.
fn place(bytes: &[u8], error: &serde_json::Error) -> String {
    let Ok(file) = serde_json::from_slice::<Value>(bytes) else { return format!("it is not JSON: {error}") };
    misfit(&file).unwrap_or_else(|| error.to_string())
}

fn misfit(file: &Value) -> Option<String> {
    if !file.is_object() {
        return Some("an object is wanted, with \"format\": \"stele-world/1\"".into());
    }
    let none = |_: &str, _: &Value| None;
    within::<FileNode>(file, "", "nodes", "node", "id", |place, node| {
        within::<FileDisk>(node, place, "disks", "disk", "path_hash", none)
    })
    .or_else(|| {
        within::<FileTable>(file, "", "tables", "table", "id", |place, table| {
            within::<FilePartition>(table, place, "partitions", "partition", "name", none)
        })
    })
    .or_else(|| within::<FileGroup>(file, "", "groups", "group", "name", none))
    .or_else(|| {
        within::<FileTablet>(file, "", "tablets", "tablet", "id", |place, tablet| {
            within::<FileReplica>(tablet, place, "replicas", "replica", "id", none)
        })
    })
    .or_else(|| within::<FileTask>(file, "", "tasks", "task", "id", none))
    .or_else(|| within::<stele_coordinator_rules::world::Lease>(file, "", "leases", "lease", "id", none))
    .or_else(|| at::<Option<std::collections::BTreeMap<String, Scalar>>>("config", file))
    .or_else(|| at::<Option<i64>>("now_ms", file))
    .or_else(|| at::<Option<String>>("level", file))
    .or_else(|| at::<Option<String>>("format", file))
}

/// The first thing of a list that does not fit, or something within it.
fn within<T: DeserializeOwned>(
    owner: &Value,
    place: &str,
    key: &str,
    noun: &str,
    name: &str,
    inner: impl Fn(&str, &Value) -> Option<String>,
) -> Option<String> {
    let before = if place.is_empty() { String::new() } else { format!("{place}, ") };
    let list = match owner.get(key) {
        None | Some(Value::Null) => return None,
        Some(Value::Array(list)) => list,
        Some(_) => return Some(format!("{before}{key}: a list is wanted")),
    };
    list.iter().enumerate().find_map(|(index, thing)| {
        let place = match thing.get(name) {
            Some(Value::Number(id)) => format!("{before}{noun} {id}"),
            Some(Value::String(name)) => format!("{before}{noun} `{name}`"),
            _ => format!("{before}{key}[{index}]"),
        };
        inner(&place, thing).or_else(|| T::deserialize(thing).err().map(|error| format!("{place}: {error}")))
    })
}

fn at<T: DeserializeOwned>(key: &str, file: &Value) -> Option<String> {
    let value = file.get(key).unwrap_or(&Value::Null);
    T::deserialize(value).err().map(|error| format!("{key}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"nodes":[{"id":1,"host":"h1","disks":[{"path_hash":11,"total":10,"used":1}]}],
        "tables":[{"id":1,"replication_num":1}],
        "tablets":[{"id":100,"table":1,"replicas":[{"id":1000,"node":1,"path_hash":11,"version":2,"size":1}]}]}"#;

    fn refused(text: &str) -> String {
        parse(text.into()).map(|_| ()).expect_err(text)
    }

    /// Everything that may be missing may be missing, and zstd is known by its first bytes.
    #[test]
    fn small_files_are_read() {
        assert!(parse(SMALL.into()).is_ok());
        assert!(parse("{}".into()).is_ok());
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("world");
        let packed = zstd::stream::encode_all(SMALL.as_bytes(), 3).expect("packed");
        for bytes in [packed.clone(), [&[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7][..], &packed].concat()] {
            std::fs::write(&path, bytes).expect("written");
            assert_eq!(bytes_of(&path), SMALL.as_bytes());
        }
        std::fs::write(&path, &packed[..packed.len() - 5]).expect("written");
        assert!(read(&path).expect_err("it is cut").to_string().contains("cannot read"));
    }

    fn bytes_of(path: &Path) -> Vec<u8> {
        bytes(path).expect("it is whole")
    }

    /// A mistake is told with its place: the thing by its id, the key by its name.
    #[test]
    fn mistakes_have_places() {
        let rows = [
            (r#""version":2,"#, "", "tablet 100, replica 1000: missing field `version`"),
            (r#""size":1"#, r#""size":"big""#, "tablet 100, replica 1000: invalid type: string \"big\", expected u64"),
            (r#""id":100,"#, "", "tablets[0]: missing field `id`"),
            (r#""table":1,"#, "", "tablet 100: missing field `table`"),
            (r#""host":"h1","#, "", "node 1: missing field `host`"),
            (r#""used":1"#, r#""used":-1"#, "node 1, disk 11: invalid value: integer `-1`, expected u64"),
            (r#""tables":["#, r#""tables":3,"x":["#, "tables: a list is wanted"),
            (r#"{"nodes""#, r#"{"now_ms":"x","nodes""#, "now_ms: invalid type: string \"x\", expected i64"),
            (r#"{"nodes""#, r#"{"format":"other/2","nodes""#, "format: `other/2` is not `stele-world/1`"),
            (r#""table":1,"#, r#""table":7,"#, "tablet 100: there is no table 7"),
        ];
        for (from, to, wanted) in rows {
            let text = SMALL.replacen(from, to, 1);
            assert_ne!(text, SMALL, "{from}");
            assert_eq!(refused(&text), wanted);
        }
        assert!(refused("{").starts_with("it is not JSON: EOF"), "{}", refused("{"));
        assert!(refused("[]").starts_with("an object is wanted"));
    }
}
