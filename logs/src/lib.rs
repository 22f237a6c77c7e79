//! Log lines of coordinator and agents: how they are written, and how much is written, which may be changed while the
//! process runs.
//!
//! `RUST_LOG` says what is written at the start, `STELE_LOG_JSON=1` makes the lines JSON. In: a filter as text. Out: lines
//! on stderr.

use std::io::IsTerminal;
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing_subscriber::EnvFilter;

/// What is written unless somebody says otherwise.
pub const DEFAULT: &str = "info,actix_server=warn";

/// Takes on a filter that was parsed.
type Reload = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

struct Tap {
    reload: Reload,
    filter: Mutex<String>,
}

static TAP: OnceLock<Tap> = OnceLock::new();

/// Why the filter stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum Stays {
    #[error("`{0}` is no filter: {1}")]
    NoFilter(String, String),
    #[error("the log of this process is not ours to change")]
    NotOurs,
    #[error("the log does not take the filter: {0}")]
    Refused(String),
}

/// Lines to stderr from now on. Does nothing when whoever started us logs already.
pub fn start() {
    let wished = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let text = wished.filter(|text| EnvFilter::try_new(text).is_ok()).unwrap_or_else(|| DEFAULT.to_string());
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&text)).with_writer(std::io::stderr);
    let json = std::env::var("STELE_LOG_JSON").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    let reload: Option<Reload> = if json {
        let lines = lines.json().with_filter_reloading();
        let handle = lines.reload_handle();
        let set: Reload = Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()));
        lines.try_init().ok().map(|()| set)
    } else {
        // Colours are for people: not for files, and not for those who do not want them.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let lines = lines.with_ansi(std::io::stderr().is_terminal() && !plain).with_filter_reloading();
        let handle = lines.reload_handle();
        let set: Reload = Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()));
        lines.try_init().ok().map(|()| set)
    };
    if let Some(reload) = reload {
        // A second start found the log set up, so there is one tap.
        let _ = TAP.set(Tap { reload, filter: Mutex::new(text) });
    }
}

/// What is written now; `None`: the log is somebody else's.
pub fn filter() -> Option<String> {
    TAP.get().map(|tap| tap.filter.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Writes by another filter from now on, such as `debug` or `info,stele_coordinator::actors=debug`.
pub fn set(text: &str) -> Result<(), Stays> {
    let parsed = EnvFilter::try_new(text).map_err(|error| Stays::NoFilter(text.into(), error.to_string()))?;
    let tap = TAP.get().ok_or(Stays::NotOurs)?;
    let mut filter = tap.filter.lock().unwrap_or_else(PoisonError::into_inner);
    (tap.reload)(parsed).map_err(Stays::Refused)?;
    tracing::info!(was = %filter, is = text, "log filter set");
    *filter = text.to_string();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filter that is none is named; one that is can be set while the process runs, and is what is told then.
    #[test]
    fn live() {
        assert!(matches!(set("info,=x=y"), Err(Stays::NoFilter(..))));
        start();
        // A test runner may have a log of its own.
        if filter().is_some() {
            set("warn,stele_agent=debug").unwrap();
            assert_eq!(filter().as_deref(), Some("warn,stele_agent=debug"));
            assert!(tracing::enabled!(target: "stele_agent::actors", tracing::Level::DEBUG));
            assert!(!tracing::enabled!(target: "elsewhere", tracing::Level::INFO));
        }
    }
}
