//! `stele top`: the cluster on a live screen.
//!
//! ```text
//! asker (a thread) ── State, once a second ──▶ loop ◀── keys
//!                                               └──▶ screen::draw
//! ```
//!
//! In: the HTTP API's own lists. Out: frames. What stands on a frame is said in `screen.rs`; nothing is changed from
//! here, and the terminal is given back as it was.

mod screen;

use crate::cmd::events;
use crate::exit::{Exit, Failure, Outcome};
use crate::flags::Global;
use crate::http::Face;
use crate::span::Span;
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use screen::{Page, View};
use serde::Deserialize;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use stele_common::api::{Happening, NodeInfo, Nodes, Status, TaskInfo, Tasks};

#[derive(Debug, Args)]
#[command(after_help = "Keys: arrows, Tab or 1 to 4 for the pages, Up and Down within one, p pauses, q ends.

Examples:
  stele top
  stele top --every 5s")]
pub struct TopArgs {
    /// How often the coordinator is asked
    #[arg(long, default_value = "1s", value_name = "SPAN")]
    every: Span,
}

/// Tasks and events that one screen may need; the house may have many more.
const SHOWN_MAX: u64 = 200;
/// A key is answered within this.
const TICK: Duration = Duration::from_millis(100);

/// What the coordinator said last.
#[derive(Clone, Debug, Deserialize)]
pub struct State {
    pub status: Status,
    pub nodes: Vec<NodeInfo>,
    /// Running ones, then those that wait.
    pub tasks: Vec<TaskInfo>,
    /// Newest first.
    pub events: Vec<Happening>,
}

impl State {
    fn ask(face: &Face) -> Result<State, Failure> {
        let limit = SHOWN_MAX.to_string();
        let tasks = |state: &str| face.get::<Tasks>("/v1/tasks", &[("state", state), ("limit", &limit)]);
        let mut shown = tasks("running")?.tasks;
        shown.extend(tasks("pending")?.tasks);
        Ok(State {
            status: face.get("/v1/status", &[])?,
            nodes: face.list::<Nodes>("/v1/nodes", &[])?.nodes,
            tasks: shown,
            events: events::lately(face, SHOWN_MAX)?.events,
        })
    }
}

pub fn run(global: &Global, args: &TopArgs) -> Outcome {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::usage("'stele top' needs a terminal").next("use 'stele status', with --watch or -o json"));
    }
    let face = global.face();
    // What fails at once is told as by every other command, not on a screen that goes away.
    let first = State::ask(&face)?;
    let (sender, states) = channel();
    let pause = Duration::from_millis(args.every.0);
    let asker = move || ask_on(&face, pause, &sender);
    std::thread::Builder::new()
        .name("asker".into())
        .spawn(asker)
        .map_err(|error| Failure::io("cannot start the thread that asks the coordinator", error))?;
    let screen = |error| Failure::io("cannot draw on the terminal", error);
    let mut terminal = ratatui::try_init().map_err(screen)?;
    let ended = show(&mut terminal, View::new(first), &states);
    let restored = ratatui::try_restore();
    ended.and(restored).map_err(screen)?;
    Ok(Exit::Done)
}

/// Until nobody listens.
fn ask_on(face: &Face, pause: Duration, states: &Sender<Result<State, Failure>>) {
    loop {
        std::thread::sleep(pause);
        if states.send(State::ask(face)).is_err() {
            return;
        }
    }
}

fn show(terminal: &mut DefaultTerminal, mut view: View, states: &Receiver<Result<State, Failure>>) -> io::Result<()> {
    loop {
        for heard in states.try_iter() {
            view.hear(heard.map_err(|failure| failure.to_string()));
        }
        terminal.draw(|frame| screen::draw(&view, frame.area(), frame.buffer_mut()))?;
        while event::poll(TICK)? {
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press && !press(&mut view, key) => return Ok(()),
                // A resized screen is drawn anew.
                _ => {}
            }
            terminal.draw(|frame| screen::draw(&view, frame.area(), frame.buffer_mut()))?;
        }
    }
}

/// False where the key ends it.
fn press(view: &mut View, key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('p') => view.paused = !view.paused,
        KeyCode::Char(digit @ '1'..='4') => view.turn(Page::ALL[digit as usize - '1' as usize]),
        KeyCode::Right | KeyCode::Tab => view.turn(view.page.beside(1)),
        KeyCode::Left | KeyCode::BackTab => view.turn(view.page.beside(Page::ALL.len() - 1)),
        KeyCode::Down => view.scroll = view.scroll.saturating_add(1),
        KeyCode::Up => view.scroll = view.scroll.saturating_sub(1),
        KeyCode::PageDown => view.scroll = view.scroll.saturating_add(10),
        KeyCode::PageUp => view.scroll = view.scroll.saturating_sub(10),
        KeyCode::Home => view.scroll = 0,
        _ => {}
    }
    true
}
