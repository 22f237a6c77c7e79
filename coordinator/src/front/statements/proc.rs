//! `SHOW PROC '...'`: the tree of everything that is known, one path a screen. Here are its roads; each screen is its
//! family's.

use super::fault::Fault;
use super::rows::{Table, row};
use super::{Engine, Moment, backends, balance, dbs, statistic};
use stele_common::{DatabaseId, Medium, NodeId};

/// What stands at '/'.
const ROOTS: &[&str] = &["backends", "cluster_balance", "colocation_group", "dbs", "statistic"];

pub async fn show<'a>(engine: &Engine, moment: &'a Moment, path: &str) -> Result<Table<'a>, Fault> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let absent = || nothing_at(path);
    match parts.as_slice() {
        [] => Ok(Table::of(&["name"], ROOTS.iter().map(|name| row![*name]).collect())),
        ["statistic"] => Ok(statistic::sums(moment)),
        ["statistic", db] => statistic::of_database(moment, number(path, db).map(DatabaseId)?),
        ["backends"] => Ok(backends::list(moment, engine.ask.silences().await?)),
        ["backends", id] => backends::disks(moment, number(path, id).map(NodeId)?),
        ["dbs", rest @ ..] => dbs::show(moment, rest).ok_or_else(absent),
        ["cluster_balance", rest @ ..] => balance::show(engine, moment, rest).await?.ok_or_else(absent),
        ["colocation_group"] => Ok(balance::groups(moment)),
        ["colocation_group", name] => balance::group(moment, name).ok_or_else(absent),
        _ => Err(absent()),
    }
}

fn nothing_at(path: &str) -> Fault {
    let shown: String = path.chars().take(200).collect();
    Fault::not_found(format!("there is nothing at '{shown}': see SHOW PROC '/'"))
}

fn number(path: &str, part: &str) -> Result<u64, Fault> {
    part.parse().map_err(|_| nothing_at(path))
}

pub fn medium(medium: Medium) -> &'static str {
    match medium {
        Medium::Ssd => "SSD",
        Medium::Hdd => "HDD",
    }
}
