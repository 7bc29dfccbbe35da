//! The whole policy against simulated hosts that talk: announced quotas, 503s of both kinds.

use std::collections::BTreeMap;
use std::time::Duration;

use exercises::api_client::policy::{
    Answer, Decision, Hints, Quota, Rate, Scheduler, Settings, Trouble, Turn,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const TRIP: Duration = Duration::from_millis(20);

/// What came of a run.
#[derive(Debug, Default)]
struct Run {
    fetched: usize,
    given_up: usize,
    rejected: usize,
    took: Duration,
    allows: Option<f64>,
}

/// Sends `requests` to one host that answers with `answer`, given the time of arrival.
fn run(policy: Settings, requests: usize, mut answer: impl FnMut(Duration) -> Answer) -> Run {
    let mut scheduler = Scheduler::new(policy);
    let (mut run, mut now) = (Run::default(), Duration::ZERO);
    for request in 0..requests {
        scheduler.add(now, "host", request, true);
    }
    let mut replies = BTreeMap::new();
    let mut number = 0;
    while run.fetched + run.given_up < requests {
        let turn = match scheduler.next(now) {
            Turn::Send(job) => {
                number += 1;
                replies.insert((now + TRIP, number), (job, answer(now + TRIP / 2)));
                continue;
            }
            Turn::GiveUp(_) => {
                run.given_up += 1;
                continue;
            }
            Turn::At(time) => Some(time),
            Turn::Idle => None,
        };
        let reply = replies.first_key_value().map(|((at, _), _)| *at);
        now = turn.into_iter().chain(reply).min().expect("somebody waits for something");
        if reply == Some(now) {
            let (_, (job, answer)) = replies.pop_first().expect("it was just seen");
            run.rejected += usize::from(matches!(answer, Answer::Rejected(_)));
            match scheduler.answered(now, job, &answer) {
                Decision::Done(_) => run.fetched += 1,
                Decision::GivenUp(..) => run.given_up += 1,
                Decision::Again => {}
            }
        }
    }
    run.took = now;
    run.allows = scheduler.report()[0].allows;
    run
}

/// So many in each window, and says so with every answer, in whole seconds.
fn announcing(limit: u32, window: u64) -> impl FnMut(Duration) -> Answer {
    let (mut current, mut used) = (0, 0);
    move |now| {
        let index = now.as_secs() / window;
        if index != current {
            (current, used) = (index, 0);
        }
        let accepted = used < limit;
        used += u32::from(accepted);
        let end = Duration::from_secs((index + 1) * window);
        let quota = Quota {
            limit: Some(f64::from(limit)),
            remaining: f64::from(limit - used),
            reset: Duration::from_secs(end.saturating_sub(now).as_secs_f64().ceil() as u64),
            window: None,
        };
        let hints = Hints { retry_after: None, quota: Some(quota) };
        if accepted { Answer::Accepted(hints) } else { Answer::Rejected(hints) }
    }
}

#[test]
fn what_a_host_announces_is_used_and_not_exceeded() {
    for (limit, window) in [(100, 10), (50, 5), (600, 60)] {
        let run = run(Settings::default(), 1000, announcing(limit, window));
        assert_eq!((run.fetched, run.rejected), (1000, 0), "{limit} in {window} s: {run:?}");
        let rate = f64::from(limit) / window as f64;
        let share = 1000.0 / run.took.as_secs_f64() / rate;
        assert!(share >= 0.9, "{limit} in {window} s: {share:.3} of the rate");
    }
}

fn given() -> Settings {
    Settings { rate: Some(Rate { per_second: 50.0, burst: 2 }), retries: 30, ..Settings::default() }
}

/// Every fifth answer is `bad`.
fn every_fifth(bad: Answer) -> impl FnMut(Duration) -> Answer {
    let mut count = 0;
    move |_| {
        count += 1;
        if count % 5 == 0 { bad.clone() } else { Answer::Accepted(Hints::default()) }
    }
}

#[test]
fn a_given_rate_is_never_lowered_by_a_bare_503() {
    let bare = Answer::Failed(Trouble::Unavailable, Hints::default());
    let run = run(given(), 500, every_fifth(bare));
    assert_eq!((run.fetched, run.allows), (500, None));
    assert!(run.took <= Duration::from_secs(14), "{:?}", run.took);
}

/// A fifth of the answers, at random.
fn a_fifth(seed: u64) -> impl FnMut(Duration) -> Answer {
    let mut rng = StdRng::seed_from_u64(seed);
    move |_| {
        if rng.random_bool(0.2) {
            Answer::Failed(Trouble::Unavailable, Hints::default())
        } else {
            Answer::Accepted(Hints::default())
        }
    }
}

#[test]
fn a_fifth_of_503_costs_the_retries_and_next_to_no_waiting() {
    let times = (0..1000).map(|seed| {
        let run = run(Settings { seed, ..given() }, 500, a_fifth(seed));
        assert_eq!(run.fetched, 500, "seed {seed}");
        run.took
    });
    let mut times: Vec<_> = times.collect();
    times.sort();
    println!("half within {:?}, 99 % within {:?}", times[500], times[990]);
    assert!(times[999] <= Duration::from_secs(14), "{:?}", times[999]);
}

#[test]
fn a_given_rate_is_lowered_by_a_429_and_by_a_503_that_speaks_of_rates() {
    let hints = Hints { retry_after: Some(Duration::from_secs(1)), quota: None };
    for (status, hints) in [(429, Hints::default()), (503, hints)] {
        let status = http::StatusCode::from_u16(status).expect("a status");
        let run = run(given(), 50, every_fifth(Answer::of(status, hints)));
        assert_eq!(run.fetched, 50);
        assert!(run.allows < Some(50.0) && run.allows.is_some(), "{status}: {run:?}");
    }
}

#[test]
fn faults_that_come_at_every_rate_are_not_taken_for_a_limit() {
    let mut rng = StdRng::seed_from_u64(7);
    let policy = Settings { retries: 20, retry_budget: 1.0, ..Settings::default() };
    let run = run(policy, 2000, move |_| {
        if rng.random_bool(0.3) {
            Answer::Failed(Trouble::Unavailable, Hints::default())
        } else {
            Answer::Accepted(Hints::default())
        }
    });
    assert_eq!(run.fetched, 2000, "{run:?}");
    assert!(run.took < Duration::from_mins(1), "{:?}", run.took);
}

#[test]
fn a_host_that_works_again_has_another_chance() {
    let patience = Duration::from_secs(10);
    let policy = Settings { patience, ..Settings::default() };
    let run = run(policy, 3, |_| Answer::Rejected(Hints::default()));
    assert_eq!((run.fetched, run.given_up), (0, 3));
    assert!(run.took > patience, "{:?}", run.took);
}

#[test]
fn hosts_do_not_wait_for_each_other() {
    let mut scheduler = Scheduler::new(Settings { concurrency: 2, ..given() });
    for host in ["a", "a", "a", "b"] {
        scheduler.add(Duration::ZERO, host, host, true);
    }
    let mut sent = Vec::new();
    while let Turn::Send(job) = scheduler.next(Duration::ZERO) {
        sent.push(job.item);
        let answer = Answer::Accepted(Hints::default());
        assert!(matches!(scheduler.answered(Duration::ZERO, job, &answer), Decision::Done(_)));
    }
    sent.sort_unstable();
    assert_eq!(sent, ["a", "a", "b"], "the third of `a` has to wait for its host");
    let waiting = scheduler.cancel(Duration::from_secs(1));
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].waited, Duration::from_secs(1));
}

