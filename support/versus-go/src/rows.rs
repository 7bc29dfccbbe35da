use crate::ours::{self, CAPACITY, LONG_QUEUE};
use crate::row::{Row, Work};

const MILLION: u64 = 1_000_000;
const GROUP: &str = "wait_group::TaskGroup";
const STAGES: &str = "pipeline::{generate, map, filter}";
const FAN: &str = "fan_out_fan_in::fan_out";
const POOL: &str = "worker_pool::WorkerPool";

/// Every workload, in the order of the table.
pub const ROWS: &[Row] = &[
    Row {
        name: "spawn",
        what: "spawn and join 1M tasks, no work",
        measures: GROUP,
        items: MILLION,
        go: &["spawn", "spawn-best"],
        work: Work::Function(ours::spawn),
    },
    Row {
        name: "spawn-results",
        what: "spawn 1M tasks and collect their results",
        measures: "creating::in_tasks",
        items: MILLION,
        go: &["spawn", "spawn-best"],
        work: Work::Function(ours::spawn_for_results),
    },
    Row {
        name: "sleep",
        what: "1M tasks that sleep 10 ms",
        measures: GROUP,
        items: MILLION,
        go: &["sleep"],
        work: Work::Function(ours::sleeping),
    },
    Row {
        name: "parked",
        what: "1M tasks parked at once",
        measures: GROUP,
        items: MILLION,
        go: &["parked"],
        work: Work::Function(ours::parked),
    },
    Row {
        name: "channel",
        what: "channel of 64, one operation an item",
        measures: "pipeline::generate, Receiver::next",
        items: 5 * MILLION,
        go: &["channel", "channel-best"],
        work: Work::Function(|n| ours::channel(n, CAPACITY)),
    },
    Row {
        name: "pipeline",
        what: "4 stages, channels of 64, what is ready",
        measures: STAGES,
        items: MILLION,
        go: &["pipeline", "pipeline-best"],
        work: Work::Function(|n| ours::chapter_pipeline(n, CAPACITY / 2)),
    },
    Row {
        name: "pipeline-bulk",
        what: "4 stages over vectors of 1,024, to Go item by item",
        measures: STAGES,
        items: 10 * MILLION,
        go: &["pipeline"],
        work: Work::Function(ours::chapter_pipeline_in_chunks),
    },
    Row {
        name: "pipeline-chunks",
        what: "4 stages over vectors of 1,024, to Go in chunks",
        measures: STAGES,
        items: 10 * MILLION,
        go: &["pipeline-bulk"],
        work: Work::Function(ours::chapter_pipeline_in_chunks),
    },
    Row {
        name: "fan-3",
        what: "fan-out to 3, item by item",
        measures: FAN,
        items: MILLION,
        go: &["fan-3", "fan-3-best"],
        work: Work::Function(|n| ours::fan(n, 3)),
    },
    Row {
        name: "fan-3-bulk",
        what: "fan-out to 3 over vectors of 1,024, to Go item by item",
        measures: FAN,
        items: 10 * MILLION,
        go: &["fan-3"],
        work: Work::Function(|n| ours::fan_in_chunks(n, 3)),
    },
    Row {
        name: "fan-3-chunks",
        what: "fan-out to 3 over vectors of 1,024, to Go in chunks",
        measures: FAN,
        items: 10 * MILLION,
        go: &["fan-3-bulk"],
        work: Work::Function(|n| ours::fan_in_chunks(n, 3)),
    },
    Row {
        name: "fan-8",
        what: "fan-out to 8, item by item",
        measures: FAN,
        items: MILLION,
        go: &["fan-8", "fan-8-best"],
        work: Work::Function(|n| ours::fan(n, 8)),
    },
    Row {
        name: "fan-8-bulk",
        what: "fan-out to 8 over vectors of 1,024, to Go item by item",
        measures: FAN,
        items: 10 * MILLION,
        go: &["fan-8"],
        work: Work::Function(|n| ours::fan_in_chunks(n, 8)),
    },
    Row {
        name: "fan-8-chunks",
        what: "fan-out to 8 over vectors of 1,024, to Go in chunks",
        measures: FAN,
        items: 10 * MILLION,
        go: &["fan-8-bulk"],
        work: Work::Function(|n| ours::fan_in_chunks(n, 8)),
    },
    Row {
        name: "pool",
        what: "pool of 2, queue of 1,024, 1M hashes of 64 bytes",
        measures: POOL,
        items: MILLION,
        go: &["pool"],
        work: Work::Function(|n| ours::pool(n, LONG_QUEUE)),
    },
    Row {
        name: "pool-64",
        what: "pool of 2, queue of 64, 1M hashes of 64 bytes",
        measures: POOL,
        items: MILLION,
        go: &["pool-64"],
        work: Work::Function(|n| ours::pool(n, CAPACITY)),
    },
    Row {
        name: "pool-bulk",
        what: "pool of 2, 1M hashes in batches of 256, to Go job by job",
        measures: POOL,
        items: MILLION,
        go: &["pool"],
        work: Work::Function(|n| ours::pool_in_batches(n, 2)),
    },
    Row {
        name: "pool-scaling-1",
        what: "scaling: 1 worker, 10M hashes in batches, to Go in batches",
        measures: POOL,
        items: 10 * MILLION,
        go: &["pool-bulk-1"],
        work: Work::Function(|n| ours::pool_in_batches(n, 1)),
    },
    Row {
        name: "pool-scaling-2",
        what: "scaling: 2 workers, 10M hashes in batches, to Go in batches",
        measures: POOL,
        items: 10 * MILLION,
        go: &["pool-bulk"],
        work: Work::Function(|n| ours::pool_in_batches(n, 2)),
    },
    Row {
        name: "pool-sleep",
        what: "pool of 10, 1000 naps of 10 ms",
        measures: POOL,
        items: 1000,
        go: &["pool-sleep"],
        work: Work::Function(ours::pool_of_sleepers),
    },
    Row {
        name: "unlimited-sleep",
        what: "1000 naps of 10 ms at once",
        measures: GROUP,
        items: 1000,
        go: &["unlimited-sleep"],
        work: Work::Function(ours::sleeping),
    },
    Row {
        name: "cancel",
        what: "cancel 100,000 waiting tasks, to the last exit",
        measures: "common::Context::{done, cancel}",
        items: 100_000,
        go: &["cancel"],
        work: Work::Function(ours::cancel),
    },
    Row {
        name: "cancel-children",
        what: "the same over 100,000 child contexts",
        measures: "common::Context::{with_cancel, done, cancel}",
        items: 100_000,
        go: &["cancel-children"],
        work: Work::Function(ours::cancel_children),
    },
    Row {
        name: "receive-cancellable",
        what: "receive under a context",
        measures: "common::Context::run, pipeline::Receiver::next",
        items: 5 * MILLION,
        go: &["receive-cancellable", "receive-cancellable-best"],
        work: Work::Function(|n| ours::receive_cancellable(n, CAPACITY)),
    },
    Row {
        name: "context",
        what: "make, look at and cancel a context",
        measures: "common::Context::{with_cancel, err, cancel}",
        items: MILLION,
        go: &["context"],
        work: Work::Function(ours::create_contexts),
    },
    Row {
        name: "context-value",
        what: "look a value up at depth 10",
        measures: "common::Context::value",
        items: 10 * MILLION,
        go: &["context-value"],
        work: Work::Function(ours::look_up_value),
    },
    Row {
        name: "stdin",
        what: "1M numbers from stdin, the whole process",
        measures: "pipeline -",
        items: MILLION,
        go: &["stdin"],
        work: Work::Program("pipeline"),
    },
];

