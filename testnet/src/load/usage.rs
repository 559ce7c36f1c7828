//! What processes cost: processor time and memory.

use serde::Serialize;
use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

/// One process over a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProcessUsage {
    /// "node 1", or "generator".
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Processor time during the run, in milliseconds.
    pub cpu_ms: u64,
    /// Largest resident memory seen during the run, in bytes.
    pub rss_bytes_max: u64,
}

/// Watches processes from its creation on.
#[derive(Debug)]
pub struct UsageMeter {
    system: System,
    usages: Vec<ProcessUsage>,
    cpu_ms_before: Vec<u64>,
}

impl UsageMeter {
    /// Watches these processes; `None` where the system does not tell.
    #[must_use]
    pub fn new(processes: impl IntoIterator<Item = (String, u32)>) -> Option<Self> {
        let usages: Vec<ProcessUsage> =
            processes.into_iter().map(|(name, pid)| ProcessUsage { name, pid, ..Default::default() }).collect();
        let mut meter = Self { system: System::new().ok()?, usages, cpu_ms_before: Vec::new() };
        meter.refresh();
        let cpu_ms = |usage: &ProcessUsage| meter.process(usage.pid).map_or(0, Process::accumulated_cpu_time);
        meter.cpu_ms_before = meter.usages.iter().map(cpu_ms).collect();
        Some(meter)
    }

    /// Looks again.
    pub fn look(&mut self) {
        self.refresh();
        let mut usages = std::mem::take(&mut self.usages);
        for (usage, before) in usages.iter_mut().zip(&self.cpu_ms_before) {
            // A process that has ended keeps what was seen of it.
            if let Some(process) = self.process(usage.pid) {
                usage.cpu_ms = process.accumulated_cpu_time().saturating_sub(*before);
                usage.rss_bytes_max = usage.rss_bytes_max.max(process.memory());
            }
        }
        self.usages = usages;
    }

    /// What was seen.
    #[must_use]
    pub fn finish(mut self) -> Vec<ProcessUsage> {
        self.look();
        self.usages
    }

    fn refresh(&mut self) {
        let pids: Vec<Pid> = self.usages.iter().map(|usage| Pid::from_u32(usage.pid)).collect();
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
    }

    fn process(&self, pid: u32) -> Option<&Process> {
        self.system.process(Pid::from_u32(pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_this_process_is_seen() {
        let mut meter = UsageMeter::new([("generator".to_owned(), std::process::id())]).unwrap();
        let mut sum = 0_u64;
        while meter.usages[0].cpu_ms == 0 {
            sum = (0..2_000_000_u64).fold(sum, |sum, value| std::hint::black_box(sum ^ value));
            meter.look();
        }
        let usages = meter.finish();
        assert!(usages[0].rss_bytes_max > 1_000_000, "{usages:?} {sum}");
    }
}
