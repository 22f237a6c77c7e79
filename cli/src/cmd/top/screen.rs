//! What stands on the screen of `stele top`: a view in, cells out. Pure: no terminal, no clock, no question.

use super::State;
use crate::shapes;
use crate::table::{clock, duration, size};
use anstream::adapter::strip_str;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table, Tabs, Widget};
use stele_common::Liveness;
use stele_common::api::{DiskInfo, NodeInfo, Status, TaskInfo, TaskState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Overview,
    Nodes,
    Tasks,
    Events,
}

impl Page {
    pub const ALL: [Page; 4] = [Page::Overview, Page::Nodes, Page::Tasks, Page::Events];

    fn name(self) -> &'static str {
        match self {
            Page::Overview => "1 Overview",
            Page::Nodes => "2 Nodes",
            Page::Tasks => "3 Tasks",
            Page::Events => "4 Events",
        }
    }

    /// So many pages to the right, round and round.
    pub fn beside(self, steps: usize) -> Page {
        Page::ALL[(self as usize + steps) % Page::ALL.len()]
    }
}

/// What is looked at.
pub struct View {
    state: State,
    /// Why the state is an old one.
    failure: Option<String>,
    pub page: Page,
    pub paused: bool,
    /// First line of the page's list.
    pub scroll: usize,
}

impl View {
    pub fn new(state: State) -> View {
        View { state, failure: None, page: Page::Overview, paused: false, scroll: 0 }
    }

    /// Takes what was heard, unless somebody wants to read in peace.
    pub fn hear(&mut self, heard: Result<State, String>) {
        if self.paused {
            return;
        }
        self.failure = match heard {
            Ok(state) => {
                self.state = state;
                None
            }
            Err(failure) => Some(failure),
        };
    }

    pub fn turn(&mut self, page: Page) {
        (self.page, self.scroll) = (page, 0);
    }
}

pub fn draw(view: &View, area: Rect, buffer: &mut Buffer) {
    let [head, tabs, body, foot] = area.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ]));
    title(view).render(head, buffer);
    let names = Page::ALL.map(|page| page.name());
    let chosen = Style::new().add_modifier(Modifier::REVERSED);
    Tabs::new(names).select(view.page as usize).highlight_style(chosen).divider(" ").render(tabs, buffer);
    let state = &view.state;
    match view.page {
        Page::Overview => overview(state, body, buffer),
        Page::Nodes => nodes(&state.nodes, view.scroll, body, buffer),
        Page::Tasks => tasks(&state.tasks, view.scroll, body, buffer),
        Page::Events => events(state, view.scroll, body, buffer),
    }
    let keys = "q ends   left, right, Tab: pages   up, down: scroll   p: pause";
    Line::from(keys).dim().render(foot, buffer);
}

fn title(view: &View) -> Line<'static> {
    let status = &view.state.status;
    let cluster: String = status.cluster.chars().take(8).collect();
    let up = duration(status.uptime_s * 1000);
    let mut line =
        Line::from(format!("stele top   cluster {cluster}   epoch {}   {}   up {up}", status.epoch, status.level));
    if view.paused {
        line.push_span(Span::from("   PAUSED").yellow().bold());
    }
    if let Some(failure) = &view.failure {
        line.push_span(Span::from(format!("   {failure}")).red().bold());
    }
    line
}

fn overview(state: &State, area: Rect, buffer: &mut Buffer) {
    let mut lines = summary(&state.status);
    lines.extend(copies(&state.status));
    let space = area.height.saturating_sub(lines.len() as u16);
    let running = state.tasks.iter().filter(|task| task.state == TaskState::Running).count() as u16;
    // Nodes come first; of what they leave, tasks take what they need and events the rest, two lines at least.
    let nodes_height = (state.nodes.len() as u16 + 2).min(space * 2 / 5);
    let tasks_height = (running + 2).min((space - nodes_height) / 2);
    let [top, middle, low, bottom] = area.layout(&Layout::vertical([
        Constraint::Length(lines.len() as u16),
        Constraint::Length(nodes_height),
        Constraint::Length(tasks_height),
        Constraint::Fill(1),
    ]));
    Paragraph::new(lines).render(top, buffer);
    nodes(&state.nodes, 0, below("nodes", middle, buffer), buffer);
    tasks(&state.tasks, 0, below("tasks", low, buffer), buffer);
    events(state, 0, below("events", bottom, buffer), buffer);
}

