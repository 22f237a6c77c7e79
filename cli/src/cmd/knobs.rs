//! `stele config list|get|set|history`: the running coordinator's knobs.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::http::encode_path;
use crate::shapes::settings;
use crate::span::owner;
use clap::Args;
use stele_common::api::{KnobAsk, KnobHistory, Knobs};
use stele_common::config::knobs::Value;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stele config list\n  stele config list --changed -o json")]
pub struct ListArgs {
    /// Only those that differ from the built-in default
    #[arg(long)]
    changed: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "The originals' names work too.

Examples:
  stele config get assign_delay_ms
  stele config get tablet_sched_slot_num_per_path")]
pub struct GetArgs {
    /// The knob
    name: String,
}

#[derive(Debug, Args)]
#[command(after_help = "In force at once, durable, and above the file until it is taken back.

Examples:
  stele config set assign_delay_ms 30m --reason 'rolling upgrade'
  stele config set schedule_slot_num_per_path 4
  stele config set assign_secondary_black_list host-3,host-4
  stele config set assign_delay_ms default")]
pub struct SetArgs {
    /// The knob
    name: String,
    /// A number in the knob's unit, or one like 30s, 5MiB, 85%; names with commas; 'default' takes it back
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// Why; it stands in the history
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stele config history\n  stele config history assign_delay_ms")]
pub struct HistoryArgs {
    /// Only this knob
    name: Option<String>,
}

pub fn list(global: &Global, args: &ListArgs) -> Outcome {
    let mut knobs: Knobs = global.face().get("/v1/config", &[])?;
    knobs.knobs.retain(|knob| !args.changed || knob.value != knob.default);
    global.printer().list(&knobs)?;
    Ok(Exit::Done)
}

pub fn get(global: &Global, args: &GetArgs) -> Outcome {
    shown(global, &global.face().get(&path(&args.name), &[])?)
}

pub fn set(global: &Global, args: &SetArgs) -> Outcome {
    let ask = KnobAsk { value: Value::Text(args.value.clone()), by: owner(), reason: args.reason.clone() };
    shown(global, &global.face().put(&path(&args.name), &ask)?)
}

pub fn history(global: &Global, args: &HistoryArgs) -> Outcome {
    let mut history: KnobHistory = global.face().get("/v1/config/history", &[])?;
    if let Some(name) = &args.name {
        let knobs: Knobs = global.face().get(&path(name), &[])?;
        history.settings.retain(|setting| knobs.knobs.iter().any(|knob| knob.name == setting.name));
    }
    global.printer().list(&history)?;
    Ok(Exit::Done)
}

/// One knob as an object of its own; two, where a name stands for two, as a list.
fn shown(global: &Global, knobs: &Knobs) -> Outcome {
    match knobs.knobs.as_slice() {
        [knob] => global.printer().one(knob, settings::knob)?,
        _ => global.printer().list(knobs)?,
    }
    Ok(Exit::Done)
}

fn path(name: &str) -> String {
    format!("/v1/config/{}", encode_path(name))
}
