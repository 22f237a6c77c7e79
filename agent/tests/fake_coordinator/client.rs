//! What a client of an agent does: loads and reads over HTTP.

use super::{TABLET, WAIT};
use std::collections::BTreeMap;
use std::io::Write as _;
use stele_common::api::{ErrorBody, LoadStaged};
use stele_common::peer::{FileHeader, LoadBegin, Member, PeerRequest, write_frame};
use stele_common::{
    Ballot, ClusterId, DatabaseId, Delta, Digest, Epoch, LoadId, LoadMode, NewFile, PartitionId, RelPath, ReplicaId,
    TableId, TabletLabel, Version, VersionHash,
};

pub fn label(replica: u64) -> TabletLabel {
    TabletLabel {
        cluster: ClusterId("f".repeat(32)),
        database: "d".into(),
        database_id: DatabaseId(1),
        table: "t".into(),
        table_id: TableId(2),
        partition: "p0".into(),
        partition_id: PartitionId(3),
        tablet: TABLET,
        bucket: 0,
        buckets: 1,
        replication: 2,
        replica: ReplicaId(replica),
        epoch: Epoch(1),
        ballot: Ballot(1),
    }
}

/// Files of a load: name and content.
pub type Files<'a> = &'a [(&'a str, Vec<u8>)];

pub fn delta(files: Files) -> Delta {
    let put = files.iter().map(|(path, content)| NewFile {
        path: RelPath::new(*path).unwrap(),
        size: content.len() as u64,
        digest: Digest::of(content),
    });
    Delta { mode: LoadMode::Add, put: put.collect(), remove: vec![] }
}

pub struct LoadOf<'a> {
    pub load: u64,
    pub replica: u64,
    pub parent: (u64, VersionHash),
    pub epoch: u64,
    pub files: Files<'a>,
    pub forward: Vec<Member>,
}

/// Sends a load as the CLI does.
pub fn put_load(http: &str, load: &LoadOf) -> Result<LoadStaged, ErrorBody> {
    let begin = LoadBegin {
        load: LoadId(load.load),
        tablet: TABLET,
        replica: ReplicaId(load.replica),
        epoch: Epoch(load.epoch),
        ballot: Ballot(1),
        parent: Version(load.parent.0),
        parent_hash: load.parent.1,
        version: Version(load.parent.0 + 1),
        hash: None,
        delta: delta(load.files),
        forward: load.forward.clone(),
    };
    let mut body = Vec::new();
    write_frame(&mut body, &PeerRequest::Load(begin.clone())).unwrap();
    for (file, (_, content)) in begin.delta.put.iter().zip(load.files) {
        write_frame(&mut body, &FileHeader { path: file.path.clone(), size: file.size, digest: file.digest }).unwrap();
        body.write_all(content).unwrap();
    }
    write_frame(&mut body, &PeerRequest::StreamEnd).unwrap();
    let url = format!("http://{http}/v1/loads/{}/tablets/{TABLET}", load.load);
    let mut answer = client().put(url).send(&body[..]).unwrap();
    match answer.status().as_u16() {
        200 => Ok(answer.body_mut().read_json().unwrap()),
        _ => Err(answer.body_mut().read_json().unwrap()),
    }
}

pub fn client() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(WAIT)).build().into()
}

pub struct Got {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

pub fn get(http: &str, path: &str, header: Option<(&str, &str)>) -> Got {
    let mut request = client().get(format!("http://{http}{path}"));
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let mut answer = request.call().unwrap();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_string()));
    Got {
        status: answer.status().as_u16(),
        headers: headers.collect(),
        body: answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap_or_default(),
    }
}
