//! `stele throttle [gentle|normal|fast]`: how fast copies may be, four knobs at once. Single ones: `stele config set`.

use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::shapes::settings;
use crate::span::owner;
use clap::{Args, ValueEnum};
use stele_common::api::{KnobAsk, Knobs, Limits, Preset, Status, rate_knobs};
use stele_common::config::knobs::Value;

#[derive(Debug, Args)]
#[command(after_help = "In force at once, for copies under way as well, until it is changed again.

  gentle  repair 50 MiB/s a disk and 100 an agent, balance 10 and 20
  normal  repair without limit, balance 100 MiB/s a disk and 200 an agent
  fast    no limits

Examples:
  stele throttle
  stele throttle gentle --reason 'month end'
  stele config set repair_disk_rate 80MiB")]
pub struct ThrottleArgs {
    /// Show the limits in force when none is named
    preset: Option<PresetFlag>,
    /// Why; it stands in the history
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PresetFlag {
    Gentle,
    Normal,
    Fast,
}

impl PresetFlag {
    fn meant(self) -> Preset {
        match self {
            PresetFlag::Gentle => Preset::Gentle,
            PresetFlag::Normal => Preset::Normal,
            PresetFlag::Fast => Preset::Fast,
        }
    }
}

pub fn run(global: &Global, args: &ThrottleArgs) -> Outcome {
    let face = global.face();
    if let Some(preset) = args.preset {
        for (name, rate) in rate_knobs(preset.meant().limits()) {
            let ask = KnobAsk { value: Value::Whole(rate), by: owner(), reason: args.reason.clone() };
            let _: Knobs = face.put(&format!("/v1/config/{name}"), &ask)?;
        }
    }
    let limits: Limits = face.get::<Status>("/v1/status", &[])?.limits;
    global.printer().one(&limits, settings::limits)?;
    Ok(Exit::Done)
}
