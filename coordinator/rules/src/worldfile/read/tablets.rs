//! Tablets and their replicas out of a file.
//!
//! In: their shapes. Out: tablets in the world, in the file's order. A version's hash is made up where the file does
//! not tell it, the same for every replica at that version; one with another hash is bad, as it would be at its report.

use super::super::format::{FileReplica, FileTablet, Told};
use super::super::names::Kind;
use super::{BadFile, Draft, REPLICATION, Reader};
use crate::policy::{LeaseScope, Partition, Table, TableState};
use crate::world::{Replica, SeenReplica, Tablet, VersionRecord};
use stele_common::{
    Ballot, BootId, DatabaseId, Digest, LoadId, Medium, NodeId, ReplicaId, ReplicaState, TableId, TabletId, Version,
    VersionHash,
};

/// The partition of a tablet that names none.
const PARTITION: &str = "p0";

impl Reader {
    pub(super) fn tablets(&mut self, tablets: Vec<FileTablet>) -> Result<(), BadFile> {
        self.order.reserve(tablets.len());
        for tablet in tablets {
            let id = TabletId(self.names.inside(Kind::Tablet, tablet.id));
            if self.world.tablets.get(id).is_some() {
                return Err(BadFile::at(format!("tablet {}", tablet.id), "it stands in the file twice"));
            }
            self.tablet(id, tablet)?;
        }
        Ok(())
    }

    fn tablet(&mut self, id: TabletId, file: FileTablet) -> Result<(), BadFile> {
        let table = TableId(self.names.inside(Kind::Table, file.table));
        if !self.tables.contains_key(&table) {
            self.unlisted(table, &file)?;
        }
        let partition = self.partition(table, file.partition.as_deref(), id);
        let shapes = file.replicas.unwrap_or_default();
        let highest = shapes.iter().map(|replica| replica.version).max().unwrap_or(0);
        let visible = Version(file.visible_version.unwrap_or(u64::try_from(highest).unwrap_or(0)));
        let committed = file.committed_version.map_or(visible, Version).max(visible);
        let versions =
            Versions { visible, committed, committed_hash: file.version_hash, visible_hash: file.visible_hash };
        let mut primary = None;
        let mut replicas: Vec<Replica> = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let place = || format!("tablet {}, replica {}", file.id, shape.id);
            let replica = self.replica(id, &versions, &shape);
            if replicas.iter().any(|other| other.id == replica.id) {
                return Err(BadFile::at(place(), "it stands in the tablet twice"));
            }
            if shape.role.as_deref().is_some_and(|role| role.eq_ignore_ascii_case("primary")) {
                primary = Some(replica.id);
            }
            replicas.push(replica);
        }
        let unhealthy_since = match file.unhealthy_since_ms {
            Told::Missing => Some(self.times.moment(0)),
            Told::Null => None,
            Told::Is(ms) => Some(self.times.moment(ms)),
        };
        if file.urgent.unwrap_or(false) {
            self.grant(LeaseScope::UrgentTablet { tablet: id }, file.urgent_until_ms);
        }
        let tablet = Tablet {
            id,
            table,
            partition: partition.id,
            bucket: file.bucket.unwrap_or(0),
            wanted: partition.replication,
            medium: partition.medium,
            visible,
            committed,
            versions: versions.records(id, &replicas),
            ballot: Ballot(file.ballot.unwrap_or(0)),
            primary,
            replicas,
            revision: 1,
            load: None,
            unhealthy_since,
        };
        self.order.push(id);
        self.world.tablets.insert(tablet);
        Ok(())
    }

    fn replica(&mut self, tablet: TabletId, versions: &Versions, file: &FileReplica) -> Replica {
        let id = ReplicaId(self.names.inside(Kind::Replica, file.id));
        let node = NodeId(self.names.inside(Kind::Node, file.node));
        let disk = self.names.disk(node, file.path_hash);
        let state = file.state.unwrap_or(ReplicaState::Normal);
        let version = Version(u64::try_from(file.version).unwrap_or(0));
        let (hash, is_other) = versions.hash(tablet, version, file.version_hash);
        let cause = || file.bad_cause.clone().unwrap_or_else(|| "the world file calls it bad".into());
        let bad = match file.bad.unwrap_or(false) {
            true => Some(cause()),
            false => is_other.then(|| format!("its version {version} is not the one that was committed")),
        };
        // A copy in the making shows itself only when it has something to show.
        let is_begun = state != ReplicaState::Clone || version > Version::EMPTY;
        let seen = file.seen.unwrap_or(is_begun).then(|| SeenReplica {
            boot: BootId(node.0),
            seq: 1,
            version,
            hash,
            pending: Version(file.last_success_version.unwrap_or(file.version).try_into().unwrap_or(0)),
            failed: file
                .last_failed_version
                .and_then(|failed| u64::try_from(failed).ok())
                .filter(|v| *v > 0)
                .map(Version),
            size: file.size,
            files: 0,
            oldest: Version::EMPTY,
            verified: match file.verified_ms {
                Told::Missing => Some(self.times.now()),
                Told::Null => None,
                Told::Is(ms) => Some(self.times.moment(ms)),
            },
            confirmed: None,
            bad: None,
            behind: file.behind_ms.map(|ms| self.times.before(ms.max(0))),
        });
        let further_repair = file.further_repair_since_ms.map(|ms| self.times.moment(ms));
        let replaced_by = file.replaced_by.map(|by| ReplicaId(self.names.inside(Kind::Replica, by)));
        Replica { id, node, disk, state, bad, version, replaced_by, seen, further_repair }
    }

    /// The tablet's partition: one that the table does not list has the table's policy.
    fn partition(&mut self, table: TableId, name: Option<&str>, tablet: TabletId) -> Place {
        let draft = self.tables.get_mut(&table).expect("it was listed, or made up just now");
        let partitions = &mut draft.table.partitions;
        let found = match name {
            Some(name) => partitions.iter().position(|partition| partition.name == name),
            None => (!partitions.is_empty()).then_some(0),
        };
        let index = found.unwrap_or_else(|| {
            partitions.push(Partition {
                id: stele_common::PartitionId(self.names.nameless()),
                name: name.unwrap_or(PARTITION).into(),
                medium: draft.medium,
                replication: draft.replication,
                tablets: Vec::new(),
            });
            partitions.len() - 1
        });
        let partition = &mut partitions[index];
        partition.tablets.push(tablet);
        Place { id: partition.id, medium: partition.medium, replication: partition.replication }
    }

    /// A tablet of a table that the file does not list: a mistake, unless the file lists none at all.
    fn unlisted(&mut self, id: TableId, file: &FileTablet) -> Result<(), BadFile> {
        if self.tables_listed {
            return Err(BadFile::at(format!("tablet {}", file.id), format!("there is no table {}", file.table)));
        }
        let (db, name, medium, replication) =
            (String::new(), format!("table_{}", file.table), Medium::Hdd, REPLICATION);
        if self.tables.is_empty() {
            self.warnings.push(format!("the file lists no tables: {REPLICATION} copies on HDD are taken as wanted"));
            let db_id = DatabaseId(self.names.nameless());
            self.world.databases.insert(db.clone(), db_id);
        }
        let db_id = self.world.databases[&db];
        let (tag, group, state, partitions) = (crate::policy::DEFAULT_TAG.into(), None, TableState::Normal, Vec::new());
        let table = Table { id, db, db_id, name, buckets: 0, tag, group, state, partitions, columns: String::new() };
        self.tables.insert(id, Draft { table, medium, replication });
        Ok(())
    }
}

