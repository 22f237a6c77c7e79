//! Taking a load that its primary forwards: staged, checked, made durable, told to the disk's owner, then answered.

use super::{Conversation, Ended};
use crate::disk::{DiskError, LoadWriter};
use crate::net::host::PeerCounter;
use crate::net::peer_line::{HANDSHAKE_WAIT, Line};
use std::io::{self, BufRead, BufReader, Read};
use std::net::Shutdown;
use stele_agent_rules::event::EventBody;
use stele_common::handshake::HANDSHAKE_FRAME_MAX;
use stele_common::peer::{FileHeader, LoadBegin, PeerReply, PeerRequest, read_frame};

/// A load that failed is read on for this many bytes, so that the reason reaches the primary before a reset does.
const DRAIN_BYTES: u64 = 16 * 1024 * 1024;

impl Conversation<'_> {
    /// Takes a forwarded load.
    pub(super) fn load(&mut self, begin: LoadBegin) -> Result<(), Ended> {
        let admitted = self.host.admit_load(&begin).and_then(|()| {
            let disk = self.disk_of(begin.replica)?;
            let writer = disk.stage_load(&begin).map_err(|error| self.refusal(disk.disk(), begin.replica, error))?;
            Ok((disk, writer))
        });
        let (disk, writer) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return Ok(self.sender.say(&PeerReply::Error(error))?),
        };
        self.sender.say(&PeerReply::Ready)?;
        self.reader.get_mut().lively();
        match receive(&mut self.reader, writer, &begin) {
            Ok(staged) => {
                let (hash, bytes) = (staged.hash, staged.bytes);
                let told = EventBody::LoadStaged { load: begin.load, tablet: begin.tablet, staged };
                self.host.tell(disk.disk(), told);
                self.host.count(PeerCounter::LoadBytes, bytes);
                Ok(self.sender.say(&PeerReply::LoadStaged { hash, bytes })?)
            }
            Err(LoadFailure::Ended(ended)) => Err(ended),
            Err(LoadFailure::Disk(error)) => {
                let error = self.refusal(disk.disk(), begin.replica, error);
                let detail = error.to_string();
                self.sender.say(&PeerReply::Error(error))?;
                self.drain()?;
                Err(Ended::Line(io::Error::other(detail)))
            }
        }
    }

    /// Reads on for a moment after an error was said, so that it is not lost in a reset.
    fn drain(&mut self) -> io::Result<()> {
        self.reader.get_ref().stream().shutdown(Shutdown::Write)?;
        self.reader.get_mut().all_within(HANDSHAKE_WAIT.min(self.idle));
        io::copy(&mut (&mut self.reader).take(DRAIN_BYTES), &mut io::sink())?;
        Ok(())
    }
}

/// Why a forwarded load was not staged.
enum LoadFailure {
    Ended(Ended),
    Disk(DiskError),
}

impl<E: Into<Ended>> From<E> for LoadFailure {
    fn from(error: E) -> Self {
        LoadFailure::Ended(error.into())
    }
}

/// The files of a load in the order of its delta, then its end. Dropping the writer removes what came.
fn receive(
    reader: &mut BufReader<Line<'static>>,
    mut writer: LoadWriter,
    begin: &LoadBegin,
) -> Result<stele_agent_rules::book::Staged, LoadFailure> {
    for _ in &begin.delta.put {
        let header: FileHeader = read_frame(reader, HANDSHAKE_FRAME_MAX)?;
        writer.begin_file(&header).map_err(LoadFailure::Disk)?;
        let mut left = header.size;
        while left > 0 {
            let bytes = reader.fill_buf()?;
            if bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            writer.write(&bytes[..taken]).map_err(LoadFailure::Disk)?;
            reader.consume(taken);
            left -= taken as u64;
        }
        writer.end_file().map_err(LoadFailure::Disk)?;
    }
    match read_frame(reader, HANDSHAKE_FRAME_MAX)? {
        PeerRequest::StreamEnd => writer.finish().map_err(LoadFailure::Disk),
        PeerRequest::Hello { .. }
        | PeerRequest::Proof { .. }
        | PeerRequest::Manifest { .. }
        | PeerRequest::Fetch { .. }
        | PeerRequest::Doubt { .. }
        | PeerRequest::Load(_) => Err(LoadFailure::Ended(Ended::Malformed("a load ends with its end".into()))),
    }
}
