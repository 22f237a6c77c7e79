//! `stele demo`: the whole story on real files, with the very functions that the other commands use.
//!
//! ```text
//! start 1 coordinator, 4 agents ─▶ table ─▶ load ─▶ spread ─▶ kill -9 one agent ─▶ seen ─▶ repaired
//!   ─▶ flip a byte on disk ─▶ verify finds it ─▶ mended ─▶ all clean ─▶ the killed one returns ─▶ another is drained,
//!   with a certificate ─▶ an empty one joins, a plan fills it ─▶ export ─▶ every digest equals the source's
//! ```
//!
//! This file is the order of the story and its end; `deeds.rs`, `leave.rs` and `join.rs` do and measure each step,
//! `data.rs` picks the files.
//! Leaves nothing behind, also after a failure or Ctrl-C, unless `--keep` is given.

mod data;
mod deeds;
mod join;
mod leave;

use crate::cluster::layout::Wanted;
use crate::cluster::process::Bond;
use crate::cluster::start::Cluster;
use crate::cmd::up;
use crate::exit::{Exit, Failure, Origin, Outcome};
use crate::table::{self, Rows, bad, duration, good, heading, render, size};
use crate::{beneath, shapes, stop};
use clap::Args;
use deeds::Stage;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use stele_common::status::Level;

#[derive(Debug, Args)]
#[command(
    after_help = "Ends with PASS (exit 0) or with what is wrong (exit 1). Everything runs on 127.0.0.1 below a temporary directory,
which needs about five times the size of the data.

Examples:
  stele demo
  stele demo --data ./my-files --keep"
)]
pub struct DemoArgs {
    /// Files to load; real ones that a machine with Rust has, unless given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Leave the cluster running at the end and print its addresses
    #[arg(long)]
    keep: bool,
    /// Where the cluster and the exported files lie; a new temporary directory unless given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

const STEPS: usize = 12;
const DISKS: usize = 2;
/// A killed process that takes longer to go is worth a word.
const SLOW_END: Duration = Duration::from_millis(100);

/// What was done and measured.
#[derive(Default)]
struct Ledger {
    rows: Vec<(String, String)>,
}

impl Rows for Ledger {
    fn columns(&self) -> Vec<&'static str> {
        vec!["STEP", "RESULT"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.rows.iter().map(|(step, result)| vec![step.clone(), result.clone()]).collect()
    }

    fn empty(&self) -> &'static str {
        "nothing was done"
    }
}

impl Ledger {
    /// Opens a step for people who watch.
    fn step(&self, number: usize, what: &str) -> Result<(), Failure> {
        stop::check()?;
        table::line(&format!("\n{}", heading(&format!("[{number}/{STEPS}] {what}"))))
    }

    /// Notes what came of it.
    fn note(&mut self, step: &str, result: String) -> Result<(), Failure> {
        table::line(&format!("  {result}"))?;
        self.rows.push((step.to_string(), result));
        Ok(())
    }
}

/// The directory of the demo and what runs in it; cleans up however it ends.
struct Ground {
    dir: PathBuf,
    /// Whether the directory is ours to remove; a given one that existed is only emptied of what we put in.
    made: bool,
    keep: bool,
    cluster: Option<Cluster>,
}

impl Ground {
    fn open(args: &DemoArgs) -> Result<Ground, Failure> {
        let dir = match &args.dir {
            Some(dir) => dir.clone(),
            None => std::env::temp_dir().join(format!("stele-demo-{:08x}", beneath::salt()? >> 32)),
        };
        let failed = |error| Failure::io(format_args!("cannot make {}", dir.display()), error);
        let made = !dir.exists();
        if !made && std::fs::read_dir(&dir).map_err(failed)?.next().is_some() {
            return Err(Failure::refused(format!("{} is not empty", dir.display())).next("name a new directory"));
        }
        std::fs::create_dir_all(&dir).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        Ok(Ground { dir, made, keep: args.keep, cluster: None })
    }

    fn room_for(&self, bytes: u64) -> Result<(), Failure> {
        let space = rustix::fs::statvfs(&self.dir)
            .map_err(|error| Failure::io(format_args!("cannot see the space of {}", self.dir.display()), error))?;
        let (free, needed) = (space.f_bavail * space.f_frsize, bytes * 5 + (256 << 20));
        if free < needed {
            let shown = self.dir.display();
            return Err(Failure::refused(format!("{shown} has {} free, the demo needs {}", size(free), size(needed)))
                .next("name a directory on a larger disk with --dir, or less data with --data"));
        }
        Ok(())
    }

