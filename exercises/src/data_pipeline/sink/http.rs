//! Lines to an HTTP server, one request at a time, so that they arrive in order. Each line arrives at
//! least once: a request without an answer is sent again under the same id.
//!
//! The [policy](crate::policy) decides when a request goes, and nothing is ever given up for a server
//! that is down, slow, or at the wrong place: the lines wait, and hold up the stages before. Only lines
//! that the server has read and refused are not sent again; they become dead letters.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

use super::bodies::{array, count, gzip, id, take};
use super::owed::Owed;
use super::post::{Failure, Post, Reply, Settings, Web};
use super::refused::{Letters, Refused};
use super::size::Size;
use crate::data_pipeline::monitor::stats::Stage;
use crate::data_pipeline::monitor::warnings::{Case, Told, tell, warn};
use crate::policy::{self, Announced, Answer, Decision, Failing, Rate, Scheduler, Turn};

/// What the policy calls the one server.
const SERVER: &str = "server";

/// A server that asks for a longer pause than this is asked again after it.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// Failures that last for this time are told; a server that is not there or refuses everything is
/// told at once.
const TOLERATED: Duration = Duration::from_secs(5);

/// Bytes of dead letters a second that refused lines may become: their file keeps up, and a server
/// that refuses everything is not hammered.
const LETTERS: f64 = (4 << 20) as f64;

#[derive(Debug)]
pub(crate) struct Http<P = Web> {
    post: P,
    settings: Settings,
    scheduler: Scheduler<()>,
    /// When the scheduler's time began.
    started: Instant,
    size: Size,
    /// Makes windows differ from those of other processes that look the same.
    salt: u64,
    /// `None` if there is no file for what is refused.
    refused: Option<Refused>,
    told: Arc<Told>,
}

/// What the server says about some lines.
#[derive(Debug, PartialEq)]
enum Verdict {
    Taken,
    /// They are too much for one request.
    TooLong(String),
    /// It will never take them, for this reason.
    Refused(String),
}

impl<P: Post> Http<P> {
    pub(crate) fn new(
        post: P,
        settings: Settings,
        salt: u64,
        refused: Option<Refused>,
        told: Arc<Told>,
    ) -> Self {
        let policy = policy::Settings {
            concurrency: 1,
            rate: Some(Rate { per_second: 1e6, burst: 1 }), // the server's answers set a lower one
            retries: u32::MAX,
            max_retry_after: Duration::MAX,
            patience: Duration::MAX,
            first_patience: Duration::MAX,
            seed: rand::random(),
            ..policy::Settings::default()
        };
        let (scheduler, started) = (Scheduler::new(policy), Instant::now());
        let size = Size::new(settings.batch);
        Self { post, settings, scheduler, started, size, salt, refused, told }
    }

    /// Most bytes that are worth taking from the queue for one write.
    pub(crate) fn most(&self) -> usize {
        self.size.most()
    }

    /// What this sink has refused since the checkpoint under way has begun.
    pub(crate) fn refused(&self, id: &str) -> Vec<Bytes> {
        self.refused.as_ref().map_or(Vec::new(), |refused| refused.of(id))
    }

    /// Returns when the server has taken or refused every line, however long that takes.
    ///
    /// # Errors
    ///
    /// If lines are refused, and there is no file for them.
    pub(crate) async fn write(
        &mut self,
        batches: &[Bytes],
        owed: &mut Owed,
        stage: &Stage,
    ) -> Result<(), String> {
        let mut rest = Bytes::from(batches.concat());
        while !rest.is_empty() {
            let mut behind = rest.clone();
            let lines = take(&mut behind, self.size.most());
            match self.deliver(&lines, stage).await? {
                Verdict::Taken => {
                    self.size.taken(lines.len());
                    stage.sent.add(owed.take(count(&lines)).delivered());
                }
                Verdict::TooLong(_) if count(&lines) > 1 => {
                    self.size.too_large(lines.len());
                    continue;
                }
                Verdict::TooLong(why) | Verdict::Refused(why) => {
                    let owed = owed.take(count(&lines));
                    self.refuse(&lines, &why, owed, stage).await?;
                }
            }
            rest = behind;
        }
        Ok(())
    }