/// The row of that name.
pub fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: u64 = 200;

    /// The result for 200 items, by a plain loop instead of tasks and channels.
    fn expected(row: &str) -> u64 {
        let add = u64::wrapping_add;
        match row.split('-').next().unwrap_or(row) {
            "channel" | "receive" => (0..ITEMS).fold(0, add),
            "pipeline" => (0..ITEMS).map(|n| n * n + 10).filter(|n| n % 2 == 0).fold(0, add),
            "fan" => (0..ITEMS).map(|n| n * n).fold(0, add),
            "pool" if row != "pool-sleep" => (0..ITEMS).map(fnv).fold(0, add),
            "context" if row == "context-value" => 7 * ITEMS, // each look-up finds a seven
            _ => ITEMS,                                       // a count of what was done
        }
    }

    /// FNV-1a with words of 64 bits for the bytes, over eight words from `job` upwards.
    fn fnv(job: u64) -> u64 {
        let mut hash = 14_695_981_039_346_656_037_u64;
        for word in job..job + 8 {
            hash ^= word;
            hash = hash.wrapping_mul(1_099_511_628_211);
        }
        hash
    }

    #[test]
    fn every_row_gives_what_a_plain_loop_gives() {
        for row in ROWS {
            if let Work::Function(run) = row.work {
                assert_eq!(run(ITEMS).check, expected(row.name), "{}", row.name);
            }
        }
    }
}