#[test]
fn a_rejection_is_charged_to_nobody() {
    let rate = Some(Rate { per_second: 50.0, burst: 20 });
    let policy = Settings { rate, retries: 0, retry_budget: 0.0, ..Settings::default() };
    let mut scheduler = Scheduler::new(policy);
    (0..20).for_each(|request| scheduler.add(Duration::ZERO, "host", request, true));
    let mut sent = Vec::new();
    while let Turn::Send(job) = scheduler.next(Duration::ZERO) {
        sent.push(job);
    }
    assert_eq!(sent.len(), 20, "twice as many as may always be tried again");
    for job in sent {
        let fate = scheduler.answered(TRIP, job, &Answer::Rejected(Hints::default()));
        assert!(matches!(fate, Decision::Again), "{fate:?}");
    }
}

#[test]
fn a_rejected_request_waits_as_long_as_it_was_told() {
    for wait in [1, 2, 30].map(Duration::from_secs) {
        let mut scheduler = Scheduler::new(Settings::default());
        scheduler.add(Duration::ZERO, "host", "a request", true);
        let Turn::Send(job) = scheduler.next(Duration::ZERO) else { panic!("it may go at once") };
        let told = Answer::Rejected(Hints { retry_after: Some(wait), quota: None });
        assert!(matches!(scheduler.answered(TRIP, job, &told), Decision::Again));
        let turn = scheduler.next(TRIP);
        assert!(matches!(turn, Turn::At(at) if at == TRIP + wait), "{wait:?}: {turn:?}");
    }
}
