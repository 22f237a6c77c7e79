//! Gauges whose series come and go with hosts, disks and what is under way, as Prometheus text: a recorder would show a
//! disk's last figure for ever. In: a snapshot and its sums. Out: text that goes behind the recorder's.
//!
//! There is a series for a disk, a host or an operation; never for a tablet or a replica, so that the page does not grow
//! with them.

use super::super::tally::{AGES_S, Tally};
use crate::actors::words::Pending;
use crate::published::Published;
use crate::telemetry::list;
use std::collections::BTreeMap;
use std::fmt::Write;
use stele_common::api::{DrainState, PlanState};
use stele_common::{DiskId, Medium, NodeId, Priority, Tick};
use stele_coordinator_rules::World;
use stele_coordinator_rules::balance::spread::spreads;
use stele_coordinator_rules::evacuation::progress;
use stele_coordinator_rules::plans;
use stele_coordinator_rules::world::{LeaseScope, Leaver, PauseOn, Work};

/// Label names with their values.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Text under construction.
#[derive(Default)]
struct Page(String);

impl Page {
    /// One gauge, with all of its series.
    fn gauge<'a>(&mut self, name: &str, series: impl IntoIterator<Item = (Labels<'a>, f64)>) {
        self.begin(name, "gauge", list::GAUGES);
        for (labels, value) in series {
            self.line(name, &labels, value);
        }
    }

    /// How many have an age of at most each bound, and all of them together.
    fn histogram(&mut self, name: &str, ages: &crate::front::tally::Ages) {
        self.begin(name, "histogram", list::HISTOGRAMS);
        let bounds: Vec<String> = AGES_S.iter().map(ToString::to_string).chain(["+Inf".to_string()]).collect();
        let mut below = 0;
        for (bound, here) in bounds.iter().zip(ages.by_bound) {
            below += here;
            self.line(&format!("{name}_bucket"), &vec![("le", bound)], below as f64);
        }
        self.line(&format!("{name}_sum"), &vec![], ages.sum_s as f64);
        self.line(&format!("{name}_count"), &vec![], below as f64);
    }

    fn begin(&mut self, name: &str, kind: &str, known: &[(&str, &str)]) {
        let help = known.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &Labels, value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

pub fn text(
    published: &Published,
    tally: &Tally,
    pending: &Pending,
    silences: &BTreeMap<NodeId, u64>,
    at: Tick,
) -> String {
    let world = &*published.world;
    let mut page = Page::default();
    disks(&mut page, world);
    let heard = world.nodes.values().filter_map(|node| Some((node, silences.get(&node.id)?)));
    let heard =
        heard.map(|(node, silent)| (vec![("host", node.host.as_str()), ("agent", node.name.as_str())], *silent));
    page.gauge("stele_agent_heartbeat_age_seconds", heard.map(|(labels, ms)| (labels, ms as f64 / 1e3)));
    let waiting = Priority::ALL.map(|class| (class, pending.by_priority.get(&class).copied().unwrap_or(0)));
    page.gauge("stele_queue_length", waiting.iter().map(|(class, n)| (vec![("class", class.as_str())], *n as f64)));
    page.gauge("stele_balance_idle_reason", pending.idle.map(|code| (vec![("reason", code)], 1.0)));
    margins(&mut page, world, tally);
    let spreads = spreads(world, at);
    let skews =
        spreads.iter().map(|(medium, of)| (vec![("level", "disk"), ("medium", name_of(*medium))], of.spread.width()));
    page.gauge("stele_balance_skew_ratio", skews);
    operations(&mut page, published, at);
    pauses(&mut page, world, at);
    page.histogram("stele_scrub_age_seconds", &tally.read_ages);
    page.0
}

/// Used, free, kept free for what must not wait, and on its way there.
fn disks(page: &mut Page, world: &World) {
    let mut coming: BTreeMap<DiskId, u64> = BTreeMap::new();
    for task in world.tasks.values() {
        if let Work::Clone { disk, .. } = &task.work {
            *coming.entry(*disk).or_default() += task.bytes_total.saturating_sub(task.bytes_done);
        }
    }
    let mut series = Vec::new();
    for disk in crate::front::view::in_use(world) {
        let Some(node) = world.nodes.get(&disk.node) else { continue };
        let space = disk.space;
        for (kind, bytes) in [
            ("used", space.used),
            ("free", space.available()),
            ("reserved", world.knobs.clone_reserve(space.total)),
            ("inflight", coming.get(&disk.id).copied().unwrap_or(0)),
        ] {
            series
                .push((vec![("host", node.host.as_str()), ("disk", disk.path.as_str()), ("kind", kind)], bytes as f64));
        }
    }
    page.gauge("stele_disk_bytes", series);
}

fn name_of(medium: Medium) -> &'static str {
    match medium {
        Medium::Hdd => "HDD",
        Medium::Ssd => "SSD",
    }
}

