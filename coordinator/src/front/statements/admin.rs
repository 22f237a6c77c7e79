//! The family of ADMIN: repair first, a person's word on a replica, reading copies anew, knobs.

use super::compare::Pattern;
use super::fault::Fault;
use super::format;
use super::rows::{Row, Table as Listed, Value, row};
use super::stmt::Part;
use super::{Engine, Moment, Outcome, Session, names, replica};
use crate::front::view::settings;
use crate::published::Published;
use stele_common::api::{KnobAsk, KnobInfo, LeaseAsk, LeaseOn, ReplicaSet, ReplicaWord, VerifyStart};
use stele_common::config::knobs::{self, Value as KnobValue};
use stele_common::{NodeId, TabletId};
use stele_coordinator_rules::world::{LeaseScope, Partition, Table};
use stele_coordinator_rules::{Answer, EventBody};

/// How long a table stays urgent: the originals' four hours.
const URGENT_MS: u64 = 4 * 3_600_000;

/// ADMIN REPAIR TABLE: its sick tablets go first for four hours.
pub async fn repair(engine: &Engine, session: &Session, part: &Part) -> Result<Outcome, Fault> {
    for on in urgencies(engine, session, part)? {
        let ask = LeaseAsk { on, for_ms: URGENT_MS, owner: session.owner(), reason: "ADMIN REPAIR TABLE".into() };
        engine.ask.catalog(EventBody::GrantLease(ask)).await?;
    }
    Ok(Outcome::done())
}

fn urgencies(engine: &Engine, session: &Session, part: &Part) -> Result<Vec<LeaseOn>, Fault> {
    let published = engine.ask.now();
    let table = names::table(&published.world, session, &part.table)?;
    replica::partitions(table, &part.partitions)?;
    let urgent = |partition| LeaseOn::Urgent { table: format!("{}.{}", table.db, table.name), partition };
    Ok(match part.partitions.as_slice() {
        [] => vec![urgent(None)],
        some => some.iter().map(|partition| urgent(Some(partition.clone()))).collect(),
    })
}

/// ADMIN CANCEL REPAIR TABLE: takes it back; of a whole table, that of its partitions too. Of a partition whose table is
/// urgent as a whole, the others stay urgent, each for itself and for as long as the table was to be.
pub async fn cancel_repair(engine: &Engine, session: &Session, part: &Part) -> Result<Outcome, Fault> {
    let published = engine.ask.now();
    let table = names::table(&published.world, session, &part.table)?;
    let wanted = replica::partitions(table, &part.partitions)?;
    let is_whole = part.partitions.is_empty();
    let leases = published.world.leases.values().filter(|lease| match &lease.scope {
        LeaseScope::Urgent { table: of, partition } if *of == table.id => match partition {
            None => is_whole,
            Some(id) => wanted.iter().any(|partition| partition.id == *id),
        },
        LeaseScope::Urgent { .. }
        | LeaseScope::Maintenance { .. }
        | LeaseScope::UrgentTablet { .. }
        | LeaseScope::Pause { .. } => false,
    });
    let mut ids: Vec<u64> = leases.map(|lease| lease.id).collect();
    if !is_whole {
        ids.extend(split(engine, &published, table, &wanted).await?);
    }
    for id in &ids {
        engine.ask.catalog(EventBody::EndLease { id: *id }).await?;
    }
    Ok(Outcome::Done { affected: ids.len() as u64, message: String::new() })
}