/// What a tablet takes from its partition.
struct Place {
    id: stele_common::PartitionId,
    medium: Medium,
    replication: u32,
}

/// The versions of a tablet that have a record, with the hashes that the file tells.
struct Versions {
    visible: Version,
    committed: Version,
    visible_hash: Option<VersionHash>,
    committed_hash: Option<VersionHash>,
}

impl Versions {
    /// The hash that a replica at this version has, and whether it is not the one on record. Where the file tells no
    /// hash of the version there is nothing to judge by.
    fn hash(&self, tablet: TabletId, version: Version, told: Option<VersionHash>) -> (VersionHash, bool) {
        let recorded = match version {
            Version::EMPTY => Some(Digest::ZERO),
            version if version == self.committed => self.committed_hash,
            version if version == self.visible => self.visible_hash,
            _ => return (told.unwrap_or_else(|| made_up(tablet, version)), false),
        };
        match (recorded, told) {
            (Some(recorded), Some(told)) => (told, told != recorded),
            (Some(recorded), None) => (recorded, false),
            (None, _) => (made_up(tablet, version), false),
        }
    }

    /// Held by whoever is as far.
    fn records(&self, tablet: TabletId, replicas: &[Replica]) -> Vec<VersionRecord> {
        let holders = |version: Version| {
            let holds = |replica: &&Replica| {
                replica.bad.is_none() && replica.state != ReplicaState::Clone && replica.version >= version
            };
            replicas.iter().filter(holds).map(|replica| replica.id).collect()
        };
        let record = |version: Version, parent: Version, hash: VersionHash| VersionRecord {
            version,
            parent,
            hash,
            load: LoadId(0),
            holders: holders(version),
            superseded: None,
        };
        let before = |version: Version| Version(version.0.saturating_sub(1));
        let mut records = Vec::with_capacity(1);
        if self.visible > Version::EMPTY && self.visible < self.committed {
            let hash = self.visible_hash.unwrap_or_else(|| made_up(tablet, self.visible));
            records.push(record(self.visible, before(self.visible), hash));
        }
        if self.committed > Version::EMPTY {
            let hash = self.committed_hash.unwrap_or_else(|| made_up(tablet, self.committed));
            records.push(record(self.committed, before(self.committed), hash));
        }
        records
    }
}

/// A hash that no other version of any tablet of the file has.
fn made_up(tablet: TabletId, version: Version) -> VersionHash {
    if version == Version::EMPTY {
        return Digest::ZERO;
    }
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&tablet.0.to_be_bytes());
    bytes[8..16].copy_from_slice(&version.0.to_be_bytes());
    Digest(bytes)
}
