//! Single processes of a local cluster: started apart from our terminal, recognised, ended.
//!
//! A process is ours when its command line says `coordinator|agent --config FILE` with exactly our file; nothing else
//! is ever signalled, whatever a stale pid points at now.

use crate::exit::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Coordinator,
    Agent,
}

impl Part {
    fn verb(self) -> &'static str {
        match self {
            Part::Coordinator => "coordinator",
            Part::Agent => "agent",
        }
    }

    /// Which overrides from the environment are this part's: the other's would be unknown keys to it.
    fn takes(self, variable: &str) -> bool {
        let coordinators =
            ["STELE__COORDINATOR__", "STELE__REPAIR__"].iter().any(|prefix| variable.starts_with(prefix));
        match self {
            Part::Coordinator => coordinators,
            Part::Agent => !coordinators,
        }
    }
}

/// Whether children end with this process or stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    EndWithUs,
    Stay,
}

/// A process of the cluster that runs.
#[derive(Debug)]
pub struct Running {
    pub name: String,
    pub part: Part,
    pub config: PathBuf,
    pub pid: u32,
    pub log: PathBuf,
    /// Absent when an earlier `up` started it.
    child: Option<Child>,
}

/// The command that starts a part; also what `cluster.json` names.
pub fn command_line(part: Part, config: &Path) -> Result<Vec<String>, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::io("cannot tell which program this is", error))?;
    let text = |path: &Path| {
        let text = path.to_str().ok_or_else(|| Failure::error(format!("the path {} is not UTF-8", path.display())));
        // A binary that was rebuilt while it runs.
        text.map(|text| text.trim_end_matches(" (deleted)").to_string())
    };
    Ok(vec![text(&program)?, part.verb().to_string(), "--config".to_string(), text(config)?])
}

impl Running {
    /// Starts a part, or finds it running.
    pub fn start(part: Part, name: &str, config: &Path, log: PathBuf, bond: Bond) -> Result<Running, Failure> {
        let found =
            |pid, child| Running { name: name.into(), part, config: config.into(), pid, log: log.clone(), child };
        if let Some(pid) = find(part, config).first().copied() {
            return Ok(found(pid, None));
        }
        let line = command_line(part, config)?;
        let failed = |error| Failure::io(format_args!("cannot write the log {}", log.display()), error);
        let output = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let mut command = Command::new(&line[0]);
        // A group of its own: Ctrl-C reaches only us, and we end the parts in order.
        command.args(&line[1..]).stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        for (variable, _) in std::env::vars_os() {
            let ours = variable.to_str().filter(|name| name.starts_with("STELE__"));
            if ours.is_some_and(|name| !part.takes(name)) {
                command.env_remove(&variable);
            }
        }
        match bond {
            Bond::EndWithUs => command.env(crate::cmd::serve::WITH_PARENT, std::process::id().to_string()),
            Bond::Stay => command.env_remove(crate::cmd::serve::WITH_PARENT),
        };
        let child =
            command.spawn().map_err(|error| Failure::io(format_args!("cannot start {}", line.join(" ")), error))?;
        Ok(found(child.id(), Some(child)))
    }

    /// Whether it still runs; a child that ended is also reaped.
    pub fn is_alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => is_ours(self.pid, self.part, &self.config),
        }
    }

    /// Whether this process started it just now.
    pub fn is_fresh(&self) -> bool {
        self.child.is_some()
    }

    pub fn signal(&mut self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may have ended this very moment, which is what was wanted.
            let _ = kill_process(pid, signal);
        }
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = File::open(&self.log) {
            let length = file.metadata().map_or(0, |meta| meta.len());
            let mut bytes = Vec::new();
            // The log only explains a failure that is told anyway.
            let _ = file.seek(SeekFrom::Start(length.saturating_sub(2_000))).and_then(|_| file.read_to_end(&mut bytes));
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(3)..].join(" | ")
    }
}

/// Ends all of them: asked first, then forced. Answers which had to be forced.
pub fn stop_all(parts: &mut [Running], patience: Duration) -> Vec<String> {
    parts.iter_mut().for_each(|part| part.signal(Signal::TERM));
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if !parts.iter_mut().any(Running::is_alive) {
            return Vec::new();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut forced = Vec::new();
    for part in parts.iter_mut().filter_map(|part| part.is_alive().then_some(part)) {
        part.signal(Signal::KILL);
        forced.push(part.name.clone());
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline && parts.iter_mut().any(Running::is_alive) {
        std::thread::sleep(Duration::from_millis(20));
    }
    forced
}

/// A handle on a process that some earlier command started.
pub fn adopt(part: Part, name: &str, config: &Path, pid: u32, log: PathBuf) -> Running {
    Running { name: name.into(), part, config: config.into(), pid, log, child: None }
}

/// Whether the process `pid` is this part with this configuration file.
pub fn is_ours(pid: u32, part: Part, config: &Path) -> bool {
    // A process that has ended and waits to be reaped has an empty command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|bytes| says(&bytes, part, config))
}

/// The processes that run this part with this configuration file; more than one only if somebody started it twice.
pub fn find(part: Part, config: &Path) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut pids: Vec<u32> = pids.filter(|pid| *pid != std::process::id() && is_ours(*pid, part, config)).collect();
    pids.sort_unstable();
    pids
}

fn says(cmdline: &[u8], part: Part, config: &Path) -> bool {
    let arguments: Vec<&[u8]> = cmdline.split(|byte| *byte == 0).collect();
    let config = config.as_os_str().as_encoded_bytes();
    arguments.get(1) == Some(&part.verb().as_bytes())
        && arguments.windows(2).any(|pair| pair[0] == b"--config" && pair[1] == config)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only exactly our part with exactly our file is ours.
    #[test]
    fn processes_are_recognised() {
        let file = Path::new("/d/agent.toml");
        let line = b"/bin/stele\0agent\0--config\0/d/agent.toml\0";
        assert!(says(line, Part::Agent, file));
        assert!(!says(line, Part::Coordinator, file));
        assert!(!says(line, Part::Agent, Path::new("/d/agent.tom")));
        assert!(!says(b"vi\0/d/agent.toml\0", Part::Agent, file));
        assert!(!says(b"", Part::Agent, file));
        assert!(!is_ours(std::process::id(), Part::Agent, file));
    }

    /// An override goes to the part whose key it is.
    #[test]
    fn overrides_are_sorted() {
        assert!(Part::Coordinator.takes("STELE__REPAIR__LOST_MS") && !Part::Agent.takes("STELE__REPAIR__LOST_MS"));
        assert!(Part::Agent.takes("STELE__SCRUB__RATE_MAX") && !Part::Coordinator.takes("STELE__SCRUB__RATE_MAX"));
    }
}
