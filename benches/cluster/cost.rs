//! What a client costs its machine: processor time and memory, as the kernel counts them.

/// Of one process, with the children it has waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// User and system time.
    pub(crate) cpu_secs: f64,
    /// The most that was ever resident of it, its program's own pages among them.
    pub(crate) peak_bytes: u64,
}

impl Cost {
    /// What it is by now; none of a process that has ended.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name: fields 14 to 17 of proc(5)'s stat.
        let ticks: u64 = stat
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .skip(11)
            .take(4)
            .map_while(|word| word.parse::<u64>().ok())
            .sum();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak_kib: u64 = peak.split_whitespace().next()?.parse().ok()?;
        Some(Self {
            cpu_secs: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            peak_bytes: peak_kib * 1024,
        })
    }
}
