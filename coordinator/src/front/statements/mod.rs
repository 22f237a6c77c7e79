//! Statements: what somebody types into a `mysql` client, understood and carried out. One engine for every door: the
//! MySQL port and the API both bring text and a session, and get rows or a fault.
//!
//! ```text
//! text ─ split ─▶ tokens ─ parse ─▶ Stmt ─ family ─▶ Table (lazy rows) ─ Tail ─▶ Sink
//!                                      └─ family ─▶ ask ─▶ Catalog ─▶ Done
//! ```
//!
//! One file a family. They read snapshots and ask through [`Ask`], as every face does; no rule lives here.

mod admin;
mod backends;
mod balance;
mod commands;
mod compare;
mod condition;
mod dbs;
mod ddl;
mod format;
mod group;
mod help;
mod info;
mod kept;
pub(in crate::front) mod names;
mod order;
mod parse;
mod proc;
mod raw;
mod reader;
mod replica;
mod roles;
mod select;
mod statistic;
mod system;
mod tablet;
mod tasks;
mod variables;

pub mod fault;
pub mod rows;
pub mod stmt;
pub mod tail;

pub use raw::{Raw, split};

use super::ask::Ask;
use super::tally::{Tally, TallyCell};
use super::users::Role;
use crate::published::Published;
use fault::Fault;
use rows::{Column, Heads, Sink, Table};
use std::cell::OnceCell;
use std::sync::Arc;
use stele_common::{TabletId, Tick};
use stele_coordinator_rules::World;
use stmt::{Admin, Ddl, Show, Stmt, System, TableName};
use tail::{Picks, Tail};

/// Carries statements out.
#[derive(Clone)]
pub struct Engine {
    ask: Ask,
    tally: Arc<TallyCell>,
}

/// Who speaks, and what they have chosen.
#[derive(Clone, Debug)]
pub struct Session {
    pub user: String,
    pub role: Role,
    /// Where they speak from.
    pub host: String,
    pub connection: u32,
    /// The database in use.
    pub db: Option<String>,
    /// An idle connection is closed after this long.
    pub wait_timeout_s: u64,
}

/// What MySQL has.
pub const WAIT_TIMEOUT_S: u64 = 28_800;

impl Session {
    pub fn new(user: &str, role: Role, host: &str, connection: u32) -> Session {
        let (user, host) = (user.to_string(), host.to_string());
        Session { user, role, host, connection, db: None, wait_timeout_s: WAIT_TIMEOUT_S }
    }

    /// Whose deeds on record these are.
    fn owner(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }
}

/// What a statement came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The sink has them.
    Rows,
    Done {
        affected: u64,
        message: String,
    },
}

impl Outcome {
    fn done() -> Outcome {
        Outcome::Done { affected: 0, message: String::new() }
    }
}

/// A snapshot with its sums, and the time.
pub struct Moment {
    pub published: Arc<Published>,
    pub at: Tick,
    pub wall_ms: u64,
    /// Made when somebody asks: of a large house they cost something.
    sums: OnceCell<Arc<Tally>>,
    cell: Arc<TallyCell>,
}

impl Moment {
    pub fn world(&self) -> &World {
        &self.published.world
    }

    pub fn tally(&self) -> &Tally {
        self.sums.get_or_init(|| self.cell.get(&self.published, self.at))
    }

    /// The wall clock at a moment of this epoch's clock.
    pub fn wall_at(&self, at: Tick) -> u64 {
        self.wall_ms.saturating_sub(self.at.since(at))
    }
}

impl Engine {
    pub fn new(ask: Ask, tally: Arc<TallyCell>) -> Engine {
        Engine { ask, tally }
    }

    fn moment(&self) -> Moment {
        let (published, clock) = (self.ask.now(), self.ask.clock());
        let (at, wall_ms) = (clock.tick(), clock.wall_ms());
        Moment { published, at, wall_ms, sums: OnceCell::new(), cell: self.tally.clone() }
    }

