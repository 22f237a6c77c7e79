//! `stele man`: the manual's pages, made from the very definition of the command line.

use crate::exit::{Exit, Failure, Outcome};
use crate::flags::{self, Global};
use clap::Args;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stele man | man -l -
  stele man --dir ~/.local/share/man/man1 && man stele-node-drain")]
pub struct ManArgs {
    /// Write a page for each command there; else the first page goes to standard output
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    dir: String,
    pages: Vec<String>,
}

pub fn run(global: &Global, args: &ManArgs) -> Outcome {
    let Some(dir) = &args.dir else {
        let (_, page) = pages().swap_remove(0);
        io::stdout().lock().write_all(&page).map_err(Failure::output)?;
        return Ok(Exit::Done);
    };
    let broken = |error: io::Error| Failure::io(format_args!("cannot write pages into {}", dir.display()), error);
    std::fs::create_dir_all(dir).map_err(broken)?;
    let mut names = Vec::new();
    for (name, page) in pages() {
        std::fs::write(dir.join(&name), page).map_err(broken)?;
        names.push(name);
    }
    let written = Written { dir: dir.display().to_string(), pages: names };
    global.printer().one(&written, |written| format!("{} pages in {}", written.pages.len(), written.dir))?;
    Ok(Exit::Done)
}

/// Names and texts; `stele.1` is the first.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut root = flags::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    page(&root, "stele", &mut pages);
    pages
}

fn page(command: &clap::Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) {
    let mut text = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).title(name.to_uppercase());
    man.render(&mut text).expect("a Vec takes everything");
    pages.push((format!("{name}.1"), text));
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        page(inner, &format!("{name}-{}", inner.get_name()), pages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There is a page for every command, with its whole name and its example.
    #[test]
    fn every_command_has_a_page() {
        let pages = pages();
        assert_eq!(pages[0].0, "stele.1");
        assert!(pages.len() > 60, "only {} pages", pages.len());
        let (_, drain) = pages.iter().find(|(name, _)| name == "stele-node-drain.1").expect("it has a page");
        let drain = String::from_utf8_lossy(drain).replace("\\-", "-");
        for part in [".TH STELE-NODE-DRAIN", "stele node drain", "--reason", "Example"] {
            assert!(drain.contains(part), "{part} is not in {drain}");
        }
    }
}
