//! Giving manifests and files to another agent, out of good, bad and trashed replicas alike.
//!
//! Bytes are sent as they lie on the disk; the receiver checks them. A file that is not there, or has another length than
//! was asked for, is never begun: the answer is Lacks, and the next one follows. A receiver that got damaged bytes says so;
//! its word alone changes nothing: the file is read here and judged here.

use super::{Conversation, Ended};
use crate::disk::DiskError;
use crate::net::host::PeerCounter;
use crate::net::peer_stream::{Pace, SendError};
use std::io;
use stele_agent_rules::event::EventBody;
use stele_common::peer::{FileHeader, PeerError, PeerErrorCode, PeerReply, Wanted};
use stele_common::{RelPath, ReplicaId, TabletId, TaskType, Version};

impl Conversation<'_> {
    /// The papers of a version, which is pinned from now on.
    pub(super) fn manifest(
        &mut self,
        tablet: TabletId,
        replica: ReplicaId,
        version: Option<Version>,
    ) -> Result<PeerReply, PeerError> {
        let disk = self.disk_of(replica)?;
        let open = disk.offer(tablet, replica, version);
        let open = open.map_err(|error| self.refusal(disk.disk(), replica, error))?;
        let version = open.meta.version;
        if self.named.insert((replica, version), disk.disk()).is_none() {
            self.host.tell(disk.disk(), EventBody::Pinned { replica, version });
        }
        Ok(PeerReply::Manifest { meta: open.meta_text.clone(), b3: open.b3_text.clone() })
    }

    /// Streams files of a replica; what cannot be given is said, and does not hold up what can.
    pub(super) fn send(
        &mut self,
        tablet: TabletId,
        replica: ReplicaId,
        files: &[Wanted],
        purpose: TaskType,
    ) -> Result<(), Ended> {
        let host = self.host;
        let disk = match self.disk_of(replica) {
            Ok(disk) => disk,
            Err(error) => return Ok(self.sender.say(&PeerReply::Error(error))?),
        };
        let mut giver = match disk.giver(tablet, replica) {
            Ok(giver) => giver,
            Err(error) => {
                let error = self.refusal(disk.disk(), replica, error);
                return Ok(self.sender.say(&PeerReply::Error(error))?);
            }
        };
        let pace = Pace { piece: &|| host.piece(purpose), passed: &|bytes| host.passed(purpose, disk.disk(), bytes) };
        let (mut bytes, mut sent) = (0, 0);
        // What cannot be read is said of each file, and once of the disk.
        let mut unread: Option<String> = None;
        for Wanted { path, entry } in files {
            let mut file = match giver.open(path, entry) {
                Ok(file) => file,
                Err(DiskError::Io { what, source }) => {
                    unread.get_or_insert_with(|| format!("{what}: {source}"));
                    self.lacks(path, PeerErrorCode::DiskFailed, format!("{what}: {source}"))?;
                    continue;
                }
                Err(error) => {
                    let PeerError { code, detail } = self.refusal(disk.disk(), replica, error);
                    self.lacks(path, code, detail)?;
                    continue;
                }
            };
            let header = FileHeader { path: path.clone(), size: entry.size, digest: entry.digest };
            match self.sender.file(&header, &mut file, &pace) {
                Ok(()) => {}
                Err(SendError::Line(error)) => return Err(Ended::Line(error)),
                Err(SendError::Unread(error)) => {
                    let detail = format!("`{path}` cannot be read: {error}");
                    unread.get_or_insert_with(|| detail.clone());
                    self.lacks(path, PeerErrorCode::DiskFailed, detail)?;
                    continue;
                }
                Err(SendError::File(error)) => {
                    // Its header may be on the way: only closing the connection says that it is not whole.
                    self.disk_failed(disk.disk(), format!("`{path}` cannot be read: {error}"));
                    return Err(Ended::Line(error));
                }
            }
            bytes += entry.size;
            sent += 1;
        }
        if let Some(detail) = unread {
            self.disk_failed(disk.disk(), detail);
        }
        self.sender.say(&PeerReply::FetchEnd)?;
        self.host.count(PeerCounter::BytesSent, bytes);
        self.host.count(PeerCounter::FilesSent, sent);
        Ok(())
    }

    fn lacks(&mut self, path: &RelPath, code: PeerErrorCode, detail: String) -> io::Result<()> {
        self.sender.queue(&PeerReply::Lacks { path: path.clone(), error: PeerError { code, detail } })
    }

    /// A receiver says that a file came damaged.
    pub(super) fn doubted(&self, tablet: TabletId, replica: ReplicaId, file: &Wanted) {
        self.host.count(PeerCounter::Doubted, 1);
        let Ok(disk) = self.disk_of(replica) else { return };
        match disk.look_again(tablet, replica, &file.path, &file.entry) {
            Ok(None) => {
                let path = file.path.as_str();
                tracing::warn!(
                    tablet = tablet.0,
                    replica = replica.0,
                    disk = disk.disk().0,
                    path,
                    "a peer got this file damaged; nothing is found against it here"
                );
            }
            Ok(Some(cause)) => {
                self.host.count(PeerCounter::Damaged, 1);
                self.host.tell(disk.disk(), EventBody::FoundDamaged { replica, cause });
            }
            Err(error) => {
                // Judged for what it does to the disk; the peer does not wait for an answer.
                self.refusal(disk.disk(), replica, error);
            }
        }
    }
}