    /// Understands a statement and does what it says, if the speaker's role allows it. What changes something leaves a
    /// line in the log.
    ///
    /// Rows go to the sink while they are made. A fault after the first comes from the sink alone.
    pub async fn run(&self, session: &mut Session, raw: Raw, sink: &mut impl Sink) -> Result<Outcome, Fault> {
        raw.complete()?;
        let shown = raw.shown();
        let stmt = parse::statement(raw.tokens)?;
        let Some(needed) = roles::needed(&stmt) else { return self.carry_out(session, stmt, sink).await };
        let (user, host) = (session.user.clone(), session.host.clone());
        let outcome = if session.role < needed {
            let (needed, has) = (needed.as_str(), session.role.as_str());
            Err(Fault::not_allowed(format!("this needs the role {needed}; user '{user}' is {has}")))
        } else {
            self.carry_out(session, stmt, sink).await
        };
        let refused = outcome.as_ref().err().map(|fault| fault.text.as_str());
        tracing::info!(target: "audit", user, host, statement = shown, refused, "statement");
        outcome
    }

    /// Whether a statement that waits for values is understood, and the columns that it will have; none where that
    /// cannot be told before the values are known.
    pub async fn describe(&self, session: &mut Session, raw: Raw) -> Result<Vec<Column>, Fault> {
        let stmt = parse::statement(raw.tokens)?;
        if !matches!(stmt, Stmt::Show(..) | Stmt::Select(_) | Stmt::Help(_)) {
            return Ok(Vec::new());
        }
        let mut heads = Heads::default();
        // It always ends in a fault: with its columns known, or for what it lacks, as an id. That is told when it runs.
        self.carry_out(session, stmt, &mut heads).await.ok();
        Ok(heads.0)
    }

    async fn carry_out(&self, session: &mut Session, stmt: Stmt, sink: &mut impl Sink) -> Result<Outcome, Fault> {
        match stmt {
            Stmt::Show(show, mut tail) => {
                if let (Show::ReplicaStatus(_), Some(filter)) = (&show, &mut tail.filter) {
                    filter.rewrite("Status", &replica::modern_status);
                }
                let moment = self.moment();
                let table = self.show(&moment, session, &show).await?;
                let picks = Picks::all(&table.columns);
                tail.pour(table, picks, sink).await.map(|()| Outcome::Rows)
            }
            Stmt::Select(select) => select::select(self, session, select, sink).await.map(|()| Outcome::Rows),
            Stmt::Use(db) => self.use_database(session, &db).map(|()| Outcome::done()),
            Stmt::Set { wait_timeout_s } => {
                session.wait_timeout_s = wait_timeout_s.unwrap_or(session.wait_timeout_s);
                Ok(Outcome::done())
            }
            Stmt::Admin(admin) => self.admin(session, admin).await,
            Stmt::System(system) => self.system(session, system).await,
            Stmt::Ddl(ddl) => self.ddl(session, ddl).await,
            Stmt::Help(topic) => {
                let table = help::show(&topic);
                let picks = Picks::all(&table.columns);
                Tail::default().pour(table, picks, sink).await.map(|()| Outcome::Rows)
            }
            Stmt::Nothing => Ok(Outcome::done()),
        }
    }

    async fn admin(&self, session: &Session, admin: Admin) -> Result<Outcome, Fault> {
        match admin {
            Admin::Repair(part) => admin::repair(self, session, &part).await,
            Admin::CancelRepair(part) => admin::cancel_repair(self, session, &part).await,
            Admin::SetReplica(properties) => admin::set_replica(self, session, &properties).await,
            Admin::CheckTablets { tablets, properties } => admin::check_tablets(self, &tablets, &properties).await,
            Admin::SetConfig(pairs) => admin::set_config(self, session, &pairs).await,
        }
    }

    async fn system(&self, session: &Session, system: System) -> Result<Outcome, Fault> {
        match system {
            System::Add(backends) => system::add(self, &backends).await,
            System::Decommission(backends) => system::decommission(self, session, &backends).await,
            System::CancelDecommission(backends) => system::cancel_decommission(self, session, &backends).await,
            System::Drop { backends, force } => system::remove(self, session, &backends, force).await,
        }
    }