    /// Sends the lines in one request, again and again until the server has taken or refused them.
    async fn deliver(&mut self, lines: &Bytes, stage: &Stage) -> Result<Verdict, String> {
        let (body, id) = (self.body(lines.clone()).await?, id(lines, self.salt));
        let (since, mut is_told) = (Instant::now(), false);
        self.add();
        loop {
            let job = match self.scheduler.next(self.started.elapsed()) {
                Turn::Send(job) => job,
                Turn::At(time) => {
                    sleep_until(self.started + time).await;
                    continue;
                }
                Turn::GiveUp(..) => {
                    self.add();
                    continue;
                }
                Turn::Idle => unreachable!("the one job is added, and not in flight"),
            };
            let reply = self.post.post(body.clone(), &id).await;
            let (answer, announced, outcome) = judged(reply);
            let now = self.started.elapsed();
            let decision = self.scheduler.answered(now, job, answer, &announced);
            let trouble = match outcome {
                Err(trouble) => trouble,
                Ok(verdict) => {
                    if is_told {
                        let seconds = since.elapsed().as_secs();
                        warn(format_args!("{} takes lines again, after {seconds} s", stage.id));
                    }
                    return Ok(verdict);
                }
            };
            stage.errors.add(1);
            if !is_told && (trouble.is_lasting || since.elapsed() >= TOLERATED) {
                is_told = true;
                let text = format!("{} {}; the lines wait", stage.id, trouble.text);
                tell(&self.told, Case::SinkWaits, &text);
            }
            if !matches!(decision, Decision::Again) {
                self.add();
            }
        }
    }

    fn add(&mut self) {
        self.scheduler.add(self.started.elapsed(), SERVER, (), true);
    }

    /// The lines as they are sent.
    async fn body(&self, lines: Bytes) -> Result<Bytes, String> {
        let Settings { is_array, is_packed, .. } = self.settings;
        if !is_array && !is_packed {
            return Ok(lines);
        }
        let pack = move || {
            let body = if is_array { array(&lines).into() } else { lines };
            if is_packed { gzip(&body).map(Bytes::from) } else { Ok(body) }
        };
        let packed = spawn_blocking(pack).await.map_err(|err| err.to_string())?;
        packed.map_err(|err| format!("cannot compress: {err}"))
    }

    /// Makes dead letters of lines that the server will never take.
    async fn refuse(
        &self,
        lines: &Bytes,
        why: &str,
        owed: Owed,
        stage: &Stage,
    ) -> Result<(), String> {
        let (sink, lines_refused) = (&stage.id, count(lines));
        let Some(refused) = &self.refused else {
            return Err(format!(
                "it refuses {lines_refused} lines: {why}; --dead-letters FILE keeps such lines"
            ));
        };
        if stage.refused.get() == 0 {
            let text = format!("{sink} refuses lines, which become dead letters. The first: {why}");
            tell(&self.told, Case::LinesRefused, &text);
        }
        stage.refused.add(lines_refused);
        let reason = format!("refused by {sink}: {why}");
        let place = (&**sink, &*self.settings.id_field);
        let letters = Letters::of(lines, reason, place, owed.refused());
        let pause = Duration::from_secs_f64(letters.text.len() as f64 / LETTERS);
        refused.add(letters);
        sleep(pause).await;
        Ok(())
    }
}

/// Why lines wait.
#[derive(Debug)]
struct Trouble {
    text: String,
    /// Whether it does not pass by itself, as far as can be told.
    is_lasting: bool,
}