/// Draws a heading; what is left below it.
fn below(heading: &str, area: Rect, buffer: &mut Buffer) -> Rect {
    let [head, rest] = area.layout(&Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]));
    let line = format!("{heading} {}", "─".repeat(usize::from(area.width).saturating_sub(heading.len() + 1)));
    Line::from(line).dim().render(head, buffer);
    rest
}

fn summary(status: &Status) -> Vec<Line<'static>> {
    let pair = |name: &str, value: Span<'static>| Line::from(vec![Span::from(format!("{name:<9}")).dim(), value]);
    let mut lines = Vec::new();
    match status.problems.as_slice() {
        [] => lines.push(pair("health", Span::from("OK").green().bold())),
        problems => {
            lines.push(pair("health", Span::from(format!("{} problems", problems.len())).red().bold()));
            lines.extend(problems.iter().take(3).map(|problem| {
                let told = format!("         {} {}: {}", problem.code, problem.subject, problem.cause);
                Line::from(told).red()
            }));
        }
    }
    let text = |text: String| Span::from(strip_str(&text).to_string());
    lines.extend(status.margin.as_ref().map(|margin| pair("margin", text(shapes::margin(margin)))));
    let percent = percent(status.bytes_used, status.bytes_total);
    let used = format!("{} {} of {}", bar(percent, 20), size(status.bytes_used), size(status.bytes_total));
    lines.push(pair("used", text(used)));
    let work = format!("{} running, {} pending", status.tasks_running, status.tasks_pending);
    lines.push(pair("tasks", text(work)));
    lines.extend(status.balance.as_ref().map(|line| pair("balance", text(shapes::balance_line(line)))));
    lines
}

/// How many tablets have how many good copies.
fn copies(status: &Status) -> Vec<Line<'static>> {
    let all = status.copies.values().sum();
    let line = |(copies, tablets): (&u32, &u64)| {
        let style = match copies {
            0 => Style::new().fg(Color::Red).bold(),
            1 => Style::new().fg(Color::Yellow),
            _ => Style::new(),
        };
        let told = format!("{copies:>2}: {} {tablets} tablets", bar(percent(*tablets, all), 20));
        Line::from(vec![Span::from(format!("{:<9}", "copies")).dim(), Span::styled(told, style)])
    };
    status.copies.iter().map(line).collect()
}

fn nodes(nodes: &[NodeInfo], scroll: usize, area: Rect, buffer: &mut Buffer) {
    let widths = [8, 16, 8, 12, 31, 9, 30];
    let head = ["NODE", "HOST", "STATE", "DRAIN", "USED", "REPLICAS", "DISKS"];
    let row = |node: &NodeInfo| {
        let sum = |of: fn(&DiskInfo) -> u64| node.disks.iter().map(of).sum::<u64>();
        let (used, total) = (sum(|disk| disk.used), sum(|disk| disk.total));
        let away = node.disks.iter().filter(|disk| disk.cause.is_some()).count();
        let disks = match away {
            0 => node.disks.len().to_string(),
            away => format!("{} ({away} in trouble)", node.disks.len()),
        };
        let style = match (node.liveness, away) {
            (Liveness::Alive, 0) => Style::new(),
            (Liveness::Alive, _) | (Liveness::Silent, _) => Style::new().fg(Color::Yellow),
            (Liveness::Lost, _) => Style::new().fg(Color::Red),
        };
        let used = format!("{} {}", bar(percent(used, total), 10), size(used));
        let drain = shapes::leaving(node.drain, node.drain_progress.as_ref());
        let (id, state) = (node.id.to_string(), node.liveness.to_string());
        Row::new([id, node.host.clone(), state, drain, used, node.replicas.to_string(), disks]).style(style)
    };
    list(head, widths, nodes.iter().map(row), scroll, area, buffer);
}

fn tasks(tasks: &[TaskInfo], scroll: usize, area: Rect, buffer: &mut Buffer) {
    let widths = [8, 18, 7, 9, 12, 12, 29, 12, 9];
    let head = ["TABLET", "TABLE", "KIND", "STATE", "FROM", "TO", "DONE", "RATE", "LEFT"];
    let row = |task: &TaskInfo| {
        let left = task.bytes_total.saturating_sub(task.bytes_done);
        let left = (left * 1000).checked_div(task.bytes_per_s).map(duration);
        let rate = (task.bytes_per_s > 0).then(|| format!("{}/s", size(task.bytes_per_s)));
        let done = match task.bytes_total {
            0 => String::new(),
            total => format!("{} {}", bar(percent(task.bytes_done, total), 10), size(total)),
        };
        Row::new([
            task.tablet.to_string(),
            task.table.clone(),
            task.kind.as_ref().map_or_else(|| task.task_type.to_string(), shapes::upper),
            shapes::upper(&task.state),
            shapes::place(task.src_host.as_ref(), task.src_node, task.src_disk),
            shapes::place(task.dest_host.as_ref(), task.dest_node, task.dest_disk),
            done,
            rate.unwrap_or_default(),
            left.unwrap_or_default(),
        ])
    };
    match tasks {
        [] => Line::from("no task is running or waiting").dim().render(area, buffer),
        tasks => list(head, widths, tasks.iter().map(row), scroll, area, buffer),
    }
}

