//! The family of ALTER SYSTEM: backends that come, are emptied, and go. A backend is named by `host:port` (its peer or
//! HTTP address), by its host or name, or by its id.

use super::fault::Fault;
use super::{Engine, Outcome, Session};
use std::collections::BTreeSet;
use stele_common::NodeId;
use stele_common::api::{AdmitAsk, Blocker, DrainAsk, RemoveAsk};
use stele_coordinator_rules::world::Node;
use stele_coordinator_rules::{Answer, EventBody, World};

/// `host`, and the port where there is one.
fn parts(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
}

/// The backend that is meant.
fn find<'a>(world: &'a World, text: &str) -> Result<&'a Node, Fault> {
    let (host, port) = parts(text);
    let is_it = |node: &&Node| match port {
        Some(port) => [&node.peer, &node.http]
            .into_iter()
            .any(|address| *address == text || (node.host == host && parts(address).1 == Some(port))),
        None => node.host == host || node.name == host || host.parse() == Ok(node.id.0),
    };
    let found: Vec<&Node> = world.nodes.values().filter(is_it).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Fault::not_found(format!("there is no backend '{text}': see SHOW BACKENDS"))),
        _ => Err(Fault::refused(format!("'{text}' are several backends: name one by its host:port or its id"))),
    }
}

fn find_all(world: &World, texts: &[String]) -> Result<Vec<NodeId>, Fault> {
    texts.iter().map(|text| find(world, text).map(|node| node.id)).collect()
}

/// `host:port`, and nothing else.
fn address(text: &str) -> Result<(&str, &str), Fault> {
    let found = text.rsplit_once(':').filter(|(host, port)| {
        let is_named = !host.is_empty() && !host.contains(|one: char| one.is_whitespace() || one == '/');
        is_named && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    found.ok_or_else(|| {
        Fault::syntax(format!(
            "\"{text}\" is no address: a backend is added by \"host:port\", as SHOW BACKENDS shows it (IP and \
             HeartbeatPort, such as \"127.0.0.1:7410\")"
        ))
    })
}

/// The removed agents that an address means: the one that was heard there, else those of this host.
fn removed_at(world: &World, text: &str, host: &str) -> Vec<(String, String)> {
    let heard = world.removed.iter().filter(|(_, gone)| gone.peer == text || gone.http == text);
    let heard: Vec<_> = heard.map(|(agent, _)| agent.clone()).collect();
    if !heard.is_empty() {
        return heard;
    }
    world.removed.keys().filter(|(of, name)| of == host || name == host).cloned().collect()
}

/// ADD BACKEND: an agent joins by itself; this lets one come back whose node was removed.
pub async fn add(engine: &Engine, texts: &[String]) -> Result<Outcome, Fault> {
    let published = engine.ask.now();
    let (mut removed, mut awaited) = (BTreeSet::new(), Vec::new());
    for text in texts {
        let (host, _) = address(text)?;
        if find(&published.world, text).is_ok() {
            return Err(Fault::refused(format!("backend '{text}' is here already: see SHOW BACKENDS")));
        }
        let meant = removed_at(&published.world, text, host);
        if meant.is_empty() {
            awaited.push(text.as_str());
        }
        removed.extend(meant);
    }
    let admitted = removed.len();
    for (host, name) in removed {
        engine.ask.catalog(EventBody::AdmitNode(AdmitAsk { host, name: Some(name) })).await?;
    }
    let mut told = Vec::new();
    if admitted > 0 {
        told.push(format!("{admitted} removed agents may join again, as new backends"));
    }
    if !awaited.is_empty() {
        let awaited = awaited.join(", ");
        told.push(format!(
            "{awaited}: no backend was removed there, nothing is written down; an agent that is started with the \
             coordinator's address joins by itself"
        ));
    }
    Ok(Outcome::Done { affected: admitted as u64, message: told.join("; ") })
}

/// DECOMMISSION BACKEND: its replicas move away; refused when they find no place.
pub async fn decommission(engine: &Engine, session: &Session, texts: &[String]) -> Result<Outcome, Fault> {
    let nodes = find_all(&engine.ask.now().world, texts)?;
    let (owner, reason) = (session.owner(), "ALTER SYSTEM DECOMMISSION BACKEND".to_string());
    let ask = DrainAsk { nodes, owner, reason, ..DrainAsk::default() };
    let Answer::Evacuation(answer) = engine.ask.catalog(EventBody::Drain(ask)).await? else {
        return Err(Fault::ending());
    };
    if !answer.begun {
        let what = format!("{} of {} tablets find no place", answer.blocked, answer.tablets);
        return Err(Fault::refused(with_first(&what, &answer.blockers) + " [does_not_fit]; add backends or disks"));
    }
    let message = format!("{} tablets, {} copies, {} bytes to move", answer.tablets, answer.copies, answer.bytes);
    Ok(Outcome::Done { affected: answer.nodes.len() as u64, message })
}

pub async fn cancel_decommission(engine: &Engine, session: &Session, texts: &[String]) -> Result<Outcome, Fault> {
    let nodes = find_all(&engine.ask.now().world, texts)?;
    let affected = nodes.len() as u64;
    let ask = DrainAsk { nodes, owner: session.owner(), ..DrainAsk::default() };
    engine.ask.catalog(EventBody::Undrain(ask)).await?;
    Ok(Outcome::Done { affected, message: String::new() })
}

/// DROP BACKEND: refused while that thins or loses a tablet; FORCE allows thinning, never the loss of a last copy.
pub async fn remove(engine: &Engine, session: &Session, texts: &[String], force: bool) -> Result<Outcome, Fault> {
    let nodes = find_all(&engine.ask.now().world, texts)?;
    for node in &nodes {
        let ask = RemoveAsk { force, check: false, owner: session.owner() };
        let Answer::Removal(answer) = engine.ask.catalog(EventBody::RemoveNode { node: *node, ask }).await? else {
            return Err(Fault::ending());
        };
        if !answer.removed {
            let what = format!("backend {node} still holds {} tablets", answer.tablets);
            return Err(Fault::refused(
                with_first(&what, &answer.blockers) + " [not_safe]; decommission it first, or say FORCE",
            ));
        }
    }
    Ok(Outcome::Done { affected: nodes.len() as u64, message: String::new() })
}

fn with_first(what: &str, blockers: &[Blocker]) -> String {
    let Some(first) = blockers.first() else { return what.to_string() };
    let of = first.tablet.map(|tablet| format!("tablet {tablet}: ")).unwrap_or_default();
    format!("{what}; {of}{}", first.detail)
}
