//! Why something on a disk could not be done, and how that looks to the law book.
//!
//! The split that matters: *not there* (asked and answered), *damaged* (there, but not what it must be) and
//! *unreadable* (`Io`: nothing is known). The last never turns into one of the others.

use rustix::io::Errno;
use std::io;
use stele_agent_rules::OpFailure;
use stele_common::TaskFailure;

/// Why a disk did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file system failed; the disk is suspect.
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("no space left on the disk for {what}")]
    Full { what: String },
    /// The directory was read and has no such thing.
    #[error("{what} is not on this disk")]
    NotFound { what: String },
    /// It is there and is not what its manifest or its format says.
    #[error("{what} is damaged: {cause}")]
    Damaged { what: String, cause: String },
    /// What was brought cannot become what was agreed.
    #[error("{detail}")]
    Mismatch { detail: String },
    /// Bytes that arrived fail their digest.
    #[error("the bytes that arrived for `{path}` do not match their digest")]
    WrongBytes { path: String },
    /// Another stream has it in hand.
    #[error("{what} is busy")]
    Busy { what: String },
    /// This directory may not be used: foreign, not blank, of an unknown format, or in use by another process.
    #[error("{cause}")]
    Unusable { cause: String },
}

/// What is done with an `io::Error`: it gets the name of what was tried.
pub(crate) trait Tried<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, DiskError>;
}

impl<T> Tried<T> for io::Result<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, DiskError> {
        self.map_err(|error| DiskError::of(what(), error))
    }
}

impl<T> Tried<T> for rustix::io::Result<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, DiskError> {
        self.map_err(|error| DiskError::of(what(), error.into()))
    }
}

impl DiskError {
    /// Sorts an error of the file system.
    pub(crate) fn of(what: String, source: io::Error) -> DiskError {
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => DiskError::Full { what },
            Some(Errno::NOENT) => DiskError::NotFound { what },
            // A link, or a file where a directory must be: refused by openat2 or by the kind of the file.
            Some(Errno::LOOP | Errno::XDEV | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO) => {
                DiskError::Damaged { what, cause: format!("it is not a plain file ({source})") }
            }
            _ => DiskError::Io { what, source },
        }
    }

    pub(crate) fn damaged(what: impl Into<String>, cause: impl Into<String>) -> DiskError {
        DiskError::Damaged { what: what.into(), cause: cause.into() }
    }

    pub(crate) fn mismatch(detail: impl Into<String>) -> DiskError {
        DiskError::Mismatch { detail: detail.into() }
    }

    /// The same for the law book, for every op but a copy.
    pub fn failure(self) -> OpFailure {
        match self {
            DiskError::Io { .. } | DiskError::Unusable { .. } => OpFailure::Disk { detail: self.to_string() },
            DiskError::Full { .. } => OpFailure::Full,
            DiskError::NotFound { .. } => OpFailure::NotFound,
            DiskError::Damaged { .. }
            | DiskError::Mismatch { .. }
            | DiskError::WrongBytes { .. }
            | DiskError::Busy { .. } => OpFailure::Mismatch { detail: self.to_string() },
        }
    }

    /// The same for the law book when a copy failed on this side.
    pub fn copy_failure(self) -> OpFailure {
        match self {
            DiskError::Io { .. } | DiskError::Unusable { .. } => OpFailure::Disk { detail: self.to_string() },
            DiskError::Full { .. } => OpFailure::Copy(TaskFailure::DiskFull),
            DiskError::WrongBytes { path } => OpFailure::Copy(TaskFailure::SourceDamaged { path }),
            DiskError::NotFound { .. }
            | DiskError::Damaged { .. }
            | DiskError::Mismatch { .. }
            | DiskError::Busy { .. } => OpFailure::Copy(TaskFailure::Refused { detail: self.to_string() }),
        }
    }
}
