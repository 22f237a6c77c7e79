//! '/statistic': how many tablets of each database are ill; and which, of one.

use super::Moment;
use super::fault::Fault;
use super::rows::{Row, Table, Value, row};
use crate::front::tally::TableTally;
use stele_common::{DatabaseId, ReplicaState, TabletId, TabletStatus};
use stele_coordinator_rules::checkup;
use stele_coordinator_rules::world::Tablet;

const SUMS: &[&str] = &[
    "DbId",
    "DbName",
    "TableNum",
    "PartitionNum",
    "IndexNum",
    "TabletNum",
    "ReplicaNum",
    "UnhealthyTabletNum",
    "InconsistentTabletNum",
    "CloningTabletNum",
    "ErrorStateTabletNum",
];

#[derive(Clone, Copy, Default)]
struct Sum {
    tables: u64,
    partitions: u64,
    of: TableTally,
}

impl Sum {
    fn add(&mut self, other: &Sum) {
        self.tables += other.tables;
        self.partitions += other.partitions;
        self.of.add(&other.of);
    }

    fn row(&self, id: Value, name: Value) -> Row {
        let of = &self.of;
        row![
            id,
            name,
            self.tables,
            self.partitions,
            self.partitions,
            of.tablets,
            of.replicas,
            of.tablets - of.healthy,
            of.inconsistent,
            of.cloning,
            of.bad,
        ]
    }
}

/// '/statistic'; the last row is all of it.
pub fn sums<'a>(moment: &Moment) -> Table<'a> {
    let world = moment.world();
    let mut total = Sum::default();
    let mut rows: Vec<Row> = Vec::new();
    for (name, id) in &world.databases {
        let mut sum = Sum::default();
        for table in world.tables.values().filter(|table| table.db_id == *id) {
            let of = moment.tally().tables.get(&table.id).copied().unwrap_or_default();
            sum.add(&Sum { tables: 1, partitions: table.partitions.len() as u64, of });
        }
        rows.push(sum.row(Value::from(id.0), Value::from(name.as_str())));
        total.add(&sum);
    }
    rows.push(total.row(Value::text("Total"), Value::from(world.databases.len())));
    Table::of(SUMS, rows)
}

const TABLETS: &[&str] = &["UnhealthyTablets", "InconsistentTablets", "CloningTablets", "ErrorStateTablets"];

/// '/statistic/DB_ID'.
pub fn of_database<'a>(moment: &Moment, id: DatabaseId) -> Result<Table<'a>, Fault> {
    let world = moment.world();
    if !world.databases.values().any(|known| *known == id) {
        return Err(Fault::not_found(format!("there is no database {id}: see SHOW PROC '/dbs'")));
    }
    let tables = world.tables.values().filter(|table| table.db_id == id);
    let ids = tables.flat_map(|table| &table.partitions).flat_map(|partition| &partition.tablets);
    let tablets: Vec<&Tablet> = ids.filter_map(|id| world.tablets.get(*id)).collect();
    let list = |is: &dyn Fn(&Tablet) -> bool| {
        let found: Vec<TabletId> = tablets.iter().filter(|tablet| is(tablet)).map(|tablet| tablet.id).collect();
        let found: Vec<String> = found.iter().map(TabletId::to_string).collect();
        format!("[{}]", found.join(", "))
    };
    let row = row![
        list(&|tablet| checkup::verdict(world, tablet, moment.at).status != TabletStatus::Healthy),
        list(&Tablet::is_inconsistent),
        list(&|tablet| tablet.replicas.iter().any(|replica| replica.state == ReplicaState::Clone)),
        list(&|tablet| tablet.replicas.iter().any(|replica| replica.bad.is_some())),
    ];
    Ok(Table::of(TABLETS, vec![row]))
}
