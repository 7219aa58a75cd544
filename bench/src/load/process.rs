//! A process as `/proc` shows it: processor time and memory, with its children's.

use anyhow::{Context, Result};
use std::{collections::BTreeSet, fs, time::Duration};

/// Length of the kernel's clock tick in `/proc`, the same on every Linux that we run on.
const TICK: Duration = Duration::from_millis(10);

/// The server's processes.
pub(crate) struct Server {
    root: u32,
}

/// What was spent in a stretch of time.
pub(super) struct Spent {
    /// User and system time of all processes.
    pub(super) cpu: Duration,
    /// Resident memory at the end, in MiB.
    pub(super) resident_mib: u64,
    /// Largest resident memory within the stretch, in MiB.
    pub(super) peak_mib: u64,
}

impl Server {
    /// A process and whatever it started.
    pub(crate) fn new(root: u32) -> Self {
        Self { root }
    }

    /// Begins a stretch: peaks are forgotten.
    pub(super) fn begin(&self) -> Result<Duration> {
        for process in self.processes() {
            // Only the owner may; then the peak is that of the process's whole life.
            let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
        }
        self.cpu()
    }

    /// Ends a stretch that began with this processor time.
    pub(super) fn end(&self, before: Duration) -> Result<Spent> {
        let cpu = self.cpu()?.saturating_sub(before);
        let (mut resident_mib, mut peak_mib) = (0, 0);
        for process in self.processes() {
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            resident_mib += mebibytes(&status, "VmRSS:");
            peak_mib += mebibytes(&status, "VmHWM:");
        }
        Ok(Spent { cpu, resident_mib, peak_mib })
    }

    /// User and system time until now. The kernel keeps it by the nanosecond and shows it in ticks.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for process in self.processes() {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))
                .with_context(|| format!("process {process}"))?;
            ticks += fields(&stat).get(11..13).into_iter().flatten().sum::<u64>();
        }
        Ok(TICK * u32::try_from(ticks)?)
    }

    fn processes(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::from([self.root]);
        let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let process = entry.file_name().to_str()?.parse().ok()?;
                let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
                Some((process, u32::try_from(*fields(&stat).get(1)?).ok()?))
            })
            .collect();
        // Children have usually larger numbers than their parents, not always.
        loop {
            let before = found.len();
            let children = parents.iter().filter(|(_, parent)| found.contains(parent));
            let children: Vec<u32> = children.map(|(process, _)| *process).collect();
            found.extend(children);
            if found.len() == before {
                return found;
            }
        }
    }
}

/// The numbers after the name (proc_pid_stat(5)), from the third field (the state, as 0) on.
fn fields(stat: &str) -> Vec<u64> {
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect()
}

fn mebibytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    kibibytes / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 12 34 0 0 20 0 1 0 5 1 1";
        assert_eq!(fields(stat).get(1), Some(&1));
        assert_eq!(fields(stat).get(11..13), Some(&[12, 34][..]));
        assert_eq!(mebibytes("VmPeak:\t 9 kB\nVmRSS:\t  2048 kB\n", "VmRSS:"), 2);
        let own = Server::new(std::process::id());
        let before = own.begin().unwrap();
        let spent = own.end(before).unwrap();
        assert!(spent.resident_mib > 0 && spent.peak_mib > 0, "{}", spent.peak_mib);
    }
}