    async fn ddl(&self, session: &mut Session, ddl: Ddl) -> Result<Outcome, Fault> {
        match ddl {
            Ddl::CreateDatabase { name, if_not_exists } => ddl::create_database(self, &name, if_not_exists).await,
            Ddl::DropDatabase { name, if_exists, force } => {
                ddl::drop_database(self, session, &name, if_exists, force).await
            }
            Ddl::CreateTable(create) => ddl::create_table(self, session, &create).await,
            Ddl::DropTable { table, if_exists } => ddl::drop_table(self, session, &table, if_exists).await,
            Ddl::Set { table, partitions, properties } => {
                ddl::set(self, session, &table, &partitions, &properties).await
            }
            Ddl::AddPartition { table, partition } => ddl::add_partition(self, session, &table, &partition).await,
            Ddl::DropPartition { table, partition, if_exists } => {
                ddl::drop_partition(self, session, &table, &partition, if_exists).await
            }
        }
    }

    /// Takes the database into use, if there is one of this name.
    pub fn use_database(&self, session: &mut Session, db: &str) -> Result<(), Fault> {
        let db = names::database(&self.ask.now().world, db)?;
        session.db = Some(db);
        Ok(())
    }

    /// One line, as `mysqladmin status` prints it.
    pub fn statistics(&self) -> String {
        let (published, up) = (self.ask.now(), self.ask.clock().tick());
        let World { nodes, databases, tables, tablets, .. } = &*published.world;
        let [nodes, databases, tables] = [nodes.len(), databases.len(), tables.len()];
        let (up_s, tablets) = (up.0 / 1000, tablets.len());
        format!("Uptime: {up_s}  Backends: {nodes}  Databases: {databases}  Tables: {tables}  Tablets: {tablets}")
    }

    /// Whether the database in use has this table, or view.
    pub fn has_table(&self, session: &Session, name: &str) -> Result<(), Fault> {
        let name = TableName { db: None, name: name.to_string() };
        names::columns(&self.ask.now().world, session, &name, false, None).map(|_| ())
    }

    async fn show<'a>(&self, moment: &'a Moment, session: &'a Session, show: &Show) -> Result<Table<'a>, Fault> {
        match show {
            Show::Proc(path) => proc::show(self, moment, path).await,
            Show::ReplicaStatus(part) => {
                replica::status(moment, names::table(moment.world(), session, &part.table)?, &part.partitions)
            }
            Show::ReplicaDistribution(part) => {
                replica::distribution(moment, names::table(moment.world(), session, &part.table)?, &part.partitions)
            }
            Show::TabletsOf(part) => {
                let table = names::table(moment.world(), session, &part.table)?;
                Ok(tablet::of_table(moment, replica::partitions(table, &part.partitions)?))
            }
            Show::Tablet(id) => tablet::place(moment, TabletId(*id)),
            Show::Partitions(table) => Ok(dbs::partitions(moment, names::table(moment.world(), session, table)?)),
            Show::CreateDatabase(name) => ddl::show_create_database(moment, name),
            Show::TableStatus { db, like } => names::table_status(moment, session, db.as_deref(), like.as_deref()),
            Show::Indexes(table) => names::indexes(moment.world(), session, table),
            Show::Columns { table, full, like } => {
                names::columns(moment.world(), session, table, *full, like.as_deref())
            }
            Show::CreateTable(table) => ddl::show_create(moment, session, table),
            Show::FrontendConfig { like } => Ok(admin::config(moment, like.as_deref())),
            Show::Backends => Ok(backends::list(moment, self.ask.silences().await?)),
            Show::Databases { like } => Ok(names::databases(moment.world(), like.as_deref())),
            Show::Tables { db, full, like } => {
                names::tables(moment.world(), session, db.as_deref(), *full, like.as_deref())
            }
            Show::Variables { like } => Ok(variables::list(session, like.as_deref())),
            Show::Fixed(fixed) => Ok(variables::fixed(*fixed)),
            Show::ProcessList => Ok(variables::process_list(session)),
        }
    }
}

#[cfg(test)]
mod tests;
