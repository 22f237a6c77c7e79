//! What the integration tests share: running many simulations on a few threads, and reading the repository's sources.
//! Decides nothing about the product.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use stele_sim::{Options, Outcome};

/// Threads of a test that simulates: what a small CI machine has.
pub const THREADS: usize = 2;

/// Runs `jobs` on a few threads; outcomes come back in the order of the jobs.
pub fn run_all(jobs: &[(u64, Options)]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((seed, options)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = stele_sim::run(*seed, options);
                    found.lock().expect("no thread panics while it holds this").push(outcome);
                }
            });
        }
    });
    let mut found = found.into_inner().expect("all threads have ended well");
    found.sort_by_key(|outcome| jobs.iter().position(|(seed, _)| *seed == outcome.seed));
    found
}

/// The violation of a run as a person wants to read it, with the command that repeats it.
pub fn complaint(outcome: &Outcome) -> Option<String> {
    let violation = outcome.violation.as_ref()?;
    Some(format!(
        "seed {}: {violation}\n    repeat it: cargo run --release -- sim soak --seed {}",
        outcome.seed, outcome.seed
    ))
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the repository").to_path_buf()
}

/// Every `.rs` file of the repository below `dir`, with its text.
pub fn sources(dir: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root().join(dir), &mut found);
    found.sort();
    found
}

fn walk(dir: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().to_string();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            walk(&path, found);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let shown = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.push((shown, text));
        }
    }
}
