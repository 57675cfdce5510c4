//! Processes as the system sees them: their CPU, what they use; and the server process of a run.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;

use crate::Outcome;
use crate::counter::Counter;
use crate::peers::Peer;

/// What a process has used since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu_us: u64,
    pub(crate) rss_kib: u64,
}

impl Usage {
    pub(crate) fn of_this_process() -> Self {
        let cpu_us = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
            let (user, system) = (usage.user_time(), usage.system_time());
            let us = (user.tv_sec() + system.tv_sec()) * 1_000_000 + user.tv_usec() + system.tv_usec();
            u64::try_from(us).unwrap_or(0)
        });
        let rss_kib = rss_kib().unwrap_or(0);
        Self { cpu_us, rss_kib }
    }
}

fn rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Keeps this process, and the threads that it will start, on one CPU.
pub(crate) fn pin_to(cpu: Option<usize>) -> Outcome<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|error| format!("cannot use CPU {cpu}: {error}").into())
}

/// This program in another process, as the server of one peer.
///
/// Each line that it gets on its standard input asks for a [`Reading`]; it ends with its input.
pub(crate) struct ServerProcess {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pub(crate) address: String,
}

/// What a server has counted and used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) messages: u64,
    pub(crate) usage: Usage,
}

impl ServerProcess {
    pub(crate) fn start(peer: Peer, cpu: Option<usize>) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", peer.name()]);
        if let Some(cpu) = cpu {
            command.args(["--cpu", &cpu.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut server = Self {
            child,
            stdin,
            stdout,
            address: String::new(),
        };
        server.address = server.line()?;
        Ok(server)
    }

    pub(crate) fn read(&mut self) -> Outcome<Reading> {
        writeln!(self.stdin)?;
        let line = self.line()?;
        let mut numbers = line.split(' ').map(str::parse);
        let mut next = || numbers.next().unwrap_or_else(|| "".parse());
        Ok(Reading {
            messages: next()?,
            usage: Usage {
                cpu_us: next()?,
                rss_kib: next()?,
            },
        })
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line)? {
            0 => Err("the server process ended too early".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Killed if it did not notice; both can only fail when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other end of a [`ServerProcess`]: tells the address, then answers until its input ends.
pub(crate) fn answer_readings(address: &str, received: &Counter) -> Outcome<()> {
    println!("{address}");
    for line in std::io::stdin().lines() {
        line?;
        let Usage { cpu_us, rss_kib } = Usage::of_this_process();
        println!("{} {cpu_us} {rss_kib}", received.get());
    }
    Ok(())
}