/// Makes the table's partitions but these urgent for themselves, where the table is. What it returns is to be ended then.
async fn split(
    engine: &Engine,
    published: &Published,
    table: &Table,
    without: &[&Partition],
) -> Result<Vec<u64>, Fault> {
    let whole = LeaseScope::Urgent { table: table.id, partition: None };
    let (at, mut ended) = (engine.ask.clock().tick(), Vec::new());
    for lease in published.world.leases.about(&whole) {
        let left = lease.until.map_or(URGENT_MS, |until| until.since(at));
        // What is urgent for longer by itself stays so.
        let is_longer = |one: &&Partition| {
            let scope = LeaseScope::Urgent { table: table.id, partition: Some(one.id) };
            published.world.leases.about(&scope).any(|own| own.until.is_none_or(|until| until.since(at) >= left))
        };
        let others = table.partitions.iter().filter(|one| without.iter().all(|other| other.id != one.id));
        let others = others.filter(|one| !is_longer(one));
        for other in others.filter(|_| left > 0) {
            let on =
                LeaseOn::Urgent { table: format!("{}.{}", table.db, table.name), partition: Some(other.name.clone()) };
            let (owner, reason) = (lease.owner.clone(), lease.reason.clone());
            engine.ask.catalog(EventBody::GrantLease(LeaseAsk { on, for_ms: left, owner, reason })).await?;
        }
        ended.push(lease.id);
    }
    Ok(ended)
}

/// What stands in a statement's PROPERTIES, by name.
pub struct Properties<'a>(pub &'a [(String, String)]);

impl Properties<'_> {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn only(&self, names: &[&str]) -> Result<(), Fault> {
        match self.0.iter().find(|(known, _)| !names.iter().any(|name| known.eq_ignore_ascii_case(name))) {
            Some((other, _)) => {
                Err(Fault::syntax(format!("there is no property \"{other}\" here: {}", names.join(", "))))
            }
            None => Ok(()),
        }
    }

    fn number(&self, name: &str) -> Result<u64, Fault> {
        let text = self.get(name).ok_or_else(|| Fault::syntax(format!("the property \"{name}\" is missing")))?;
        text.parse().map_err(|_| Fault::syntax(format!("\"{name}\" = \"{text}\" is not a number")))
    }
}

/// ADMIN SET REPLICA STATUS.
pub async fn set_replica(
    engine: &Engine,
    session: &Session,
    properties: &[(String, String)],
) -> Result<Outcome, Fault> {
    let properties = Properties(properties);
    properties.only(&["tablet_id", "backend_id", "status"])?;
    let (tablet, node) = (TabletId(properties.number("tablet_id")?), NodeId(properties.number("backend_id")?));
    let state = match properties.get("status").map(str::to_ascii_lowercase).as_deref() {
        Some("bad") => ReplicaWord::Bad,
        Some("ok") => ReplicaWord::Ok,
        Some(other) => return Err(Fault::syntax(format!("\"status\" is \"ok\" or \"bad\", not \"{other}\""))),
        None => return Err(Fault::syntax("the property \"status\" is missing: \"ok\" or \"bad\"")),
    };
    let published = engine.ask.now();
    let found =
        published.world.tablets.get(tablet).ok_or_else(|| Fault::not_found(format!("there is no tablet {tablet}")))?;
    let replica = found.replicas.iter().find(|replica| replica.node == node);
    let replica =
        replica.ok_or_else(|| Fault::not_found(format!("tablet {tablet} has no replica on backend {node}")))?;
    let wish = ReplicaSet { state, owner: session.owner(), reason: "ADMIN SET REPLICA STATUS".into() };
    engine.ask.catalog(EventBody::SetReplica { tablet, replica: replica.id, wish }).await?;
    Ok(Outcome::done())
}