    /// Stops what runs and removes what was made.
    fn clear(&mut self) {
        if let Some(mut cluster) = self.cluster.take() {
            // Its processes are gone either way; only a file that we remove below may have resisted.
            let _ = cluster.down();
        }
        let beneath = [self.dir.join("cluster"), self.dir.join("export")];
        let ours = if self.made { std::slice::from_ref(&self.dir) } else { beneath.as_slice() };
        for dir in ours {
            if let Err(error) = remove(dir)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                let _ = table::line(&format!("could not remove {}: {error}", dir.display()));
            }
        }
    }

    /// Says what is done about Ctrl-C, which may take a while, and does it.
    fn interrupted(&mut self) -> Failure {
        let stays = self.keep && self.cluster.is_some();
        let dir = self.dir.display().to_string();
        // Whoever asked us to stop may have closed the terminal.
        let _ = table::line(&if stays {
            format!("\ninterrupted; {dir} stays, stop it with: stele down --dir {dir}/cluster")
        } else {
            format!("\nstopping and removing {dir}")
        });
        if !stays {
            self.clear();
        }
        Failure::interrupted()
    }

    fn cluster(&mut self) -> Result<&mut Cluster, Failure> {
        self.cluster.as_mut().ok_or_else(|| Failure::error("the cluster has not been started"))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if !(self.keep && self.cluster.is_some()) {
            self.clear();
        }
    }
}

/// Removes a tree on several threads: tens of thousands of files take the disk's time, not ours.
fn remove(dir: &Path) -> std::io::Result<()> {
    // Deep enough to be many, such as the directories of single tablets.
    let walk = walkdir::WalkDir::new(dir).min_depth(6).max_depth(6).follow_links(false);
    let deep: Vec<_> = walk.into_iter().flatten().filter(|entry| entry.file_type().is_dir()).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(entry) = deep.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // What resists is met again, and told, below.
                    let _ = std::fs::remove_dir_all(entry.path());
                }
            });
        }
    });
    std::fs::remove_dir_all(dir)
}

pub fn run(args: &DemoArgs) -> Outcome {
    stop::watch()?;
    let began = Instant::now();
    let mut ground = Ground::open(args)?;
    let mut ledger = Ledger::default();
    let told = tell(args, &mut ground, &mut ledger);
    if let Err(failure) = &told
        && (failure.origin == Origin::BrokenPipe || stop::asked())
    {
        return Err(if stop::asked() { ground.interrupted() } else { failure.clone() });
    }
    table::line(&format!("\n{}", render(&ledger)))?;
    let took = since(began);
    if args.keep
        && let Some(cluster) = &ground.cluster
    {
        let dir = &cluster.layout.dir;
        table::line(&format!("\n{}", up::describe(&cluster.file, dir)))?;
        table::line(&format!("stop it with: stele down --dir {}", dir.display()))?;
    } else {
        let clearing = Instant::now();
        ground.clear();
        table::line(&format!("\nstopped and removed everything in {}", since(clearing)))?;
    }
    match told {
        Ok(()) => {
            table::line(&format!("\n{} in {took}", good("PASS")))?;
            Ok(Exit::Done)
        }
        Err(failure) => {
            table::line(&format!("\n{} after {took}: {failure}", bad("FAIL")))?;
            if !args.keep {
                table::line("run 'stele demo --keep' to keep the cluster and its logs")?;
            }
            Ok(Exit::Error)
        }
    }
}

