//! `stele level`: how much the coordinator may do.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::shapes::settings;
use crate::span::owner;
use clap::{Args, Subcommand};
use stele_common::api::{LevelAsk, LevelInfo};
use stele_common::near::{did_you_mean, nearest};
use stele_common::status::Level;

#[derive(Debug, Subcommand)]
pub enum LevelVerb {
    /// The level in force, what was set, and what holds it down
    #[command(after_help = "Example:\n  stele level get")]
    Get,
    /// Allow so much from now on, also after a restart
    Set(SetArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Levels:
  stopped  nothing is received and nothing decided
  blind    reports are read, nothing is ordered
  freezed  loads go on; no copy, no deletion, no new table
  steady   repair too; nothing moves only to even out
  lively   everything (the default)

Examples:
  stele level set steady --reason 'rolling upgrade'
  stele level set lively")]
pub struct SetArgs {
    /// stopped, blind, freezed, steady or lively
    #[arg(value_parser = level)]
    level: Level,
    /// Why; it is shown while it lasts
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
}

fn level(text: &str) -> Result<Level, String> {
    let all = [Level::Stopped, Level::Blind, Level::Freezed, Level::Steady, Level::Lively];
    let known = all.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
    known.ok_or_else(|| {
        let next = nearest(text, all.map(Level::as_str)).map(|name| did_you_mean(name.to_lowercase()));
        let next = next.unwrap_or_else(|| "write stopped, blind, freezed, steady or lively".into());
        format!("there is no level `{text}`; {next}")
    })
}

pub fn run(global: &Global, verb: &LevelVerb) -> Outcome {
    let info: LevelInfo = match verb {
        LevelVerb::Get => global.face().get("/v1/level", &[])?,
        LevelVerb::Set(args) => {
            let ask = LevelAsk { level: args.level, by: owner(), reason: args.reason.clone() };
            global.face().put("/v1/level", &ask)?
        }
    };
    global.printer().one(&info, settings::level)?;
    Ok(Exit::Done)
}
