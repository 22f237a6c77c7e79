//! `stele table create|list|show|set|drop`.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::names::TableName;
use crate::shapes;
use crate::watch::Watch;
use clap::{Args, Subcommand, ValueEnum};
use stele_common::Medium;
use stele_common::api::{PlanWhat, TableCreate, TableInfo, TableSet, Tables};

#[derive(Debug, Subcommand)]
pub enum TableVerb {
    /// Make a table, and its database where it is missing
    Create(CreateArgs),
    /// All tables
    #[command(after_help = "Example:\n  stele table list")]
    List(Watch),
    /// One table with its partitions
    #[command(after_help = "Example:\n  stele table show d.t")]
    Show {
        /// [DB.]TABLE
        table: TableName,
        #[command(flatten)]
        watch: Watch,
    },
    /// Change what is wanted of a table or partition
    Set(SetArgs),
    /// Drop a table with all its files
    #[command(
        after_help = "The copies go to the agents' trash and are freed when they expire.\n\nExample:\n  stele table drop d.t"
    )]
    Drop {
        /// [DB.]TABLE
        table: TableName,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stele table create d.t --replication 3 --buckets 16
  stele table create d.t --replication 2 --buckets 4 --medium SSD --partitions p0,p1
  stele table create d.u --colocate g --tag fast")]
pub struct CreateArgs {
    /// [DB.]TABLE
    table: TableName,
    /// Copies of every file, each on another host
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    replication: u32,
    /// Tablets per partition; files are spread over them by their paths
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65536))]
    buckets: u32,
    /// Preferred kind of disk
    #[arg(long, value_enum, ignore_case = true, default_value = "HDD")]
    medium: MediumFlag,
    /// Names of partitions; p0 unless given
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    partitions: Vec<String>,
    /// Only nodes with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Stand on the same nodes as the other tables of this group
    #[arg(long, value_name = "GROUP")]
    colocate: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "What is not named stays. Copies are made or removed as the new wish asks; the medium is a preference.

Examples:
  stele table set d.t --replication 2
  stele table set d.t/p0 --medium SSD
  stele table set d.t --tag fast
  stele table set d.t --colocate none"
)]
pub struct SetArgs {
    /// [DB.]TABLE[/PARTITION]; all partitions unless one is named
    table: TableName,
    /// Copies of every file, each on another host
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    replication: Option<u32>,
    /// Preferred kind of disk
    #[arg(long, value_enum, ignore_case = true)]
    medium: Option<MediumFlag>,
    /// Only nodes with this tag
    #[arg(long)]
    tag: Option<String>,
    /// The colocation group to be in, or 'none'
    #[arg(long, value_name = "GROUP")]
    colocate: Option<String>,
    /// Only make a plan of it: what moves where, and its price; 'stele plan apply' begins it
    #[arg(long)]
    plan: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MediumFlag {
    #[value(name = "SSD")]
    Ssd,
    #[value(name = "HDD")]
    Hdd,
}

pub fn run(global: &Global, verb: &TableVerb) -> Outcome {
    let face = global.face();
    match verb {
        TableVerb::List(watch) => {
            return watch.show(global, |printer| printer.list(&face.list::<Tables>("/v1/tables", &[])?));
        }
        TableVerb::Show { table, watch } => {
            let table = whole(table)?;
            return watch.show(global, |printer| printer.one(&table.info(&face)?, shapes::table));
        }
        TableVerb::Create(args) => {
            let info: TableInfo = face.post("/v1/tables", &args.body()?)?;
            global.printer().one(&info, |info| {
                let (copies, name) = (info.replication, args.table.full());
                format!("made table {name}: {} tablets with {copies} copies each", info.tablets)
            })?;
        }
        TableVerb::Set(args) if args.plan => {
            let what = PlanWhat::Policy { table: args.table.full(), wish: args.body()? };
            return super::plan::make(global, what, "");
        }
        TableVerb::Set(args) => {
            let info: TableInfo = face.patch(&args.table.url(), &args.body()?)?;
            global.printer().one(&info, shapes::table)?;
        }
        TableVerb::Drop { table } => {
            face.delete(&whole(table)?.url())?;
            let dropped = serde_json::json!({ "dropped": table.full() });
            global.printer().one(&dropped, |_| format!("dropped table {table}"))?;
        }
    }
    Ok(Exit::Done)
}

impl CreateArgs {
    fn body(&self) -> Result<TableCreate, Failure> {
        whole(&self.table)?;
        Ok(TableCreate {
            db: self.table.db.clone(),
            name: self.table.table.clone(),
            replication: self.replication,
            buckets: self.buckets,
            medium: self.medium.meant(),
            partitions: self.partitions.clone(),
            tag: self.tag.clone(),
            colocate: self.colocate.clone(),
        })
    }
}

impl MediumFlag {
    fn meant(self) -> Medium {
        match self {
            MediumFlag::Ssd => Medium::Ssd,
            MediumFlag::Hdd => Medium::Hdd,
        }
    }
}

impl SetArgs {
    fn body(&self) -> Result<TableSet, Failure> {
        let wish = TableSet {
            partition: self.table.partition.clone(),
            replication: self.replication,
            medium: self.medium.map(MediumFlag::meant),
            tag: self.tag.clone(),
            colocate: self.colocate.clone().map(|group| if group == "none" { String::new() } else { group }),
            columns: None,
        };
        let nothing = TableSet { partition: wish.partition.clone(), ..TableSet::default() };
        if wish == nothing {
            return Err(Failure::usage("name what is to change: --replication, --medium, --tag or --colocate"));
        }
        Ok(wish)
    }
}

/// A name that means a whole table.
fn whole(table: &TableName) -> Result<&TableName, Failure> {
    match &table.partition {
        None => Ok(table),
        Some(_) => Err(Failure::usage(format!("{table} names a partition; a whole table is meant here"))),
    }
}
