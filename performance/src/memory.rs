use std::fs;

/// The most memory that this process has had resident so far, in bytes, from `/proc/self/status`;
/// `None` if the system has no such file.
pub fn peak_memory() -> Option<u64> {
    high_water_mark(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The same of another process, while it runs.
pub fn peak_memory_of(process: u32) -> Option<u64> {
    high_water_mark(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_found_among_the_others() {
        let status = "Name:\tx\nVmPeak:\t    9000 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(high_water_mark(status), Some(2 * 1024 * 1024));
        assert_eq!(high_water_mark("Name:\tx\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn touched_memory_raises_the_peak() {
        let before = peak_memory().unwrap();
        std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(peak_memory().unwrap() >= before + (32 << 20));
    }
}
