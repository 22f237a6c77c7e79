//! The demo's last deeds with hosts: the killed one comes back, and another is emptied in good order.

use super::deeds::{STEP_WITHIN, Stage};
use super::since;
use crate::bar;
use crate::cluster::AgentEntry;
use crate::cmd::drain;
use crate::exit::Failure;
use crate::stop;
use crate::table::size;
use std::time::{Duration, Instant};
use stele_common::api::{Certificate, DrainAsk, Evacuation, Nodes, Status};
use stele_common::{Liveness, TabletStatus};

/// A drain that was proven.
pub struct Emptied {
    pub told: String,
    pub certificate: Certificate,
}

impl Stage {
    /// Until the agent counts as ALIVE again and nothing is left to be done about what it brought back.
    pub fn wait_back(&self, agent: &AgentEntry) -> Result<String, Failure> {
        let began = Instant::now();
        let progress = bar::spinner(&format!("{} comes back", agent.host));
        while began.elapsed() < STEP_WITHIN {
            stop::check()?;
            let nodes: Nodes = self.face().list("/v1/nodes", &[])?;
            let is_back = nodes.nodes.iter().any(|node| node.id == agent.node_id && node.liveness == Liveness::Alive);
            let status: Status = self.face().get("/v1/status", &[])?;
            let is_healthy = status.verdicts.keys().all(|verdict| *verdict == TabletStatus::Healthy);
            if is_back && is_healthy && status.strays == 0 && status.tasks_running == 0 {
                progress.finish_and_clear();
                return Ok(format!(
                    "{} is ALIVE; what it held is not needed any more and lies in its trash ({})",
                    agent.host,
                    since(began)
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        progress.finish_and_clear();
        Err(Failure::timeout(format!("{} is not back with everything settled", agent.host)))
    }

    /// Until no copy is under way.
    pub fn wait_quiet(&self) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < STEP_WITHIN {
            stop::check()?;
            let status: Status = self.face().get("/v1/status", &[])?;
            if status.tasks_running == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(Failure::timeout("copies are still under way"))
    }

    /// Empties the agent's host, and has it certified.
    pub fn drain(&self, agent: &AgentEntry) -> Result<Emptied, Failure> {
        let began = Instant::now();
        let ask = DrainAsk {
            nodes: vec![agent.node_id],
            owner: "demo".into(),
            reason: "to show it".into(),
            ..DrainAsk::default()
        };
        let plan: Evacuation = self.face().post("/v1/nodes/drain", &ask)?;
        let path = format!("/v1/nodes/{}", agent.node_id);
        drain::wait(self.face(), &[format!("{path}/drain")], Instant::now() + STEP_WITHIN)?;
        let took = since(began);
        let certificate: Certificate = self.face().get(&format!("{path}/certificate"), &[])?;
        if certificate.copies_min < super::deeds::REPLICATION as u32 {
            let (host, least) = (&agent.host, certificate.copies_min);
            return Err(Failure::error(format!("the certificate of {host} knows a tablet with {least} copies only")));
        }
        let told = format!("{} copies, {}, left {} in {took}", plan.copies, size(plan.bytes), agent.host);
        Ok(Emptied { told, certificate })
    }
}