/// What a reply means for the server, and for the lines.
fn judged(reply: Result<Reply, Failure>) -> (Answer, Announced, Result<Verdict, Trouble>) {
    let reply = match reply {
        Ok(reply) => reply,
        Err(Failure { failing, why }) => {
            let is_lasting = failing == Failing::Unreachable;
            let trouble = Trouble { text: format!("does not answer: {why}"), is_lasting };
            return (Answer::Failed(failing), Announced::default(), Err(trouble));
        }
    };
    let mut announced = Announced::read(&reply.headers, SystemTime::now());
    announced.retry_after = announced.retry_after.map(|pause| pause.min(LONGEST_PAUSE));
    let answer = match Answer::of(reply.status, &announced) {
        // With one request in flight, the pause that the server asks for is all there is to learn.
        Answer::Rejected if announced.retry_after.is_some() => Answer::Failed(Failing::Passing),
        answer => answer,
    };
    let trouble = |is_lasting, remedy: &str| {
        Err(Trouble { text: format!("answers {reply}{remedy}"), is_lasting })
    };
    match (reply.status.as_u16(), answer) {
        (200..=299, _) => (Answer::Accepted, announced, Ok(Verdict::Taken)),
        (413, Answer::Accepted) => (answer, announced, Ok(Verdict::TooLong(reply.to_string()))),
        (400 | 422, Answer::Accepted) => {
            (answer, announced, Ok(Verdict::Refused(reply.to_string())))
        }
        // The place is wrong, and not the lines.
        (_, Answer::Accepted | Answer::Misdirected) => {
            (Answer::Failed(Failing::Broken), announced, trouble(true, remedy(reply.status)))
        }
        _ => (answer, announced, trouble(false, "")),
    }
}

/// What can be done about an answer that says nothing about the lines.
fn remedy(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 | 407 => "; give credentials with --http-header, or in the URL",
        406 | 415 => {
            "; see --http-body and --http-compression, or set a Content-Type with --http-header"
        }
        _ => "; check the address",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::HeaderMap;

    use super::*;
    use crate::data_pipeline::config::Config;

    /// Answers by the time since its start, and remembers what it has taken.
    #[derive(Debug)]
    struct Script {
        answer: fn(Duration) -> Result<u16, Failing>,
        started: Instant,
        requests: Mutex<(u32, Vec<u8>)>,
    }

    impl Post for Script {
        async fn post(&self, body: Bytes, _id: &str) -> Result<Reply, Failure> {
            let answer = (self.answer)(self.started.elapsed());
            let mut requests = self.requests.lock().unwrap();
            requests.0 += 1;
            let why = "it is down".to_owned();
            let status = answer.map_err(|failing| Failure { failing, why })?;
            if status == 200 {
                requests.1.extend_from_slice(&body);
            }
            let (status, headers) = (StatusCode::from_u16(status).unwrap(), HeaderMap::new());
            Ok(Reply { status, headers, body: Vec::new() })
        }
    }

    /// Sends 100 lines, 10 in a request. Returns what was taken, after how many requests, and how
    /// long it took.
    async fn sent(answer: fn(Duration) -> Result<u16, Failing>) -> (bool, u32, Duration) {
        let config = Config { http_batch: Some(bytesize::ByteSize(40)), ..Config::default() };
        let settings = Settings::of(&config).unwrap();
        let (started, requests) = (Instant::now(), Mutex::default());
        let script = Script { answer, started, requests };
        let mut http = Http::new(script, settings, 0, None, Arc::default());
        let lines: Vec<Bytes> = (100..200).map(|n| format!("{n}\n").into()).collect();
        http.write(&lines, &mut Owed::default(), &Stage::default()).await.unwrap();
        let (requests, taken) = http.post.requests.into_inner().unwrap();
        (taken == lines.concat(), requests, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_down_for_half_a_minute_gets_every_line_after_it() {
        let down =
            |time: Duration| if time.as_secs() < 30 { Err(Failing::Unreachable) } else { Ok(200) };
        let (taken_in_order, requests, time) = sent(down).await;
        assert!(taken_in_order);
        assert!(requests < 10 + 10, "{requests}: it is asked after longer and longer pauses");
        assert!(time < Duration::from_mins(1), "{time:?}");
        let wrong = |time: Duration| Ok(if time.as_secs() < 3600 { 404 } else { 200 });
        let (taken_in_order, requests, time) = sent(wrong).await;
        assert!(taken_in_order && requests < 200, "{requests}");
        assert!(time < Duration::from_secs(3700), "{time:?}");
    }
}
