//! How much memory the process has, as the kernel counts it: all that is resident, SQLite's page cache, the shared
//! memory of its log, the stacks of threads and what the allocator holds back included.

use std::fs;

/// Resident memory now, in bytes.
#[must_use]
pub fn resident() -> u64 {
    status("VmRSS:")
}

/// The most that was resident since the last [`forget_peak`], in bytes.
#[must_use]
pub fn peak() -> u64 {
    status("VmHWM:")
}

/// Has [`peak`] begin anew.
pub fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("the kernel's account of this process");
}

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number of KiB")
        * 1024
}
