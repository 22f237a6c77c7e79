//! Every statement that is understood. Data: what they do is the families', how they are written is `parse.rs`'s.

use super::group::Measure;
use super::kept::Kept;
use super::tail::{Filter, Tail};

/// `db.table`; without `db` the database in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub db: Option<String>,
    pub name: String,
}

/// A table and, if named, some of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub table: TableName,
    /// Empty: all.
    pub partitions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    Show(Show, Tail),
    Select(Select),
    Use(String),
    /// Session variables; those that mean something here.
    Set {
        wait_timeout_s: Option<u64>,
    },
    Admin(Admin),
    System(System),
    Ddl(Ddl),
    Help(String),
    /// BEGIN, COMMIT, ROLLBACK: there are no transactions here, and nothing is lost by saying so.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    Proc(String),
    ReplicaStatus(Part),
    ReplicaDistribution(Part),
    /// SHOW TABLET FROM t
    TabletsOf(Part),
    Tablet(u64),
    Partitions(TableName),
    CreateTable(TableName),
    CreateDatabase(String),
    TableStatus {
        db: Option<String>,
        like: Option<String>,
    },
    Indexes(TableName),
    Columns {
        table: TableName,
        full: bool,
        like: Option<String>,
    },
    FrontendConfig {
        like: Option<String>,
    },
    Backends,
    Databases {
        like: Option<String>,
    },
    Tables {
        db: Option<String>,
        full: bool,
        like: Option<String>,
    },
    Variables {
        like: Option<String>,
    },
    /// Questions of clients that have an empty or a fixed answer.
    Fixed(Fixed),
    ProcessList,
}

/// Names with their values, as in PROPERTIES.
pub type Pairs = Vec<(String, String)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    Repair(Part),
    CancelRepair(Part),
    SetReplica(Pairs),
    CheckTablets { tablets: Vec<u64>, properties: Pairs },
    SetConfig(Pairs),
}

/// ALTER SYSTEM, about backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum System {
    Add(Vec<String>),
    Decommission(Vec<String>),
    CancelDecommission(Vec<String>),
    Drop { backends: Vec<String>, force: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ddl {
    CreateDatabase { name: String, if_not_exists: bool },
    DropDatabase { name: String, if_exists: bool, force: bool },
    CreateTable(CreateTable),
    DropTable { table: TableName, if_exists: bool },
    Set { table: TableName, partitions: Vec<String>, properties: Pairs },
    AddPartition { table: TableName, partition: NewPartition },
    DropPartition { table: TableName, partition: String, if_exists: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartition {
    pub name: String,
    pub if_not_exists: bool,
    pub properties: Pairs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTable {
    pub table: TableName,
    pub if_not_exists: bool,
    pub kept: Kept,
    pub partitions: Vec<String>,
    pub buckets: Option<u32>,
    pub properties: Pairs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixed {
    Warnings,
    Status,
    Engines,
    Collation,
    CharacterSet,
    Plugins,
    Privileges,
    Triggers,
    Events,
    Routines,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub is_distinct: bool,
    pub items: Vec<Item>,
    /// None: it asks about the session.
    pub from: Option<TableName>,
    pub group: Vec<String>,
    pub having: Option<Filter>,
    pub tail: Tail,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `*`
    All,
    Column {
        name: String,
        alias: Option<String>,
    },
    Measure {
        measure: Measure,
        alias: String,
    },
    /// `@@name`
    Variable {
        name: String,
        alias: String,
    },
    Function {
        of: Function,
        alias: String,
    },
    Literal {
        value: super::rows::Value,
        alias: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Database,
    User,
    Version,
    ConnectionId,
    Now,
}
