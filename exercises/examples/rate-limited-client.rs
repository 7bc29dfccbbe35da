//! Exercise 2, the short answer: fetches URLs at a given rate, with retries, until all are done or
//! Ctrl-C cancels the rest.
//!
//! `cargo run -p exercises --example rate-limited-client -- RATE URL...`, or without arguments
//! against a server of its own that allows fewer requests a second than the client sends.

use std::num::NonZeroU32;
use std::{env, io, process::ExitCode, sync::Arc, time::Duration};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{Client, StatusCode, header::RETRY_AFTER};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::{signal::ctrl_c, task::JoinSet, time::sleep};

const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Requests in flight: without a bound, a slow server would get all of them at once.
const IN_FLIGHT: usize = 8;
const DEMO_RATE: NonZeroU32 = NonZeroU32::new(40).expect("not zero");
const DEMO_LIMIT: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let rate = args.next().map_or(Ok(DEMO_RATE), |rate| rate.parse())?;
    let mut urls: Vec<_> = args.collect();
    let mut server = JoinSet::new(); // ends when it is dropped
    if urls.is_empty() {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        urls = (1..=30).map(|n| format!("http://{address}/{n}")).collect();
        server.spawn(serve(listener));
    }
    let outcomes = fetch_all(urls, rate).await?;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    println!("{} fetched, {failed} failed", outcomes.len() - failed);
    Ok(ExitCode::from(u8::from(failed > 0)))
}

type Outcome = Result<(String, usize), String>;

async fn fetch_all(urls: Vec<String>, rate: NonZeroU32) -> reqwest::Result<Vec<Outcome>> {
    let _ = rustls::crypto::ring::default_provider().install_default(); // reqwest asks for one
    let client = Client::builder().timeout(TIMEOUT).build()?;
    // [x] Respects rate limits: every request, and every retry, waits here for its turn.
    let pace = Arc::new(RateLimiter::direct(Quota::per_second(rate).allow_burst(NonZeroU32::MIN)));

    let (mut urls, mut tasks, mut outcomes) = (urls.into_iter(), JoinSet::new(), Vec::new());
    let mut interrupt = std::pin::pin!(ctrl_c()); // one for the whole run: no Ctrl-C is missed
    loop {
        // [x] Makes concurrent requests, a task each.
        while tasks.len() < IN_FLIGHT
            && let Some(url) = urls.next()
        {
            let (client, pace) = (client.clone(), pace.clone());
            tasks.spawn(async move { fetch(&client, &pace, url).await });
        }
        let joined = tokio::select! {
            biased; // results never delay a cancel
            _ = &mut interrupt => break,
            joined = tasks.join_next() => joined,
        };
        let Some(joined) = joined else { return Ok(outcomes) };
        let outcome = joined.unwrap_or_else(|panic| Err(panic.to_string()));
        match &outcome {
            Ok((url, bytes)) => println!("{url}: {bytes} bytes"),
            Err(why) => eprintln!("{why}"),
        }
        outcomes.push(outcome);
    }
    // [x] Supports cancellation: dropping the tasks ends them where they wait.
    outcomes.extend((0..tasks.len() + urls.len()).map(|_| Err("cancelled".to_owned())));
    Ok(outcomes)
}

async fn fetch(client: &Client, pace: &DefaultDirectRateLimiter, url: String) -> Outcome {
    let mut pause = FIRST_PAUSE;
    let mut why = String::new();
    for tries_left in (0..TRIES).rev() {
        pace.until_ready().await;
        let mut wait = pause;
        match client.get(&url).send().await {
            Err(error) => why = error.without_url().to_string(),
            Ok(answer) if answer.status().is_success() => match answer.bytes().await {
                Ok(body) => return Ok((url, body.len())),
                Err(error) => why = error.without_url().to_string(),
            },
            Ok(answer) => {
                why = answer.status().to_string();
                let transient = answer.status().is_server_error();
                if !transient && answer.status() != StatusCode::TOO_MANY_REQUESTS {
                    break; // asking again would not help
                }
                let told = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                wait = wait.max(Duration::from_secs(told.map_or(0, |s| s.parse().unwrap_or(0))));
            }
        }
        if tries_left > 0 {
            sleep(wait).await; // [x] Retries with exponential backoff
            pause *= 2;
        }
    }
    Err(format!("{url}: {why}"))
}

/// Answers `DEMO_LIMIT` requests a second, and the others with 429.
async fn serve(listener: TcpListener) -> io::Result<()> {
    let limit = RateLimiter::direct(Quota::per_second(DEMO_LIMIT).allow_burst(NonZeroU32::MIN));
    loop {
        let (mut client, _) = listener.accept().await?;
        let mut head = BufReader::new(&mut client).lines();
        while head.next_line().await?.is_some_and(|line| !line.is_empty()) {}
        let status = if limit.check().is_ok() { "200 OK" } else { "429 Too Many Requests" };
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        client.write_all(answer.as_bytes()).await?;
    }
}