/// How near each medium's tablets are to being lost; none where there are none.
fn margins(page: &mut Page, world: &World, tally: &Tally) {
    let mut series = Vec::new();
    for (medium, margin) in &tally.margins {
        let Some(margin) = margin.shown(world) else { continue };
        let domains = [("hosts", Some(margin.hosts)), ("disks", Some(margin.disks)), ("racks", margin.racks)];
        for (domain, more) in domains {
            let labels = vec![("domain", domain), ("table_class", name_of(*medium))];
            series.extend(more.map(|more| (labels, f64::from(more))));
        }
    }
    page.gauge("stele_fault_margin", series);
}

/// Drains and plans that are under way, and what drains still hold, all of them together. Each drain is reckoned once:
/// it looks at every tablet there.
fn operations(page: &mut Page, published: &Published, at: Tick) {
    let world = &*published.world;
    let ratio = |part: u64, of: u64| if of == 0 { 1.0 } else { part as f64 / of as f64 };
    let (mut done, mut left) = (Vec::new(), Vec::new());
    let (mut draining, mut drained) = (0_u64, 0_u64);
    let (mut tablets, mut bytes, mut rate, mut copies) = (0, 0, 0, 0);
    for drain in world.drains.values() {
        let progress = progress::of(world, drain, at, published.wall_ms);
        match progress.state {
            DrainState::Draining => draining += 1,
            DrainState::Drained => drained += 1,
        }
        tablets += progress.tablets_left();
        bytes += progress.bytes_left();
        rate += progress.bytes_per_s;
        copies += progress.copies_running;
        if progress.state == DrainState::Drained {
            continue;
        }
        let op = match drain.of {
            Leaver::Node(node) => format!("drain node {node}"),
            Leaver::Disk(disk) => format!("drain disk {disk}"),
        };
        left.extend(progress.eta_s.map(|(from, to)| (op.clone(), from, to)));
        done.push((op, ratio(progress.tablets_moved, progress.tablets)));
    }
    for plan in world.plans.iter().filter(|plan| plan.state == PlanState::Running) {
        let progress = plans::progress::of(world, plan);
        done.push((format!("plan {}", plan.id), ratio(progress.done + progress.otherwise, plan.steps.len() as u64)));
    }
    page.gauge("stele_op_progress_ratio", done.iter().map(|(op, ratio)| (vec![("op", op.as_str())], *ratio)));
    let bounds = left.iter().flat_map(|(op, from, to)| {
        [("low", from), ("high", to)].map(|(bound, s)| (vec![("op", op.as_str()), ("bound", bound)], *s as f64))
    });
    page.gauge("stele_op_eta_seconds", bounds);
    let states = [("draining", draining), ("drained", drained)];
    page.gauge("stele_drains", states.map(|(state, drains)| (vec![("state", state)], drains as f64)));
    page.gauge("stele_drain_tablets_left", [(vec![], tablets as f64)]);
    page.gauge("stele_drain_bytes_left", [(vec![], bytes as f64)]);
    page.gauge("stele_drain_bytes_per_second", [(vec![], rate as f64)]);
    page.gauge("stele_drain_copies_running", [(vec![], copies as f64)]);
}

/// Pauses in force by where they hold, and when the next one ends.
fn pauses(page: &mut Page, world: &World, at: Tick) {
    let mut active: BTreeMap<&str, u64> = ["everything", "node", "disk", "table"].map(|scope| (scope, 0)).into();
    let mut next: Option<u64> = None;
    for lease in world.leases.values().filter(|lease| !lease.is_over(at)) {
        let LeaseScope::Pause { on, .. } = &lease.scope else { continue };
        let scope = match on {
            PauseOn::Everything => "everything",
            PauseOn::Node { .. } => "node",
            PauseOn::Disk { .. } => "disk",
            PauseOn::Table { .. } => "table",
        };
        *active.entry(scope).or_default() += 1;
        let ends_in = lease.until.map(|until| until.since(at));
        next = ends_in.into_iter().chain(next).min();
    }
    page.gauge("stele_pause_active", active.iter().map(|(scope, n)| (vec![("scope", *scope)], *n as f64)));
    page.gauge("stele_pause_expires_seconds", next.map(|ms| (vec![], ms as f64 / 1e3)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tally::Ages;

    /// Labels are escaped, and buckets of a histogram hold all below them.
    #[test]
    fn text_of_prometheus() {
        let mut page = Page::default();
        page.gauge("stele_disk_bytes", [(vec![("host", "a\"b\\c\nd"), ("kind", "used")], 3.0)]);
        assert!(page.0.ends_with("stele_disk_bytes{host=\"a\\\"b\\\\c\\nd\",kind=\"used\"} 3\n"), "{}", page.0);
        let mut ages = Ages::default();
        for age_s in [0, 3_600, 3_601, 9_999_999] {
            ages.add(age_s);
        }
        page.histogram("stele_scrub_age_seconds", &ages);
        for line in ["_bucket{le=\"3600\"} 2", "_bucket{le=\"86400\"} 3", "_bucket{le=\"+Inf\"} 4", "_count 4"] {
            assert!(page.0.contains(&format!("stele_scrub_age_seconds{line}\n")), "{line} is not in {}", page.0);
        }
    }
}
