//! Tests of the whole law book: tables by subject, properties over any run.

mod copies;
mod disks;
mod loads;
mod orders;
mod properties;
