//! The demo: four sources in memory, and a sink that stalls for a while.

use std::time::Duration;

use common::{Context, Demo, Seed, say};
use tokio::sync::watch;
use tokio::time::sleep;

use super::config::Config;
use super::monitor::Lines;
use super::run::{Failure, Plan, run_with};
use super::sink::Writer;

/// How long each batch takes while the sink is slow.
const STALL: Duration = Duration::from_millis(400);

/// Runs the demo for `span`: in the middle third of it the sink is slow. The live page is at
/// `http`: a port of the loopback interface, 0 for any, or an address with a port.
pub async fn demo(
    demo: &Demo<Seed>,
    span: Duration,
    http: &str,
    ctx: &Context,
) -> Result<(), Failure> {
    let config = Config {
        generate: Some(4),
        rate: (demo.pace() > 0.0).then_some((50_000.0 / demo.pace()) as u32),
        conditions: vec!["status>=500".to_owned()],
        by: vec!["service".to_owned()],
        p: Some("latency_ms".to_owned()),
        out: vec!["slow sink".to_owned()],
        aggregates: Some("/dev/null".to_owned()),
        run_for: Some(span),
        http: Some(http.to_owned()),
        ..Config::default()
    };
    let config = config.load(None).map_err(Failure::Settings)?;
    let plan = Plan::compile(&config).map_err(Failure::Settings)?; // its sink is not a file
    say!("Four sources, a filter, windows of 1 s, and a sink that is slow in the middle third");
    let (delay, watched) = watch::channel(Duration::ZERO);
    let third = span / 3;
    let script = async move {
        sleep(third).await;
        say!("The sink stalls: its queue fills, then the sources stop");
        delay.send_replace(STALL);
        sleep(third).await;
        say!("The sink is fast again");
        delay.send_replace(Duration::ZERO);
        std::future::pending::<()>().await;
    };
    let sink = Some(Writer::Slow(watched));
    let ended = tokio::select! {
        ended = run_with(&config, plan, demo, ctx, sink, Lines::Stdout) => ended?,
        () = script => unreachable!("the script ends with a wait without end"),
    };
    say!("{}", ended.counts);
    Ok(())
}
