//! File names from outside: relative, UTF-8, bounded, and never able to climb out of a replica.
//!
//! Everything that arrives from a client, a peer or a disk passes through [`RelPath::new`] before it is used;
//! opening happens beneath the replica's directory all the same (openat2), so this is the first of two walls.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::fmt;

/// Longest path in bytes. Leaves room for `data/<version>/` in front below Linux' PATH_MAX of 4096.
pub const PATH_BYTES_MAX: usize = 2048;
/// Longest component in bytes: NAME_MAX of every Linux file system.
pub const NAME_BYTES_MAX: usize = 255;

/// A checked relative path of a file in a tablet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RelPath(String);

/// Why a file name was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPath {
    #[error("a file name is empty")]
    Empty,
    #[error("the path `{0}` is longer than {PATH_BYTES_MAX} bytes")]
    TooLong(String),
    #[error("a name in `{0}` is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong(String),
    #[error("the path `{0}` is absolute; names in a tablet are relative")]
    Absolute(String),
    #[error("the path `{0}` has an empty, `.` or `..` component")]
    Dots(String),
    #[error("the path `{0}` contains a NUL byte")]
    Nul(String),
}

impl RelPath {
    /// Checks `text`: relative, no empty, `.` or `..` component, no NUL, at most [`PATH_BYTES_MAX`] bytes.
    pub fn new(text: impl Into<String>) -> Result<RelPath, BadPath> {
        let text = text.into();
        let shown = || text.chars().take(120).collect::<String>();
        if text.is_empty() {
            return Err(BadPath::Empty);
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(BadPath::TooLong(shown()));
        }
        if text.contains('\0') {
            return Err(BadPath::Nul(shown()));
        }
        if text.starts_with('/') {
            return Err(BadPath::Absolute(shown()));
        }
        for name in text.split('/') {
            if name.is_empty() || name == "." || name == ".." {
                return Err(BadPath::Dots(shown()));
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(BadPath::NameTooLong(shown()));
            }
        }
        Ok(RelPath(text))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bucket that this path belongs to: the first 8 bytes, little endian, of BLAKE3(path) modulo `buckets`.
    pub fn bucket(&self, buckets: u32) -> u32 {
        let hash = blake3::hash(self.0.as_bytes());
        let mut first = [0u8; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        (u64::from_le_bytes(first) % u64::from(buckets.max(1))) as u32
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RelPath::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No text that could leave a replica's directory becomes a path.
    #[test]
    fn names_that_climb_are_refused() {
        for bad in ["", "/", "/etc/passwd", "..", "a/../b", "a/..", "./a", "a//b", "a/", "a\0b", "a/./b"] {
            assert!(RelPath::new(bad).is_err(), "{bad:?}");
        }
        assert!(RelPath::new("a".repeat(256)).is_err());
        assert!(RelPath::new(format!("{}b", "a/".repeat(1024))).is_err());
        for good in ["a", "a/b.c", "...", "..a", "a b", "ü/\n", " ", "-"] {
            assert!(RelPath::new(good).is_ok(), "{good:?}");
        }
    }

    /// Buckets are part of the format: they may never change.
    #[test]
    fn buckets_are_pinned() {
        let bucket = |path: &str, n| RelPath::new(path).unwrap().bucket(n);
        assert_eq!([bucket("a", 16), bucket("b", 16), bucket("dir/file.txt", 16)], [7, 0, 14]);
        assert_eq!(bucket("anything", 1), 0);
    }
}