/// ADMIN CHECK TABLET: every copy of them is read through and held against its digests.
pub async fn check_tablets(
    engine: &Engine,
    tablets: &[u64],
    properties: &[(String, String)],
) -> Result<Outcome, Fault> {
    let properties = Properties(properties);
    properties.only(&["type"])?;
    match properties.get("type") {
        None => {}
        Some(kind) if kind.eq_ignore_ascii_case("consistency") => {}
        Some(other) => return Err(Fault::syntax(format!("\"type\" is \"consistency\", not \"{other}\""))),
    }
    let tablets: Vec<TabletId> = tablets.iter().map(|id| TabletId(*id)).collect();
    let published = engine.ask.now();
    if let Some(unknown) = tablets.iter().find(|id| published.world.tablets.get(**id).is_none()) {
        return Err(Fault::not_found(format!("there is no tablet {unknown}")));
    }
    let affected = tablets.len() as u64;
    let answer = engine.ask.catalog(EventBody::Verify(VerifyStart { table: None, tablets })).await?;
    let message = match answer {
        Answer::Verification(id) => format!("verification {id} has begun: GET /v1/verify/{id} follows it"),
        Answer::Handshake(_)
        | Answer::Table(_)
        | Answer::Load(_)
        | Answer::Evacuation(_)
        | Answer::Undrained(_)
        | Answer::Removal(_)
        | Answer::Plan(_)
        | Answer::Lease(_)
        | Answer::Started(_)
        | Answer::Done
        | Answer::Refused(_) => return Err(Fault::ending()),
    };
    Ok(Outcome::Done { affected, message })
}

/// ADMIN SET FRONTEND CONFIG.
pub async fn set_config(engine: &Engine, session: &Session, properties: &[(String, String)]) -> Result<Outcome, Fault> {
    for (name, value) in properties {
        let ask = KnobAsk {
            value: KnobValue::Text(value.clone()),
            by: session.owner(),
            reason: "ADMIN SET FRONTEND CONFIG".into(),
        };
        engine.ask.catalog(EventBody::SetKnob { name: name.clone(), ask }).await?;
    }
    Ok(Outcome::Done { affected: properties.len() as u64, message: String::new() })
}

const CONFIG: &[&str] =
    &["Key", "AliasNames", "Value", "Type", "IsMutable", "Comment", "Default", "Range", "Source", "SetBy", "SetAt"];

/// ADMIN SHOW FRONTEND CONFIG: a pattern fits a knob's own name or one of the originals', with each prefix that SET takes
/// if the pattern has it in it.
pub fn config<'a>(moment: &Moment, like: Option<&str>) -> Listed<'a> {
    let pattern = like.map(Pattern::of);
    let asked = like.unwrap_or_default().to_lowercase().replace('\\', "");
    let prefixes: Vec<&str> =
        knobs::PREFIXES.into_iter().filter(|prefix| asked.contains(prefix.trim_end_matches('_'))).collect();
    let fits_one = |like: &Pattern, name: &str| {
        like.fits(name) || prefixes.iter().any(|prefix| like.fits(&format!("{prefix}{name}")))
    };
    let fits = |knob: &KnobInfo| {
        let mut names = std::iter::once(&knob.name).chain(&knob.aliases);
        pattern.as_ref().is_none_or(|like| names.any(|name| fits_one(like, name)))
    };
    let knobs = settings::knobs(moment.world(), knobs::all()).knobs;
    Listed::of(CONFIG, knobs.iter().filter(|knob| fits(knob)).map(|knob| one_knob(moment, knob)).collect())
}

fn one_knob(moment: &Moment, knob: &KnobInfo) -> Row {
    let set = moment.world().settings.live.get(&*knob.name).filter(|_| knob.set_at.is_some());
    let kind = match knob.value {
        KnobValue::Whole(_) => "long",
        KnobValue::Real(_) => "double",
        KnobValue::Flag(_) => "boolean",
        KnobValue::Text(_) | KnobValue::Names(_) => "String",
    };
    row![
        knob.name.as_str(),
        format!("[{}]", knob.aliases.join(", ")),
        knob.value.to_string(),
        kind,
        knob.live,
        knob.meaning.as_str(),
        knob.default.to_string(),
        knob.range.as_str(),
        knob.source.as_str(),
        knob.set_by.clone().unwrap_or_default(),
        set.map_or_else(|| Value::text(""), |setting| format::time(setting.wall_ms)),
    ]
}