fn tell(args: &DemoArgs, ground: &mut Ground, ledger: &mut Ledger) -> Result<(), Failure> {
    ledger.step(1, "choose real files and hash them")?;
    let source = data::choose(args.data.as_deref())?;
    ground.room_for(source.bytes())?;
    ledger.note("source", source.described())?;

    ledger.step(2, "start a coordinator and 4 agents, each a process with a host name and 2 disks of its own")?;
    let began = Instant::now();
    let bond = if args.keep { Bond::Stay } else { Bond::EndWithUs };
    let wanted = Wanted { agents: Some(4), disks: DISKS, hosts: None, assign_delay_ms: None };
    let cluster = Cluster::up(&ground.dir.join("cluster"), &wanted, bond)?;
    let started = format!("1 coordinator, {} agents ready in {}", cluster.file.agents.len(), since(began));
    let stage = Stage::new(cluster.face(), &cluster.file)?;
    ground.cluster = Some(cluster);
    ledger.note("start", started)?;

    ledger.step(3, "make a table: 16 buckets, 3 copies of each on 3 hosts")?;
    ledger.note("table", stage.create_table()?)?;

    ledger.step(4, "load, all or nothing")?;
    ledger.note("load", stage.load(&source)?)?;
    ledger.note("spread", stage.spread()?)?;

    ledger.step(5, "kill -9 the agent that holds the most")?;
    let victim = stage.busiest_agent()?;
    let lost = stage.held_by(&victim)?;
    let name = victim.host.clone();
    let part = ground.cluster()?.parts.iter_mut().find(|part| part.pid == victim.pid);
    let part = part.ok_or_else(|| Failure::error(format!("the process of {name} is not ours")))?;
    let killed = Instant::now();
    part.signal(rustix::process::Signal::KILL);
    ledger.note(
        "kill",
        format!("killed {name} (pid {}): {} copies, {}", victim.pid, lost.copies(), size(lost.bytes())),
    )?;
    let (state, seen, ended) = stage.wait_seen(&victim, killed, || !part.is_alive())?;
    let mut detected = format!("{name} is {state} {} after the kill", duration(seen.as_millis() as u64));
    if ended > SLOW_END {
        // A process in the middle of a sync ends when the kernel has done it; until then its connections are open.
        detected += &format!(" (the kernel took {} to end the process)", duration(ended.as_millis() as u64));
    }
    ledger.note("detected", detected)?;

    ledger.step(6, "wait 10 s until it counts as lost and 5 s more in case it returns, then copy what is missing")?;
    ledger.note("repair", stage.wait_repaired(&victim, &lost, killed)?)?;
    ledger.note("spread after", stage.spread()?)?;

    ledger.step(7, "flip one byte of one file on one disk, and read every copy")?;
    let wound = stage.flip_byte(&victim)?;
    ledger.note("damage", wound.described())?;
    ledger.note("verify", stage.verify_finds(&wound)?)?;

    ledger.step(8, "let it heal, and read every copy again")?;
    ledger.note("heal", stage.wait_mended(&wound)?)?;
    ledger.note("verify again", stage.verify_clean(&victim)?)?;

    ledger.step(9, "start the killed agent again")?;
    ground.cluster()?.restart(&name, bond)?;
    ledger.note("return", stage.wait_back(&victim)?)?;

    let leaver = stage.another(&victim)?;
    ledger.step(10, &format!("drain {}: copy what it holds, prove the copies, only then let it go", leaver.host))?;
    let emptied = stage.drain(&leaver)?;
    table::line(&format!("  {}", shapes::certificate(&emptied.certificate).replace('\n', "\n  ")))?;
    ledger.note("drain", emptied.told)?;
    ledger.note("spread without it", stage.spread()?)?;

    ledger.step(11, "add an empty agent; a plan says what evening out costs before anything moves")?;
    stage.set_level(Level::Steady, "a plan is looked at first")?;
    let joined = ground.cluster()?.grow(DISKS, bond)?;
    let plan = stage.plan()?;
    table::line(&format!("  {}", shapes::plan(&plan, false).trim_end().replace('\n', "\n  ")))?;
    ledger.note("plan", format!("{} moves, {} to {}", plan.price.moves, size(plan.price.bytes), joined.host))?;
    ledger.note("balance", stage.apply(&plan, &joined)?)?;
    stage.set_level(Level::Lively, "the demo is over")?;
    ledger.note("spread when even", stage.spread()?)?;

    ledger.step(12, "read everything back and compare every digest with the source")?;
    let export = ground.dir.join("export");
    ledger.note("export", stage.export(&export)?)?;
    ledger.note("compare", compare(&source, &export)?)
}

fn since(began: Instant) -> String {
    duration(began.elapsed().as_millis() as u64)
}

/// Holds the exported files against the source: the same names, lengths and digests, and nothing else.
fn compare(source: &data::Source, export: &Path) -> Result<String, Failure> {
    let began = Instant::now();
    let found = deeds::hashed(export, "compare")?;
    let wrong = data::differences(&source.files, &found);
    if let Some(first) = wrong.first() {
        return Err(Failure::error(format!(
            "{} of {} files differ from the source; {first}",
            wrong.len(),
            source.files.len()
        )));
    }
    Ok(format!(
        "all {} files, {}, equal the source byte for byte ({})",
        found.len(),
        size(source.bytes()),
        since(began)
    ))
}
