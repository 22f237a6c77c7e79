//! Starts the actors and hands each the mailboxes it may send to; the only file that knows them all.
//!
//! ```text
//! store ─ load ─▶ world ─▶ Catalog (arbiter of its own)
//!                          Balancer (an arbiter of its own)
//!                          Checker, Scheduler (a second arbiter)    Agents, Roster, agent port (the main one)
//! Begin ─▶ Catalog: the epoch is durable ─▶ only now are the ports served
//! ```

use crate::actors::agents::Agents;
use crate::actors::balancer::Balancer;
use crate::actors::catalog::{Begin, Catalog, Outlets};
use crate::actors::checker::Checker;
use crate::actors::roster::Roster;
use crate::actors::scheduler::Scheduler;
use crate::actors::words::Close;
use crate::clock::Clock;
use crate::front::ask::{Ask, Doors};
use crate::link::{Lanes, Link, Refusals};
use crate::published;
use crate::store::MetaStore;
use crate::store::writer::Writer;
use actix::prelude::*;
use anyhow::Context as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use stele_common::NodeId;
use stele_common::config::RepairKnobs;
use stele_coordinator_rules::World;
use stele_coordinator_rules::schedule::Desk;
use tokio::sync::oneshot;

/// A started coordinator without its ports.
pub struct House {
    pub ask: Ask,
    pub link: Link,
    catalog: Addr<Catalog>,
    store: JoinHandle<()>,
    arbiters: Vec<Arbiter>,
}

/// Recovers the world, starts the actors and begins an epoch. `on_failed_commit` ends the process.
pub async fn start(
    knobs: RepairKnobs,
    token: Option<[u8; 32]>,
    mut store: Box<dyn MetaStore>,
    on_failed_commit: Box<dyn Fn(String) + Send>,
) -> anyhow::Result<House> {
    let (clock, knobs) = (Clock::start(), Arc::new(knobs));
    let world = recover(&mut *store, knobs)?;
    let known: Vec<NodeId> = world.nodes.keys().copied().collect();
    let (writer, store) = Writer::start(store).context("cannot start the store thread")?;
    let (publisher, snapshots) = published::cell(world.knobs.clone());
    let (own, thinkers, planner) = (Arbiter::new(), Arbiter::new(), Arbiter::new());

    let catalog = Catalog::start_in_arbiter(&own.handle(), move |_| Catalog::new(clock, world, writer));
    let balancer = Balancer::start_in_arbiter(&planner.handle(), |_| Balancer::default());
    let scheduler = {
        let balancer = balancer.clone().recipient();
        let (catalog, snapshots) = (catalog.clone().recipient(), snapshots.clone());
        Scheduler::start_in_arbiter(&thinkers.handle(), move |_| {
            Scheduler::new(clock, snapshots, Desk::default(), catalog, balancer)
        })
    };
    let checker = {
        let (catalog, scheduler) = (catalog.clone().recipient(), scheduler.clone().recipient());
        let snapshots = snapshots.clone();
        Checker::start_in_arbiter(&thinkers.handle(), move |_| Checker::new(clock, snapshots, scheduler, catalog))
    };
    let roster = Roster::new(clock, snapshots.clone(), &known, catalog.clone().recipient()).start();
    let agents = Agents::new(roster.clone().recipient()).start();

    let outlets = Outlets {
        published: publisher,
        orders: agents.clone().recipient(),
        changed: checker.recipient(),
        ended: scheduler.clone().recipient(),
        on_failed_commit,
    };
    let (began, begun) = oneshot::channel();
    catalog.do_send(Begin { outlets, cluster_if_new: new_cluster_id()?, began });
    begun.await.context("the store did not take the new epoch")?;

    let doors = Doors {
        catalog: catalog.clone().recipient(),
        explain: scheduler.clone().recipient(),
        explain_node: scheduler.clone().recipient(),
        tasks: scheduler.clone().recipient(),
        pending: scheduler.clone().recipient(),
        balance: scheduler.recipient(),
        moves: balancer.recipient(),
        silences: roster.clone().recipient(),
    };
    let link = Link {
        token,
        handshake_deadline: Link::DEADLINE,
        catalog: catalog.clone().recipient(),
        hub_opened: agents.clone().recipient(),
        hub_closed: agents.recipient(),
        roster: roster.recipient(),
        snapshots: snapshots.clone(),
        refusals: Refusals::default(),
        lanes: Lanes::default(),
    };
    Ok(House { ask: Ask::new(clock, snapshots, doors), link, catalog, store, arbiters: vec![own, thinkers, planner] })
}

impl House {
    /// Finishes what is being committed, then ends the actors and the store, in this order.
    pub async fn close(self) {
        let House { ask, link, catalog, store, arbiters } = self;
        let (done, closed) = oneshot::channel();
        catalog.do_send(Close { done });
        // A catalog that has ended already has closed its store.
        closed.await.ok();
        drop((ask, link, catalog));
        for arbiter in arbiters {
            arbiter.stop();
            arbiter.join().ok();
        }
        store.join().ok();
    }
}

fn recover(store: &mut dyn MetaStore, knobs: Arc<RepairKnobs>) -> anyhow::Result<World> {
    let changes = store.load()?;
    let mut world = World::empty(knobs);
    for change in &changes {
        world.apply(change);
    }
    // Each setting was sound when it was made; the file may have changed since.
    if let Some(fault) = world.knobs.faults().first() {
        let live: Vec<&str> = world.settings.live.keys().map(String::as_str).collect();
        anyhow::bail!(
            "[repair] and what was set live ({}) do not go together: {fault}; mend the file",
            live.join(", ")
        );
    }
    tracing::info!(changes = changes.len(), tablets = world.tablets.len(), epoch = %world.epoch, "store read");
    Ok(world)
}

/// 32 random hex digits.
fn new_cluster_id() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers for a cluster id: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
