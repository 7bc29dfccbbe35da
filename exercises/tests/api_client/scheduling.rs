//! The whole policy against simulated hosts, on a clock that jumps to the next event: what they
//! announce, what they reject, and what happens to requests in an outage.

use std::collections::BTreeMap;
use std::time::Duration;

use exercises::policy::{
    Announced, Answer, Decision, Failing, Hold, Quota, Rate, Reason, Scheduler, Settings, Turn,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const TRIP: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);

/// What a simulated host answers, and after how long.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) trip: Duration,
    pub(crate) answer: Answer,
    pub(crate) announced: Announced,
}

pub(crate) fn reply(answer: Answer) -> Reply {
    Reply { trip: TRIP, answer, announced: Announced::default() }
}

fn told(answer: Answer, wait: Duration) -> Reply {
    let announced = Announced { retry_after: Some(wait), ..Announced::default() };
    Reply { trip: TRIP, answer, announced }
}

fn accepted() -> Reply {
    reply(Answer::Accepted)
}

fn failed(failing: Failing) -> Reply {
    reply(Answer::Failed(failing))
}

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// When each request was sent, and to which host.
    pub(crate) sent: Vec<(Duration, &'static str)>,
    /// When each request was fetched.
    pub(crate) fetched: Vec<(Duration, &'static str)>,
    pub(crate) given_up: Vec<(Duration, Reason)>,
    pub(crate) rejected: usize,
    pub(crate) took: Duration,
    pub(crate) allows: Option<f64>,
}

impl Run {
    pub(crate) fn sent_before(&self, end: Duration) -> usize {
        self.sent.iter().filter(|(at, _)| *at < end).count()
    }

    fn last_of(&self, host: &str) -> Duration {
        let times = self.fetched.iter().filter(|(_, other)| *other == host).map(|(at, _)| *at);
        times.max().unwrap_or_default()
    }
}

/// Sends requests, each idempotent, to these hosts, which answer given their name and the time of
/// arrival.
pub(crate) fn run_all(
    settings: Settings,
    requests: &[&'static str],
    answer: impl FnMut(&str, Duration) -> Reply,
) -> Run {
    run_until(settings, requests, Duration::MAX, answer)
}

pub(crate) fn run_until(
    settings: Settings,
    requests: &[&'static str],
    end: Duration,
    mut answer: impl FnMut(&str, Duration) -> Reply,
) -> Run {
    let mut scheduler = Scheduler::new(settings);
    let (mut run, mut now) = (Run::default(), Duration::ZERO);
    for host in requests {
        scheduler.add(now, host, *host, true);
    }
    let mut replies = BTreeMap::new();
    let mut number = 0;
    while run.fetched.len() + run.given_up.len() < requests.len() && now < end {
        let turn = match scheduler.next(now) {
            Turn::Send(job) => {
                number += 1;
                run.sent.push((now, job.item));
                let Reply { trip, answer, announced } = answer(job.item, now + TRIP / 2);
                replies.insert((now + trip, number), (job, answer, announced));
                continue;
            }
            Turn::GiveUp(_, reason) => {
                run.given_up.push((now, reason));
                continue;
            }
            Turn::At(time) => Some(time),
            Turn::Idle => None,
        };
        let reply = replies.first_key_value().map(|((at, _), _)| *at);
        now = turn.into_iter().chain(reply).min().expect("somebody waits for something");
        if reply == Some(now) {
            let (_, (job, answer, announced)) = replies.pop_first().expect("it was just seen");
            run.rejected += usize::from(answer == Answer::Rejected);
            let host = job.item;
            match scheduler.answered(now, job, answer, &announced) {
                Decision::Done(_) => run.fetched.push((now, host)),
                Decision::GivenUp(_, reason) => run.given_up.push((now, reason)),
                Decision::Again => {}
            }
        }
    }
    run.took = now;
    run.allows = scheduler.report()[0].allows;
    run
}

fn run(settings: Settings, requests: usize, mut answer: impl FnMut(Duration) -> Reply) -> Run {
    run_all(settings, &vec!["host"; requests], |_, now| answer(now))
}

fn given() -> Settings {
    Settings { rate: Some(Rate { per_second: 50.0, burst: 2 }), retries: 30, ..Settings::default() }
}

fn at_100() -> Settings {
    Settings { rate: Some(Rate { per_second: 100.0, burst: 2 }), ..Settings::default() }
}

mod evidence {
    use super::*;

    /// Every combination of what a host may announce beside its rejections.
    fn all_advice() -> Vec<Announced> {
        let quota = |remaining, reset| Quota {
            name: "x".to_owned(),
            limit: Some(5000.0),
            remaining,
            reset: Duration::from_secs(reset),
            window: None,
        };
        let waits = [None, Some(0), Some(1), Some(5)];
        let quotas = [vec![], vec![quota(4000.0, 3600)], vec![quota(1.0, 1)], vec![quota(0.0, 2)]];
        let pairs = waits.iter().flat_map(|wait| quotas.iter().map(move |quotas| (wait, quotas)));
        pairs
            .map(|(wait, quotas)| Announced {
                retry_after: wait.map(Duration::from_secs),
                quotas: quotas.clone(),
                most_in_flight: None,
            })
            .collect()
    }

    #[test]
    fn a_host_that_only_rejects_gets_few_requests_whatever_it_announces() {
        let polite = |polite| Settings { polite, ..Settings::default() };
        for settings in [Settings::default(), given(), at_100(), polite(true)] {
            for announced in all_advice() {
                let minute = 60 * SECOND;
                let run = run_until(settings.clone(), &["host"; 5], minute, |_, _| Reply {
                    announced: announced.clone(),
                    ..reply(Answer::Rejected)
                });
                let (first, all) = (run.sent_before(12 * SECOND), run.sent_before(minute));
                assert!(first <= 12 && all <= 16, "{announced:?}: {first} in 12 s, {all} in 60 s");
            }
        }
    }

    #[test]
    fn a_host_that_only_rejects_is_given_up_after_patience_and_no_sooner() {
        let run = run(Settings::default(), 50, |_| reply(Answer::Rejected));
        assert_eq!(run.given_up.len(), 50);
        let first = run.given_up[0];
        assert_eq!(first.1, Reason::Patience);
        assert!((300 * SECOND..302 * SECOND).contains(&first.0), "{first:?}");
    }

    #[test]
    fn the_pauses_double_to_a_minute_and_jitter_only_lengthens_them() {
        for seed in 0..50 {
            let settings = Settings { seed, ..Settings::default() };
            let run = run(settings, 1, |_| reply(Answer::Rejected));
            let times: Vec<_> = run.sent.iter().map(|(at, _)| *at).collect();
            for (step, pair) in times.windows(2).enumerate() {
                let pause = pair[1].saturating_sub(pair[0] + TRIP).as_secs_f64();
                let least = f64::from(1_u32 << step.min(6)).min(60.0);
                assert!((least..=1.25 * least).contains(&pause), "pause {step}: {pause}");
            }
        }
    }

    #[test]
    fn a_rejection_costs_no_try() {
        let rate = Some(Rate { per_second: 50.0, burst: 20 });
        let settings = Settings { rate, retries: 0, retry_budget: 0.0, ..Settings::default() };
        let mut scheduler = Scheduler::new(settings);
        (0..20).for_each(|request| scheduler.add(Duration::ZERO, "host", request, true));
        let mut sent = Vec::new();
        while let Turn::Send(job) = scheduler.next(Duration::ZERO) {
            sent.push(job);
        }
        assert_eq!(sent.len(), 20, "twice as many as may always be tried again");
        for job in sent {
            let decision = scheduler.answered(TRIP, job, Answer::Rejected, &Announced::default());
            assert!(matches!(decision, Decision::Again), "{decision:?}");
        }
    }

    /// A wait of up to a second delays only the request; a longer one pauses the whole host.
    #[test]
    fn a_rejected_request_waits_as_long_as_it_was_told() {
        for wait in [1, 2, 30, 480].map(Duration::from_secs) {
            let mut first = true;
            let run = run(Settings::default(), 2, |_| {
                let rejects = std::mem::take(&mut first);
                if rejects { told(Answer::Rejected, wait) } else { accepted() }
            });
            let again = run.sent[2].0;
            assert!(again >= wait + TRIP, "{wait:?}: {:?}", run.sent);
            assert_eq!(run.fetched.len(), 2);
        }
    }

    #[test]
    fn a_wait_beyond_max_retry_after_ends_the_hosts_requests_at_once() {
        let hour = 3600 * SECOND;
        let used_up = Announced {
            quotas: vec![Quota {
                name: "x".to_owned(),
                limit: Some(60.0),
                remaining: 0.0,
                reset: hour,
                window: None,
            }],
            ..Announced::default()
        };
        for announced in [told(Answer::Rejected, hour).announced, used_up] {
            let hosts = ["host", "host", "host", "other"];
            let run =
                run_all(Settings { concurrency: 1, ..Settings::default() }, &hosts, |host, _| {
                    if host == "other" {
                        return accepted();
                    }
                    Reply { announced: announced.clone(), ..reply(Answer::Rejected) }
                });
            assert_eq!((run.sent.len(), run.fetched.len()), (2, 1), "{run:?}");
            assert!(run.took < SECOND, "{run:?}");
            let come_back = Reason::ComeBack(run.given_up[0].0 + hour);
            assert!(run.given_up.iter().all(|(_, reason)| *reason == come_back), "{run:?}");
        }
    }

    #[test]
    fn a_given_rate_is_lowered_by_a_rejection_whatever_is_announced() {
        for announced in all_advice() {
            let mut count = 0;
            let run = run(given(), 50, |_| {
                count += 1;
                if count % 5 == 0 {
                    Reply { announced: announced.clone(), ..reply(Answer::Rejected) }
                } else {
                    accepted()
                }
            });
            assert_eq!(run.fetched.len(), 50);
            assert!(run.allows < Some(50.0) && run.allows.is_some(), "{announced:?}: {run:?}");
        }
    }
}

mod outage {
    use super::*;

    /// In these seconds of the run every request fails in this way.
    fn down(
        failing: Failing,
        seconds: std::ops::Range<u64>,
    ) -> impl FnMut(&str, Duration) -> Reply {
        move |_, now| if seconds.contains(&now.as_secs()) { failed(failing) } else { accepted() }
    }

    #[test]
    fn three_hundred_requests_survive_every_kind_of_outage() {
        for failing in [
            Failing::Broken,
            Failing::Unavailable,
            Failing::Unreachable,
            Failing::HungUp,
            Failing::Internal,
        ] {
            for length in [2, 5, 20] {
                for settings in [at_100(), Settings::default()] {
                    let run = run_all(settings, &["host"; 300], down(failing, 1..1 + length));
                    assert_eq!(run.fetched.len(), 300, "{failing:?} for {length} s: {run:?}");
                    let late = run.took.saturating_sub(Duration::from_secs(1 + length));
                    assert!(late < 35 * SECOND, "{failing:?} for {length} s: {:?}", run.took);
                }
            }
        }
    }

    #[test]
    fn twelve_requests_wait_for_a_port_that_opens_after_three_seconds() {
        let run = run_all(Settings::default(), &["host"; 12], down(Failing::Unreachable, 0..3));
        assert_eq!(run.fetched.len(), 12, "{run:?}");
        assert!(run.took < 6 * SECOND, "{:?}", run.took);
    }

    #[test]
    fn one_probe_goes_at_a_time_to_an_ill_host() {
        let run = run_all(Settings::default(), &["host"; 40], down(Failing::Unreachable, 0..20));
        let probes = run.sent.iter().filter(|(at, _)| (1..20).contains(&at.as_secs())).count();
        assert!(probes <= 6, "{probes} probes: {:?}", run.sent);
    }

    #[test]
    fn an_ill_host_delays_no_other_one() {
        let others = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let hosts: Vec<_> = (0..20).flat_map(|_| ["ill"].into_iter().chain(others)).collect();
        let timed_out = || Reply { trip: 10 * SECOND, ..failed(Failing::Unreachable) };
        let with = run_all(Settings::default(), &hosts, |host, _| {
            if host == "ill" { timed_out() } else { accepted() }
        });
        let healthy: Vec<_> = hosts.iter().copied().filter(|host| *host != "ill").collect();
        let without = run_all(Settings::default(), &healthy, |_, _| accepted());
        for host in others {
            let late = with.last_of(host).saturating_sub(without.last_of(host));
            assert!(late <= SECOND, "{host}: {late:?} later");
        }
        assert_eq!((with.fetched.len(), with.given_up.len()), (200, 20));
    }

    #[test]
    fn a_host_that_stays_ill_ends_its_requests_after_patience() {
        let run_with = |up: u64, failing| {
            run_all(Settings::default(), &["host"; 30], move |_, now| {
                if now.as_secs() < up { reply(Answer::Rejected) } else { failed(failing) }
            })
        };
        for failing in [Failing::Unreachable, Failing::Broken] {
            let never = run_with(0, failing);
            assert_eq!(never.given_up.len(), 30);
            let (at, reason) = never.given_up[0];
            assert_eq!(reason, Reason::Patience);
            assert!((30 * SECOND..31 * SECOND).contains(&at), "{at:?}");
            let once = run_with(1, failing);
            let at = once.given_up[0].0;
            assert!((300 * SECOND..301 * SECOND).contains(&at), "{at:?}");
        }
    }

    #[test]
    fn a_url_that_always_gives_500_on_a_healthy_host_fails_after_its_own_retries() {
        let hosts: Vec<_> = std::iter::repeat_n("good", 200).chain(["bad"]).collect();
        let mut scheduler = Scheduler::new(at_100());
        for (number, kind) in hosts.iter().enumerate() {
            scheduler.add(Duration::ZERO, "host", (number, *kind), true);
        }
        let (mut now, mut tries, mut reason) = (Duration::ZERO, 0, None);
        loop {
            match scheduler.next(now) {
                Turn::Send(job) => {
                    let bad = job.item.1 == "bad";
                    tries += u32::from(bad);
                    let answer =
                        if bad { Answer::Failed(Failing::Internal) } else { Answer::Accepted };
                    let made = scheduler.answered(now, job, answer, &Announced::default());
                    if let Decision::GivenUp(_, why) = made {
                        reason = Some(why);
                    }
                }
                Turn::GiveUp(_, why) => reason = Some(why),
                Turn::At(time) => now = time,
                Turn::Idle => break,
            }
        }
        assert_eq!((tries, reason), (9, Some(Reason::Retries)));
        assert!(now < 60 * SECOND, "{now:?}");
    }

    #[test]
    fn only_what_cannot_have_been_processed_is_sent_again() {
        for (failing, again) in [
            (Failing::Unreachable, true),
            (Failing::Unprocessed, true),
            (Failing::Internal, false),
            (Failing::Broken, false),
            (Failing::Unavailable, false),
            (Failing::Malformed, false),
            (Failing::HungUp, false),
            (Failing::Interrupted, false),
            (Failing::Passing, false),
        ] {
            let retry_unsafe = |retry_unsafe| Settings { retry_unsafe, ..Settings::default() };
            for (settings, expected) in [(retry_unsafe(false), again), (retry_unsafe(true), true)] {
                let mut scheduler = Scheduler::new(settings);
                scheduler.add(Duration::ZERO, "host", "a POST", false);
                let Turn::Send(job) = scheduler.next(Duration::ZERO) else { panic!("it may go") };
                let answer = Answer::Failed(failing);
                match scheduler.answered(TRIP, job, answer, &Announced::default()) {
                    Decision::Again => assert!(expected, "{failing:?}"),
                    Decision::GivenUp(_, Reason::MayHaveBeenProcessed) => assert!(!expected),
                    other => panic!("{failing:?}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_random_fifth_of_503_makes_no_host_ill() {
        let times = (0..1000).map(|seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let run = run(Settings { seed, ..given() }, 500, |_| {
                if rng.random_bool(0.2) { failed(Failing::Unavailable) } else { accepted() }
            });
            assert_eq!((run.fetched.len(), run.allows), (500, None), "seed {seed}");
            run.took
        });
        let mut times: Vec<_> = times.collect();
        times.sort();
        println!("half within {:?}, 99 % within {:?}", times[500], times[990]);
        assert!(times[999] <= 15 * SECOND, "{:?}", times[999]);
    }

    #[test]
    fn faults_that_come_at_every_rate_are_not_taken_for_a_limit() {
        let mut rng = StdRng::seed_from_u64(7);
        let settings = Settings { retries: 20, retry_budget: 1.0, ..Settings::default() };
        let run = run(settings, 2000, move |_| {
            if rng.random_bool(0.3) { failed(Failing::Unavailable) } else { accepted() }
        });
        assert_eq!(run.fetched.len(), 2000, "{run:?}");
        assert!(run.took < 60 * SECOND, "{:?}", run.took);
    }

    #[test]
    fn the_retry_budget_slows_retries_and_fails_none() {
        let mut tried = 0;
        let settings = Settings { retry_budget: 0.0, retries: 1, ..given() };
        let run = run(settings, 30, |_| {
            tried += 1;
            let fails = tried % 2 == 1;
            if fails { failed(Failing::Passing) } else { accepted() }
        });
        assert!(run.given_up.iter().all(|(_, reason)| *reason == Reason::Retries), "{run:?}");
        let retries = run.sent.len() - 30;
        assert!(run.took.as_secs_f64() >= retries as f64 - 11.0, "{retries} in {:?}", run.took);
    }

    #[test]
    fn a_misdirected_request_goes_once_more_on_a_new_connection() {
        let mut scheduler = Scheduler::new(Settings::default());
        scheduler.add(Duration::ZERO, "host", "a POST", false);
        let none = Announced::default();
        let Turn::Send(job) = scheduler.next(Duration::ZERO) else { panic!("it may go") };
        assert!(!job.reconnect);
        let decision = scheduler.answered(TRIP, job, Answer::Misdirected, &none);
        assert!(matches!(decision, Decision::Again));
        let Turn::Send(job) = scheduler.next(SECOND) else { panic!("its pace allows it") };
        assert!(job.reconnect);
        let decision = scheduler.answered(SECOND + TRIP, job, Answer::Misdirected, &none);
        assert!(matches!(decision, Decision::Done(_)));
    }
}

mod quotas {
    use super::*;

    /// A fixed number in each window, announced with every answer in whole seconds.
    fn announcing(limit: u32, window: u64) -> impl FnMut(Duration) -> Reply {
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
                name: String::new(),
                limit: Some(f64::from(limit)),
                remaining: f64::from(limit - used),
                reset: Duration::from_secs(end.saturating_sub(now).as_secs_f64().ceil() as u64),
                window: None,
            };
            let announced = Announced { quotas: vec![quota], ..Announced::default() };
            let answer = if accepted { Answer::Accepted } else { Answer::Rejected };
            Reply { announced, ..reply(answer) }
        }
    }

    #[test]
    fn an_announced_quota_is_used_and_not_exceeded() {
        for (limit, window) in [(100, 10), (50, 5), (600, 60)] {
            let run = run(Settings::default(), 1000, announcing(limit, window));
            assert_eq!((run.fetched.len(), run.rejected), (1000, 0), "{limit} in {window} s");
            let rate = f64::from(limit) / window as f64;
            let share = 1000.0 / run.took.as_secs_f64() / rate;
            assert!(share >= 0.9, "{limit} in {window} s: {share:.3} of the rate");
        }
    }

    #[test]
    fn requests_that_fit_into_the_remaining_quota_are_not_spread() {
        let without = run(Settings::default(), 100, |_| accepted());
        let with = run(Settings::default(), 100, announcing(5000, 3600));
        assert_eq!(with.fetched.len(), 100);
        assert!(with.took <= without.took + TRIP, "{:?}, without {:?}", with.took, without.took);
    }

    #[test]
    fn a_given_rate_is_held_back_only_where_it_would_overrun_a_quota() {
        let free = run(given(), 500, |_| accepted());
        let ample = run(given(), 500, announcing(600, 10));
        assert!(ample.took <= free.took + SECOND, "{:?}", ample.took);
        assert_eq!(ample.rejected, 0);
        let scarce = run(given(), 500, announcing(100, 10));
        assert_eq!((scarce.fetched.len(), scarce.rejected), (500, 0));
        assert!(scarce.took >= 40 * SECOND, "{:?}", scarce.took);
    }

    #[test]
    fn the_strictest_of_several_policies_is_kept() {
        let (mut minute, mut hour) = (announcing(60, 60), announcing(100_000, 3600));
        let run = run(Settings::default(), 200, |now| {
            let (mut tight, wide) = (minute(now), hour(now));
            tight.announced.quotas[0].name = "minute".to_owned();
            tight.announced.quotas.insert(0, wide.announced.quotas[0].clone());
            tight
        });
        assert_eq!((run.fetched.len(), run.rejected), (200, 0), "{:?}", run.took);
    }

    #[test]
    fn a_concurrency_policy_bounds_the_requests_in_flight() {
        let few = Announced { most_in_flight: Some(3), ..Announced::default() };
        let mut scheduler = Scheduler::new(given());
        (0..10).for_each(|n| scheduler.add(Duration::ZERO, "host", n, true));
        let Turn::Send(job) = scheduler.next(Duration::ZERO) else { panic!("it may go") };
        scheduler.answered(TRIP, job, Answer::Accepted, &few);
        let now = 5 * SECOND; // no rate limits it
        let mut sent = Vec::new();
        for step in 0..10 {
            if let Turn::Send(job) = scheduler.next(now + step * SECOND) {
                sent.push(job);
            }
        }
        assert_eq!(sent.len(), 3);
        assert_eq!(scheduler.report()[0].held, Some((Hold::Quota, None)));
    }
}

mod ramp {
    use super::*;

    #[test]
    fn two_hundred_urls_at_two_seconds_each_take_no_longer_than_fourteen() {
        let run = run(Settings::default(), 200, |_| Reply { trip: 2 * SECOND, ..accepted() });
        assert!(run.took <= 14 * SECOND, "{:?}", run.took);
        let first = run.sent_before(SECOND);
        assert_eq!(first, 10, "ten in the first round trip");
    }

    #[test]
    fn hosts_take_turns_for_the_slots() {
        let hosts: Vec<_> = std::iter::repeat_n("slow", 600).chain(["fast"; 40]).collect();
        for settings in [Settings::default(), at_100()] {
            let run = run_all(settings, &hosts, |host, _| {
                let trip = if host == "slow" { 60 * SECOND } else { TRIP };
                Reply { trip, ..accepted() }
            });
            let fast = run.last_of("fast");
            assert!(fast <= 3 * SECOND, "{fast:?}");
        }
    }

    #[test]
    fn hosts_do_not_wait_for_each_other() {
        let mut scheduler = Scheduler::new(Settings { concurrency: 2, ..given() });
        for host in ["a", "a", "a", "b"] {
            scheduler.add(Duration::ZERO, host, host, true);
        }
        let mut sent = Vec::new();
        let none = Announced::default();
        while let Turn::Send(job) = scheduler.next(Duration::ZERO) {
            sent.push(job.item);
            let decision = scheduler.answered(Duration::ZERO, job, Answer::Accepted, &none);
            assert!(matches!(decision, Decision::Done(_)));
        }
        sent.sort_unstable();
        assert_eq!(sent, ["a", "a", "b"], "the third of `a` has to wait for its host");
        let waiting = scheduler.cancel(SECOND);
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].waited, SECOND);
    }

    #[test]
    fn the_scheduler_says_why_a_request_waits() {
        let mut scheduler = Scheduler::new(Settings::default());
        scheduler.add(Duration::ZERO, "host", (), true);
        scheduler.add(Duration::ZERO, "host", (), true);
        let Turn::Send(job) = scheduler.next(Duration::ZERO) else { panic!("it may go") };
        let told = told(Answer::Rejected, 48 * SECOND);
        scheduler.answered(TRIP, job, told.answer, &told.announced);
        let report = &scheduler.report()[0];
        assert_eq!(report.waiting, 2);
        assert_eq!(report.held, Some((Hold::RetryAfter, Some(TRIP + 48 * SECOND))));
    }
}
