//! This process as the system sees it: what it has used, its CPU, its open files.

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessUsage {
    /// Microseconds of CPU time, its own and the kernel's for it.
    pub(crate) cpu_us: u64,
    /// Memory that is resident now, in KiB; 0 where the system does not tell.
    pub(crate) rss_kib: u64,
    /// The most that it ever was.
    pub(crate) peak_kib: u64,
}

impl ProcessUsage {
    /// What this process has used.
    pub(crate) fn of_this_process() -> Self {
        let cpu_us = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
            let (user, system) = (usage.user_time(), usage.system_time());
            let us = (user.tv_sec() + system.tv_sec()) * 1_000_000 + user.tv_usec() + system.tv_usec();
            u64::try_from(us).unwrap_or(0)
        });
        Self {
            cpu_us,
            rss_kib: status_kib("VmRSS:").unwrap_or(0),
            peak_kib: status_kib("VmHWM:").unwrap_or(0),
        }
    }
}

/// From `/proc`, which only Linux has.
fn status_kib(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Keeps this process, and the threads that it will start, on one CPU.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn pin_to(cpu: usize, argument: &str) -> Result<(), Failure> {
    use nix::sched::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(nix::unistd::Pid::from_raw(0), &set))
        .map_err(|error| Failure::usage(format_args!("{argument} {cpu}: cannot use this CPU: {error}")))
}

/// Looks whether a process can be kept on this CPU.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn check_cpu(cpu: usize, argument: &str) -> Result<(), Failure> {
    use nix::sched::{sched_getaffinity, sched_setaffinity};
    // Others than those that this process is on may be allowed, which only trying tells.
    let this = nix::unistd::Pid::from_raw(0);
    let before = sched_getaffinity(this).map_err(Failure::no)?;
    pin_to(cpu, argument)?;
    sched_setaffinity(this, &before).map_err(Failure::no)
}

/// Looks whether a process can be kept on this CPU.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn check_cpu(cpu: usize, argument: &str) -> Result<(), Failure> {
    pin_to(cpu, argument)
}

/// Keeps this process on one CPU.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn pin_to(cpu: usize, argument: &str) -> Result<(), Failure> {
    let why = "this system has no such call";
    Err(Failure::usage(format_args!("{argument} {cpu}: {why}")))
}

/// Raises the limit of open files as far as the system lets this process, and returns the limit.
pub(crate) fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 0;
    };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return hard;
    }
    soft
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn usage_is_more_than_nothing() {
        let usage = ProcessUsage::of_this_process();
        assert!(usage.rss_kib > 100, "{usage:?}");
    }

    #[test]
    fn open_files_can_always_be_counted() {
        assert!(raise_open_files() > 2);
    }
}
