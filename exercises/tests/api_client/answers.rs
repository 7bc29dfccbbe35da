//! What an answer means, for all codes, methods and headers, as in the page's table.

use std::time::Duration;

use exercises::policy::{
    Announced, Answer, Decision, Failing, Quota, Scheduler, Settings, Turn, is_success,
};
use http::{Method, StatusCode};

/// The page's table: how a request ends after its first answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    Rejection,
    Passing,
    Misdirected,
    Success,
    Final,
}

fn meaning(status: u16, retry_after: bool, nothing_remains: bool, conditional: bool) -> Meaning {
    match status {
        429 | 430 | 420 | 529 => Meaning::Rejection,
        403 | 503 if retry_after || nothing_remains => Meaning::Rejection,
        500 | 502..=504 | 520..=527 | 408 | 425 => Meaning::Passing,
        413 if retry_after => Meaning::Passing,
        421 => Meaning::Misdirected,
        200..=299 => Meaning::Success,
        304 if conditional => Meaning::Success,
        _ => Meaning::Final,
    }
}

fn announced(retry_after: bool, nothing_remains: bool) -> Announced {
    let quota = |remaining| Quota {
        name: "x".to_owned(),
        limit: Some(100.0),
        remaining,
        reset: Duration::from_secs(5),
        window: None,
    };
    Announced {
        retry_after: retry_after.then_some(Duration::from_secs(3)),
        quotas: vec![quota(if nothing_remains { 0.0 } else { 40.0 })],
        most_in_flight: None,
    }
}

const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::POST,
    Method::PATCH,
];

#[test]
fn every_code_means_what_the_table_says_with_every_method_and_header() {
    for (code, method, flags) in (100..600_u16)
        .flat_map(|code| METHODS.iter().map(move |method| (code, method)))
        .flat_map(|(code, method)| (0..8).map(move |flags| (code, method, flags)))
    {
        let [retry_after, used_up, conditional] = [1, 2, 4].map(|flag| flags & flag != 0);
        let status = StatusCode::from_u16(code).expect("a status");
        let said = announced(retry_after, used_up);
        let answer = Answer::of(status, &said);
        let mut scheduler = Scheduler::new(Settings::default());
        scheduler.add(Duration::ZERO, "host", (), method.is_idempotent());
        let Turn::Send(job) = scheduler.next(Duration::ZERO) else { panic!("it may go") };
        let decision = scheduler.answered(Duration::from_millis(20), job, answer, &said);
        let what = format!("{code} {method} {said:?}: {answer:?}, {decision:?}");
        let again = matches!(decision, Decision::Again);
        match meaning(code, retry_after, used_up, conditional) {
            Meaning::Rejection => assert!(again && answer == Answer::Rejected, "{what}"),
            Meaning::Passing => {
                assert!(matches!(answer, Answer::Failed(_)), "{what}");
                assert_eq!(again, method.is_idempotent(), "{what}");
            }
            Meaning::Misdirected => assert!(again && answer == Answer::Misdirected, "{what}"),
            done @ (Meaning::Success | Meaning::Final) => {
                assert!(matches!(decision, Decision::Done(_)), "{what}");
                assert_eq!(is_success(status, conditional), done == Meaning::Success, "{what}");
            }
        }
    }
}

#[test]
fn a_bare_503_may_be_a_limiter_that_announces_nothing() {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let answer = Answer::of(status, &announced(false, false));
    assert_eq!(answer, Answer::Failed(Failing::Unavailable), "a quota that is not used up");
}
