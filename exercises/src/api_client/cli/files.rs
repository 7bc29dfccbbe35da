use rustix::process::{Resource, getrlimit, setrlimit};

/// What the process needs beside its requests: standard streams, the runtime, input and journal,
/// name lookups.
const OWN_FILES: u64 = 16;

/// How many requests may be in flight, by the limit of open files. The limit is raised first as far
/// as the process may raise it, as Go's runtime does.
pub(super) fn most_requests(stores: bool) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // If that is refused, the old limit is read again below.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let each = if stores { 2 } else { 1 };
    usize::try_from((files.saturating_sub(OWN_FILES) / each).max(1)).unwrap_or(usize::MAX)
}
