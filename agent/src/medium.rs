//! What the machine says of itself: the medium of a directory's device, and the host's figures. In: paths. Out: plain
//! values for the handshake and the report. Nothing here decides safety or placement by itself: space comes from
//! `statvfs` on the directory, the medium may be overridden in the configuration.

use std::path::Path;
use stele_common::{Medium, report::HostFact};
use sysinfo::{DiskKind, Disks, System};

/// The medium of each of `paths`, in order: the longest mount point above it decides. A virtual disk often calls
/// itself rotational; that is what `medium` in the configuration is for. Memory file systems count as SSD.
pub fn of_paths(paths: &[&Path]) -> Vec<Medium> {
    let disks = Disks::new_with_refreshed_list();
    let disks = disks.as_ref().map(|disks| disks.iter().as_slice()).unwrap_or_default();
    let mounts: Vec<_> = disks.iter().map(|disk| (disk.mount_point(), disk.kind(), disk.file_system())).collect();
    paths
        .iter()
        .map(|path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            let above = mounts.iter().filter(|(mount, ..)| real.starts_with(mount));
            match above.max_by_key(|(mount, ..)| mount.components().count()) {
                Some((_, _, kind)) if **kind == *"tmpfs" => Medium::Ssd,
                Some((_, DiskKind::SSD, _)) => Medium::Ssd,
                Some(_) | None => Medium::Hdd,
            }
        })
        .collect()
}

/// Reads the host's figures; keeps what sysinfo needs between two readings.
pub struct HostGauge {
    /// `None`: the system tells nothing about itself; then the figures are 0.
    system: Option<System>,
}

impl HostGauge {
    /// A gauge that has read nothing.
    pub fn new() -> HostGauge {
        HostGauge { system: System::new().ok() }
    }

    /// The figures now.
    pub fn read(&mut self) -> HostFact {
        if let Some(system) = &mut self.system {
            system.refresh_memory();
        }
        let memory = |read: fn(&System) -> u64| self.system.as_ref().map_or(0, read);
        HostFact {
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            memory_total: memory(System::total_memory),
            memory_available: memory(System::available_memory),
            load_average_1m: System::load_average().map_or(0.0, |load| load.one as f32),
            uptime_s: System::uptime().unwrap_or(0),
        }
    }
}

impl Default for HostGauge {
    fn default() -> Self {
        HostGauge::new()
    }
}

/// The machine's host name, `localhost` when it has none.
pub fn host_name() -> String {
    System::host_name().ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every machine that runs the tests has memory, processors and a medium for any path, also one that is not there.
    #[test]
    fn the_machine_answers() {
        let host = HostGauge::new().read();
        assert!(host.cpus > 0 && host.memory_total > 0);
        assert_eq!(of_paths(&[Path::new("/"), Path::new("/no/such/dir")]).len(), 2);
        assert!(!host_name().is_empty());
    }
}
