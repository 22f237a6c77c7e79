//! Did you mean: what a person who named something that is not there may have meant, for every face alike.
//!
//! In: the world, and the name or the refusal. Out: the next step to tell, or none. It never takes one name for another.

use super::statements::names::INFORMATION_SCHEMA;
use stele_common::config::knobs;
use stele_common::near::{did_you_mean, nearest};
use stele_coordinator_rules::{Reason, World};

/// A table: one of this name in another database, or one that is spelled nearly so.
pub fn table(world: &World, full: &str) -> Option<String> {
    let name = full.split_once('.').map_or(full, |(_, name)| name);
    let elsewhere = world.tables.values().find(|table| table.name == name);
    let all: Vec<String> = world.tables.values().map(|table| format!("{}.{}", table.db, table.name)).collect();
    match elsewhere {
        Some(table) => Some(did_you_mean(format_args!("{}.{}", table.db, table.name))),
        None => nearest(full, all.iter().map(String::as_str)).map(did_you_mean),
    }
}

pub fn database(world: &World, name: &str) -> Option<String> {
    let known = world.databases.keys().map(String::as_str).chain([INFORMATION_SCHEMA]);
    nearest(name, known).map(did_you_mean)
}

pub fn group(world: &World, name: &str) -> Option<String> {
    nearest(name, world.groups.keys().map(String::as_str)).map(did_you_mean)
}

/// A knob, by our name or an original's.
pub fn knob(name: &str) -> Option<String> {
    let names =
        knobs::all().flat_map(|knob| [knob.name].into_iter().chain(knob.aliases.iter().map(|alias| alias.name)));
    nearest(name, names).map(did_you_mean)
}

/// For names that only the law looked up.
pub fn refused(world: &World, reason: &Reason) -> Option<String> {
    if let Reason::NoSuchTable { name } = reason {
        table(world, name)
    } else if let Reason::NoSuchKnob { name } = reason {
        knob(name)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_coordinator_rules::sample::Sample;

    /// Tables are found under their own database and under another; knobs by the originals' names, too.
    #[test]
    fn what_was_meant() {
        let mut sample = Sample::new(3, 1);
        sample.table(3, 1);
        let world = &sample.world;
        let there = world.tables.values().next().expect("just made");
        let (full, name) = (format!("{}.{}", there.db, there.name), &there.name);
        let meant = Some(format!("did you mean {full}?"));
        for typed in [format!("{full}x"), format!("default.{name}"), name.clone()] {
            assert_eq!(table(world, &typed), meant, "{typed}");
        }
        assert_eq!(table(world, "stock.items"), None);
        assert_eq!(knob("asign_delay_ms").as_deref(), Some("did you mean assign_delay_ms?"));
        let original = "schedule_slot_num_per_pat";
        assert_eq!(knob(original).as_deref(), Some("did you mean schedule_slot_num_per_path?"));
        assert_eq!(database(world, "information_shema").as_deref(), Some("did you mean information_schema?"));
    }
}