fn events(state: &State, scroll: usize, area: Rect, buffer: &mut Buffer) {
    let row = |one: &stele_common::api::Happening| {
        Row::new([clock(&one.at), one.kind.clone(), one.subject.clone(), one.text.clone()])
    };
    let head = ["AT (UTC)", "KIND", "SUBJECT", "WHAT"];
    list(head, [10, 20, 24, 200], state.events.iter().map(row), scroll, area, buffer);
}

fn list<'a, const N: usize>(
    head: [&'static str; N],
    widths: [u16; N],
    rows: impl Iterator<Item = Row<'a>>,
    scroll: usize,
    area: Rect,
    buffer: &mut Buffer,
) {
    let rows: Vec<Row> = rows.collect();
    // The last line stays in sight however far one scrolls.
    let first = scroll.min(rows.len().saturating_sub(1));
    let table = Table::new(rows.into_iter().skip(first), widths.map(Constraint::Length));
    table.header(Row::new(head).bold()).render(area, buffer);
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A bar of this many cells, and the figure.
fn bar(percent: f64, cells: usize) -> String {
    let full = ((percent / 100.0 * cells as f64).round() as usize).min(cells);
    // Something is never drawn as nothing.
    let full = if percent > 0.0 { full.max(1) } else { 0 };
    format!("{}{} {percent:>5.1} %", "█".repeat(full), "░".repeat(cells - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn state() -> State {
        serde_json::from_str(include_str!("../../../tests/screens/state.json")).expect("a state")
    }

    fn text(view: &View, width: u16, height: u16) -> String {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        draw(view, area, &mut buffer);
        let lines = buffer.content.chunks(usize::from(width).max(1));
        let lines =
            lines.map(|cells| cells.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_string());
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }

    /// Every page of a cluster that has lost a host and copies, as it stands on a screen. REWRITE=1 draws them anew.
    #[test]
    fn pages_are_drawn() {
        let mut view = View::new(state());
        for page in Page::ALL {
            view.turn(page);
            let name = page.name().split_once(' ').expect("a digit and a word").1.to_lowercase();
            let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/screens/{name}.txt"));
            let drawn = text(&view, 130, 32);
            if std::env::var_os("REWRITE").is_some() {
                std::fs::write(&file, &drawn).expect("written");
            }
            let expected = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(drawn, expected, "{}: look at it, then REWRITE=1", file.display());
        }
    }

    /// No screen is too small, no list too short to scroll in.
    #[test]
    fn any_size_is_drawn() {
        let mut view = View::new(state());
        view.scroll = 10_000;
        for (width, height) in [(0, 0), (1, 1), (20, 4), (80, 24), (300, 100)] {
            for page in Page::ALL {
                view.page = page;
                text(&view, width, height);
            }
        }
    }

    /// Pages go round; a paused screen keeps what it shows; a failure stands beside the last state.
    #[test]
    fn what_is_looked_at() {
        assert_eq!(Page::Events.beside(1), Page::Overview);
        assert_eq!(Page::Overview.beside(Page::ALL.len() - 1), Page::Events);
        let mut view = View::new(state());
        view.hear(Err("cannot reach the coordinator".into()));
        assert!(text(&view, 130, 32).contains("cannot reach the coordinator"));
        view.hear(Ok(state()));
        assert!(!text(&view, 130, 32).contains("cannot reach"));
        view.paused = true;
        view.hear(Err("cannot reach the coordinator".into()));
        let shown = text(&view, 130, 32);
        assert!(shown.contains("PAUSED") && !shown.contains("cannot reach"));
    }

    /// Bars show their parts, and a little is more than nothing.
    #[test]
    fn bars() {
        assert_eq!(
            [0.0, 0.1, 50.0, 100.0].map(|part| bar(part, 4)).join("|"),
            "░░░░   0.0 %|█░░░   0.1 %|██░░  50.0 %|████ 100.0 %"
        );
        assert_eq!(bar(250.0, 2), "██ 250.0 %");
    }
}
