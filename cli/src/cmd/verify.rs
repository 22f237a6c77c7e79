//! `stele verify`: every copy read and held against its digests. 0 clean, 2 found something, 1 could not read all.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::http::Face;
use crate::names::TableName;
use crate::{bar, reader, shapes, table};
use clap::Args;
use std::time::{Duration, Instant};
use stele_common::TabletStatus;
use stele_common::api::{Tablets, Verification, VerifyStart};

#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 all clean, 2 damage found (its repair is queued), 1 some copy could not be read.

Examples:
  stele verify
  stele verify d.t --wait")]
pub struct VerifyArgs {
    /// [DB.]TABLE; everything unless given
    table: Option<TableName>,
    /// When damage is found, wait until it is repaired
    #[arg(long)]
    wait: bool,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
}

pub fn run(global: &Global, args: &VerifyArgs) -> Outcome {
    let face = global.face();
    if let Some(table) = args.table.as_ref().filter(|table| table.partition.is_some()) {
        return Err(Failure::usage(format!("{table} names a partition; a whole table is verified")));
    }
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let found = read_all(&face, args.table.as_ref(), deadline)?;
    global.printer().one(&found, shapes::verification)?;
    let exit = verdict(&found);
    if exit == Exit::Refused {
        if args.wait {
            wait_healthy(&face, args.table.as_ref(), deadline)?;
        }
        if !global.printer().is_data() {
            let after = if args.wait {
                "all tablets are HEALTHY again"
            } else {
                "their repair is queued; see 'stele task list'"
            };
            table::line(&format!("{} found; {after}", table::plural(found.found.len() as u64, "damaged replica")))?;
        }
    }
    Ok(exit)
}

fn verdict(found: &Verification) -> Exit {
    match (found.found.is_empty(), found.unreachable.is_empty()) {
        (false, _) => Exit::Refused,
        (true, false) => Exit::Error,
        (true, true) => Exit::Done,
    }
}

/// Starts a verification and follows it to its end.
pub fn read_all(face: &Face, table: Option<&TableName>, deadline: Instant) -> Result<Verification, Failure> {
    let start = VerifyStart { table: table.map(TableName::full), tablets: Vec::new() };
    let mut found: Verification = face.post("/v1/verify", &start)?;
    let progress = bar::bytes("verify", found.bytes);
    while !found.done {
        if Instant::now() >= deadline {
            return Err(Failure::timeout(format!("verification {} has not ended in time", found.id))
                .next("it goes on; see 'stele status'"));
        }
        std::thread::sleep(Duration::from_millis(100));
        found = face.get(&format!("/v1/verify/{}", found.id), &[])?;
        progress.set_length(found.bytes);
        progress.set_position(found.bytes_done);
        progress.set_message(format!("{} damaged", found.found.len()));
    }
    progress.finish_and_clear();
    Ok(found)
}

/// Waits until every tablet is HEALTHY, of the table or of all.
pub fn wait_healthy(face: &Face, table: Option<&TableName>, deadline: Instant) -> Result<(), Failure> {
    let progress = bar::spinner("repair");
    loop {
        let tablets = match table {
            Some(table) => reader::tablets(face, table)?,
            None => face.list::<Tablets>("/v1/tablets", &[])?.tablets,
        };
        let ill = tablets.iter().filter(|tablet| tablet.status != TabletStatus::Healthy);
        let Some(first) = ill.clone().next() else {
            progress.finish_and_clear();
            return Ok(());
        };
        if Instant::now() >= deadline {
            return Err(Failure::timeout(format!("tablet {} is still {}: {}", first.id, first.status, first.reason))
                .next(format!("see 'stele tablet explain {}'", first.id)));
        }
        progress.set_message(format!("{} of {} tablets healthy", tablets.len() - ill.count(), tablets.len()));
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::api::VerifyFinding;
    use stele_common::{ReplicaId, TabletId};

    /// Damage outranks what could not be read.
    #[test]
    fn exit_codes() {
        let one =
            || vec![VerifyFinding { tablet: TabletId(1), replica: ReplicaId(2), host: "h".into(), cause: "c".into() }];
        let with = |found, unreachable| {
            verdict(&Verification {
                id: 1,
                replicas: 3,
                clean: 1,
                left: 1,
                bytes: 1,
                bytes_done: 1,
                found,
                unreachable,
                done: true,
            })
        };
        assert_eq!(with(vec![], vec![]), Exit::Done);
        assert_eq!(with(vec![], one()), Exit::Error);
        assert_eq!(with(one(), vec![]), Exit::Refused);
        assert_eq!(with(one(), one()), Exit::Refused);
    }
}
