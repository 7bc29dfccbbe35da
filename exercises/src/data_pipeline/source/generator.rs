//! Events made in memory: the same ones for the same seed, whatever the pace.

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::{Feed, Stopped};
use crate::data_pipeline::event::splitter::{Kind, Parts, Segment};
use crate::data_pipeline::event::time::rfc3339;

const SERVICES: [&str; 6] = ["auth", "cart", "checkout", "inventory", "search", "shipping"];

/// Events in a chunk, about 160 bytes each, unless the rate asks for smaller ones.
const BATCH: u64 = 1024;

/// The longest time between two chunks at a low rate.
const BEAT: u64 = 20;

/// Makes `rate` events a second, or as many as the stages take, until the run stops.
pub(crate) async fn run(seed: u64, rate: Option<u32>, mut feed: Feed) -> Result<(), Stopped> {
    let (started, start) = (Instant::now(), Timestamp::now().as_millisecond().unsigned_abs());
    let per_second = u64::from(rate.unwrap_or(1_000_000).max(1));
    let generator = Generator { seed, per_second, start };
    let batch = if rate.is_some() { (per_second / BEAT).clamp(1, BATCH) } else { BATCH };
    let (mut made, mut offset) = (0, 0);
    loop {
        if rate.is_some() {
            let (seconds, rest) = (made / per_second, made % per_second);
            let nanos = rest * 1_000_000_000 / per_second; // in two steps, so that a long run does not overflow
            let due = Duration::from_secs(seconds) + Duration::from_nanos(nanos);
            feed.inlet.ctx.run(sleep_until(started + due)).await?;
        }
        let share = feed.room().await?;
        let bar = feed.bar(offset);
        let mut bytes = Vec::with_capacity(batch as usize * 180);
        (made..made + batch).for_each(|number| generator.event(number, &mut bytes));
        let length = bytes.len() as u64;
        drop(bar);
        feed.send(
            vec![Segment { offset, bytes, kind: Kind::Lines, after: Parts::default() }],
            share,
            None,
        );
        offset += length;
        made += batch;
    }
}

/// Makes each event from its number.
struct Generator {
    seed: u64,
    per_second: u64,
    /// The time of the first event, in milliseconds since 1970.
    start: u64,
}

impl Generator {
    fn event(&self, number: u64, to: &mut Vec<u8>) {
        let random = mix(self.seed ^ mix(number));
        let time = self.start + number * 1000 / self.per_second - random % 50;
        let service = SERVICES[(random >> 8) as usize % SERVICES.len()];
        let status = if random >> 62 == 0 { 503 } else { 200 };
        // Most answers are fast, and a few are slow: a long tail.
        let latency =
            5 + (random >> 16) % 40 + if (random >> 32).is_multiple_of(50) { 900 } else { 0 };
        writeln!(
            to,
            r#"{{"ts":"{}","service":"{service}","status":{status},"latency_ms":{latency},"path":"/api/v1/items/{}","number":{number}}}"#,
            rfc3339(time.cast_signed()),
            random >> 44
        )
        .expect("a vector takes everything");
    }
}

/// `SplitMix64`'s finalizer: every bit of the number depends on every bit of the input.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
