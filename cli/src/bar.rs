//! Progress for people: bars and spinners on standard error, only where that is a terminal.
//!
//! Counting goes on where nothing is drawn, so callers never ask. Colours follow NO_COLOR.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

fn drawn(bar: ProgressBar) -> ProgressBar {
    if std::io::stderr().is_terminal() {
        bar.enable_steady_tick(Duration::from_millis(120));
    } else {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

fn coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn style(template: &str) -> ProgressStyle {
    let template = if coloured() { template.to_string() } else { template.replace(".cyan", "") };
    ProgressStyle::with_template(&template).expect("the templates below are constants").progress_chars("█▉▊▋▌▍▎▏ ")
}

/// A bar of bytes with rate and time left.
pub fn bytes(what: &str, total: u64) -> ProgressBar {
    let look =
        style("  {prefix:<18} {bar:32.cyan} {bytes:>10} of {total_bytes:<10} {bytes_per_sec:>12} {eta:>4} {msg}");
    drawn(ProgressBar::new(total).with_style(look).with_prefix(what.to_string()))
}

/// A bar of things counted, with the time left.
pub fn count(what: &str, total: u64) -> ProgressBar {
    let look = style("  {prefix:<18} {bar:32.cyan} {pos:>6} of {len:<6} {per_sec:>12} {eta:>4}");
    drawn(ProgressBar::new(total).with_style(look).with_prefix(what.to_string()))
}

/// Something that takes time, without an end that could be known.
pub fn spinner(what: &str) -> ProgressBar {
    drawn(
        ProgressBar::no_length()
            .with_style(style("  {spinner} {prefix} {elapsed:>4} {msg}"))
            .with_prefix(what.to_string()),
    )
}

#[cfg(test)]
mod tests {
    /// The templates are valid; indicatif finds out only at run time.
    #[test]
    fn templates_hold() {
        for bar in [super::bytes("a", 10), super::count("b", 10), super::spinner("c")] {
            bar.inc(1);
            bar.finish_and_clear();
        }
    }
}
