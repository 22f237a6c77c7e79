//! A handful of tests with real processes on loopback: each proves one promise that only the whole house can keep.

mod browser;
mod cluster;
mod coordinator_dies;
mod damage;
mod data;
mod drains;
mod drains_under_load;
mod evening;
mod hosts_die;
mod interrupted;
mod old_facts;
mod page;
mod ports;
mod refusals;
mod scraped;
mod settings;
mod snapshot;
mod sql;
mod uneven;
