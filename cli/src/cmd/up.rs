//! `stele up` and `stele down`: a cluster of real processes on this machine.

use crate::cluster::ClusterFile;
use crate::cluster::layout::Wanted;
use crate::cluster::process::{Bond, Running};
use crate::cluster::start::{self, Cluster};
use crate::exit::{Exit, Outcome};
use crate::flags::Global;
use crate::{stop, table};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    after_help = "Every agent is a process with a host name and disks of its own below DIR. Starting again in the same DIR
brings the same cluster back on the same ports; parts that run are left alone, and more --agents are added.
Addresses and process ids are in DIR/cluster.json, logs in DIR/logs.

Knobs: --assign-delay-ms is written into DIR's coordinator file. Every knob of a part can be overridden by the environment
in which it is started: STELE__REPAIR__KEY is the coordinator's, such as STELE__REPAIR__LOST_MS=3000 or
STELE__REPAIR__ASSIGN_DELAY_MS=1000; STELE__SCRUB__KEY and STELE__LIMITS__KEY are the agents'. 'stele config check FILE'
shows all of them with what is in force.

Examples:
  stele up
  stele up --agents 5 --disks 2 --dir /tmp/c --detach && stele down --dir /tmp/c"
)]
pub struct UpArgs {
    /// Agents in all; 4 unless the directory has some
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=200), value_name = "N")]
    agents: Option<u16>,
    /// Data directories of each new agent
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64), value_name = "N")]
    disks: u16,
    /// Failure domains that the agents are spread over; one each unless given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=200), value_name = "N")]
    hosts: Option<u16>,
    /// Where everything lies
    #[arg(long, default_value = "stele-cluster")]
    dir: PathBuf,
    /// Return when it is ready and leave it running
    #[arg(long)]
    detach: bool,
    /// How long a lost host is waited for before its copies are made anew [default: 5000]
    #[arg(long, value_name = "MS")]
    assign_delay_ms: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stele down --dir /tmp/c")]
pub struct DownArgs {
    /// The directory that 'stele up' was given
    #[arg(long, default_value = "stele-cluster")]
    dir: PathBuf,
}

pub fn up(global: &Global, args: &UpArgs) -> Outcome {
    if !args.detach {
        stop::watch()?;
    }
    let wanted = Wanted {
        agents: args.agents.map(usize::from),
        disks: args.disks.into(),
        hosts: args.hosts.map(usize::from),
        assign_delay_ms: args.assign_delay_ms,
    };
    let bond = if args.detach { Bond::Stay } else { Bond::EndWithUs };
    let mut cluster = Cluster::up(&args.dir, &wanted, bond)?;
    global.printer().one(&cluster.file, |file| {
        let mut text = describe(file, &cluster.layout.dir);
        if let Some(asked) = wanted.agents.filter(|asked| *asked < file.agents.len()) {
            text += &format!(
                "\nall {} agents of the directory run; asked for {asked}, none is taken away",
                file.agents.len()
            );
        }
        if args.detach {
            text += &format!("\n\nlook at it:   stele status   stele top   http://{}/", file.http);
            text += "\nfirst table:  stele table create d.t --replication 3 --buckets 16";
            text += &format!("\nstop it:      stele down --dir {}", cluster.layout.dir.display());
        }
        text
    })?;
    if args.detach {
        return Ok(Exit::Done);
    }
    if !global.printer().is_data() {
        table::line("running; Ctrl-C stops it")?;
    }
    follow(&mut cluster.parts)?;
    let forced = cluster.down()?;
    table::line(&stopped(cluster.parts.len(), &forced))?;
    Ok(Exit::Done)
}

/// Addresses, and the one line that makes every other command find them.
pub fn describe(file: &ClusterFile, dir: &Path) -> String {
    let mut text = table::pairs(&[
        ("cluster", dir.display().to_string()),
        ("web page", format!("http://{}/", file.http)),
        ("mysql", file.sql.as_deref().map_or_else(|| "none".to_string(), mysql_command)),
        ("coordinator", format!("pid {}", file.coordinator.pid)),
    ]);
    for agent in &file.agents {
        let (host, id, pid) = (&agent.host, agent.node_id, agent.pid);
        text += &format!("agent        {host}  node {id}  pid {pid}  http://{}\n", agent.http);
    }
    text += &format!("\nexport STELE_COORDINATOR={}", file.http);
    text
}

/// What a stock client is to be called with.
fn mysql_command(address: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "9030"));
    format!("mysql -h {host} -P {port} -u root")
}

/// Stays until somebody asks to stop; tells of parts that end meanwhile.
fn follow(parts: &mut [Running]) -> Result<(), crate::exit::Failure> {
    let mut alive = vec![true; parts.len()];
    while !stop::asked() {
        for (part, alive) in parts.iter_mut().zip(&mut alive) {
            if *alive && !part.is_alive() {
                *alive = false;
                table::line(&format!("{} (pid {}) ended; see {}", part.name, part.pid, part.log.display()))?;
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

pub fn down(args: &DownArgs) -> Outcome {
    let (count, forced) = start::down(&args.dir)?;
    table::line(&stopped(count, &forced))?;
    Ok(Exit::Done)
}

fn stopped(count: usize, forced: &[String]) -> String {
    match (count, forced) {
        (0, _) => "nothing was running".to_string(),
        (_, []) => format!("stopped {count} processes"),
        (_, some) => format!("stopped {count} processes; had to kill {}", some.join(", ")),
    }
}
