//! Whose directory this is: `stele-disk.toml`, written once at format and replaced when the epoch rises.
//!
//! ```text
//! absent, not a directory, unreadable, foreign, unknown format ──▶ Unusable, nothing touched
//! empty (or what a cut-off format left)                        ──▶ Blank, may be formatted
//! stele-disk.toml of our format                                ──▶ Known
//! ```

use super::beneath::Beneath;
use super::error::{DiskError, Tried};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use stele_common::handshake::{DiskFound, StoreMark};
use stele_common::{ClusterId, DiskId, Epoch, Medium};

/// The on-disk format that this build reads and writes.
pub const FORMAT: u32 = 1;
/// The identity's file name.
pub const IDENTITY: &str = "stele-disk.toml";
/// What a data directory has beside it.
pub(crate) const DIRS: [&str; 3] = ["tablets", "staging", "trash"];

/// What `stele-disk.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub format: u32,
    pub cluster: ClusterId,
    pub disk: DiskId,
    pub medium: Medium,
    /// The highest epoch that this disk has seen.
    pub epoch: Epoch,
    /// How far the coordinator's store was, as it told now and then.
    #[serde(default, skip_serializing_if = "is_untold")]
    pub store: StoreMark,
}

fn is_untold(mark: &StoreMark) -> bool {
    *mark == StoreMark::default()
}

/// Looks at a directory and touches nothing.
pub fn inspect(path: &Path) -> (DiskFound, Option<ClusterId>, Option<Epoch>) {
    let unusable = |cause: String| (DiskFound::Unusable { cause }, None, None);
    let beneath = match Beneath::open(path) {
        Ok(beneath) => beneath,
        Err(error) => return unusable(format!("cannot open `{}`: {error}", path.display())),
    };
    match read(&beneath) {
        Ok(Some(identity)) => (DiskFound::Known { disk: identity.disk }, Some(identity.cluster), Some(identity.epoch)),
        Ok(None) => match is_blank(&beneath) {
            Ok(true) => (DiskFound::Blank, None, None),
            Ok(false) => unusable(format!("`{}` is not empty and has no {IDENTITY}", path.display())),
            Err(error) => unusable(error.to_string()),
        },
        Err(error) => unusable(format!("`{}`: {error}", path.display())),
    }
}

/// How far the coordinator's store was, as this directory remembers.
pub fn store_mark(path: &Path) -> StoreMark {
    let identity = Beneath::open(path).ok().and_then(|beneath| read(&beneath).ok().flatten());
    identity.map(|identity| identity.store).unwrap_or_default()
}

/// Makes a blank directory a disk of `cluster`; anything but a blank directory is refused untouched.
pub fn format(path: &Path, cluster: &ClusterId, disk: DiskId, medium: Medium) -> Result<(), DiskError> {
    let beneath = Beneath::open(path).tried(|| format!("open `{}`", path.display()))?;
    if read(&beneath)?.is_some() || !is_blank(&beneath)? {
        let cause = format!("`{}` is not blank; only an empty directory becomes a disk", path.display());
        return Err(DiskError::Unusable { cause });
    }
    for dir in DIRS {
        beneath.make_dirs(dir, &mut BTreeSet::new()).tried(|| format!("make `{dir}`"))?;
    }
    // The identity comes last: a crash before it leaves a directory that still counts as blank.
    let identity = Identity {
        format: FORMAT,
        cluster: cluster.clone(),
        disk,
        medium,
        epoch: Epoch(0),
        store: StoreMark::default(),
    };
    write(&beneath, &identity)
}

/// The identity; `None` when the directory was read and has none.
pub(crate) fn read(beneath: &Beneath) -> Result<Option<Identity>, DiskError> {
    #[derive(Deserialize)]
    struct AnyFormat {
        format: u32,
    }
    let text = match beneath.text(IDENTITY).tried(|| IDENTITY.to_string()) {
        Ok(text) => text,
        Err(DiskError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let unusable = |error: toml::de::Error| DiskError::Unusable {
        cause: format!("{IDENTITY} cannot be understood: {}", error.message()),
    };
    // The format is judged alone first: a later format may have other fields.
    let found: AnyFormat = toml::from_str(&text).map_err(unusable)?;
    if found.format != FORMAT {
        let cause = format!("{IDENTITY} has format {}, this build knows {FORMAT}", found.format);
        return Err(DiskError::Unusable { cause });
    }
    toml::from_str(&text).map(Some).map_err(unusable)
}

/// Replaces the identity durably.
pub(crate) fn write(beneath: &Beneath, identity: &Identity) -> Result<(), DiskError> {
    let text = toml::to_string(identity).expect("a struct of numbers and names is always valid TOML");
    beneath.write_text(IDENTITY, &text)
}

/// Empty but for what a file system or a cut-off format leaves.
fn is_blank(beneath: &Beneath) -> Result<bool, DiskError> {
    let temporary = format!(".{IDENTITY}.tmp");
    for (name, _) in beneath.names(".").tried(|| "list the directory".to_string())? {
        let ours = DIRS.contains(&name.as_str());
        if ours && beneath.names(&name).tried(|| format!("list `{name}`"))?.is_empty() {
            continue;
        }
        if name != "lost+found" && name != temporary {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str) -> ClusterId {
        ClusterId(name.into())
    }

    /// Absent, foreign and unknown are told apart from blank, and nothing but blank is formatted.
    #[test]
    fn only_a_blank_directory_becomes_a_disk() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(inspect(&dir.path().join("gone")).0, DiskFound::Unusable { .. }));
        assert_eq!(inspect(dir.path()).0, DiskFound::Blank);

        std::fs::write(dir.path().join("letter.txt"), "mine").unwrap();
        assert!(matches!(inspect(dir.path()).0, DiskFound::Unusable { .. }));
        assert!(format(dir.path(), &cluster("c"), DiskId(1), Medium::Ssd).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::remove_file(dir.path().join("letter.txt")).unwrap();

        // What a cut-off format leaves is still blank.
        std::fs::create_dir(dir.path().join("tablets")).unwrap();
        std::fs::create_dir(dir.path().join("lost+found")).unwrap();
        assert_eq!(inspect(dir.path()).0, DiskFound::Blank);
        std::fs::create_dir(dir.path().join("tablets/7")).unwrap();
        assert!(matches!(inspect(dir.path()).0, DiskFound::Unusable { .. }));
        std::fs::remove_dir(dir.path().join("tablets/7")).unwrap();

        format(dir.path(), &cluster("c"), DiskId(1), Medium::Ssd).unwrap();
        let found = inspect(dir.path());
        assert_eq!(found, (DiskFound::Known { disk: DiskId(1) }, Some(cluster("c")), Some(Epoch(0))));
        assert!(format(dir.path(), &cluster("c"), DiskId(2), Medium::Ssd).is_err());
    }

    /// The identity file is a format; another format number is refused whatever else it says.
    #[test]
    fn golden_identity_and_other_formats() {
        let dir = tempfile::tempdir().unwrap();
        format(dir.path(), &cluster("c1"), DiskId(3), Medium::Hdd).unwrap();
        let file = dir.path().join(IDENTITY);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, "format = 1\ncluster = \"c1\"\ndisk = 3\nmedium = \"HDD\"\nepoch = 0\n");
        std::fs::write(&file, "format = 2\nlayout = \"new\"\n").unwrap();
        let (found, ..) = inspect(dir.path());
        assert!(matches!(found, DiskFound::Unusable { cause } if cause.contains("format 2")));
        std::fs::write(&file, "junk").unwrap();
        assert!(matches!(inspect(dir.path()).0, DiskFound::Unusable { .. }));
    }
}
