//! `top`: the processes of a running container, with the numbers that they have on the host.

use super::{Error, Result};
use crate::monitor::client::{Connection, Request, Response};
use crate::sys::process::clock_ticks;
use crate::{engine, reconcile, state};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::spec::EngineKind;
use knarr_core::store::Store;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A table: its headings, and a row for each process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    pub titles: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];

/// As `ps -ef` shows them; with `options`, as the host's own ps(1) does with these.
pub fn top(store: &Store, id: &ContainerId, options: &[String]) -> Result<Processes> {
    let Some(container) = reconcile::container(store.root(), id)? else {
        return Err(state::Error::Gone { id: id.clone() }.into());
    };
    let state = &container.state;
    let Some(guest) = state.pid.filter(|_| state.is_alive()) else {
        return Err(Error::not_running(state));
    };
    let pids = engine::processes(&container.spec, guest);
    let mut processes = if options.is_empty() {
        let titles = TITLES.map(str::to_owned).to_vec();
        let boot = boot_time();
        Processes { titles, rows: pids.iter().filter_map(|p| row(*p, boot)).collect() }
    } else {
        of_ps(options, &pids)?
    };
    if container.spec.engine == EngineKind::Wasm {
        let further =
            match Connection::open(store.root(), id).and_then(|mut c| c.ask(&Request::Further)) {
                Ok(Response::Further(further)) => further,
                _ => Vec::new(),
            };
        let first = container.spec.process.args();
        processes.set_commands(|pid| {
            let own = further.iter().find(|(further, _)| *further == pid).map(|(_, args)| args);
            own.unwrap_or(&first).join(" ")
        });
    }
    state::tell(store.root(), &container.spec, "top", &[]);
    Ok(processes)
}

impl Processes {
    /// What a Wasm guest was started as: its process is a part of Knarr, and says so in its own command line.
    fn set_commands(&mut self, command: impl Fn(u32) -> String) {
        const NAMES: [&str; 3] = ["CMD", "COMMAND", "ARGS"];
        let Some(pid) = self.titles.iter().position(|title| title == "PID") else { return };
        if self.titles.last().is_some_and(|title| NAMES.contains(&title.as_str())) {
            for row in &mut self.rows {
                let pid = row.get(pid).and_then(|pid| pid.parse().ok());
                if let (Some(pid), Some(last)) = (pid, row.last_mut()) {
                    *last = command(pid);
                }
            }
        }
    }
}

/// What the kernel tells of one process (proc_pid_stat(5)); `None` if it has ended.
fn row(pid: u32, boot: i64) -> Option<Vec<String>> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let stat = fsx::read_to_string(&folder.join("stat")).ok()?;
    // the name in parentheses may contain anything
    let (head, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let field = |at: usize| fields.get(at - 3).and_then(|f| f.parse::<i64>().ok());
    let ticks = i64::try_from(clock_ticks()).unwrap_or(100);
    let used = (field(14)? + field(15)?) / ticks;
    let started = boot + field(22)? / ticks;
    let now = Timestamp::now().as_second();
    let share = (used * 100).checked_div(now - started).unwrap_or(0);
    let uid = std::os::unix::fs::MetadataExt::uid(&folder.metadata().ok()?);
    let command = fsx::read(&folder.join("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
    let command = match command.is_empty() {
        true => format!("[{}]", head.split_once(" (").map_or("", |(_, name)| name)),
        false => command,
    };
    Some(vec![
        user(uid),
        pid.to_string(),
        field(4)?.to_string(),
        share.clamp(0, 99).to_string(),
        start_time(started, now),
        terminal(field(7)?),
        format!("{:02}:{:02}:{:02}", used / 3600, used / 60 % 60, used % 60),
        command,
    ])
}

/// The name that the host has for a user, as its ps(1) shows it, or the number.
fn user(uid: u32) -> String {
    let number = uid.to_string();
    let database = fsx::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let mut names = database.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    names.next().unwrap_or(number)
}

/// Today the time, else the day.
fn start_time(started: i64, now: i64) -> String {
    let format = if now - started < 24 * 3600 { "%H:%M" } else { "%b%d" };
    match Timestamp::from_second(started) {
        Ok(time) => time.to_zoned_datetime(TimeZone::system()).strftime(format).to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// A pseudo terminal by its number; the kernel's number of the device holds its minor number in two parts.
fn terminal(device: i64) -> String {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match major {
        136..=143 => format!("pts/{}", minor + (major - 136) * 256),
        _ => "?".to_owned(),
    }
}

/// Seconds since 1970.
fn boot_time() -> i64 {
    let stat = fsx::read_to_string(Path::new("/proc/stat")).unwrap_or_default();
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0)
}

/// The lines of ps(1) about these processes; it has to show a column `PID`.
fn of_ps(options: &[String], pids: &[u32]) -> Result<Processes> {
    let failed = |source| Error::Ps { options: options.join(" "), source };
    let only: Vec<String> = pids.iter().map(u32::to_string).collect();
    let only = format!("-q{}", only.join(","));
    let mut output = Command::new("ps").args(options).arg(only).output().map_err(failed)?;
    if !output.status.success() {
        // it does not go together with some options, and busybox does not have it
        output = Command::new("ps").args(options).output().map_err(failed)?;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("it shows no column PID").to_owned();
    let Some(column) = titles.iter().position(|title| title == "PID") else {
        return Err(failed(std::io::Error::other(said)));
    };
    let row = |line: &str| {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let pid = words.get(column)?.parse().ok()?;
        // the last column holds the command with its arguments
        let command = words.split_off(titles.len().saturating_sub(1).min(words.len())).join(" ");
        words.push(command);
        pids.contains(&pid).then_some(words)
    };
    Ok(Processes { rows: lines.filter_map(row).collect(), titles })
}
