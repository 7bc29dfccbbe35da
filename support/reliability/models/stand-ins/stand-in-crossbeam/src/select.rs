use std::future::poll_fn;
use std::task::{Context, Poll};

use model::future::block_on;

/// Which of two waits has ended.
#[doc(hidden)]
pub enum Either<A, B> {
    First(A),
    Second(B),
}

/// Waits for one of two: for the first one, when both are ready.
#[doc(hidden)]
pub fn either<A, B>(
    mut first: impl FnMut(&Context<'_>) -> Poll<A>,
    mut second: impl FnMut(&Context<'_>) -> Poll<B>,
) -> Either<A, B> {
    block_on(poll_fn(|cx| match first(cx) {
        Poll::Ready(output) => Poll::Ready(Either::First(output)),
        Poll::Pending => second(cx).map(Either::Second),
    }))
}

/// `crossbeam::channel::select_biased!`, for the arms that the sections use.
#[macro_export]
macro_rules! select_biased {
    (recv($r:expr) -> $p:pat => $a:block recv($s:expr) -> $q:pat => $b:block) => {{
        let (first, second) = (&$r, &$s);
        match $crate::channel::either(|cx| first.poll_recv(cx), |cx| second.poll_recv(cx)) {
            $crate::channel::Either::First($p) => $a,
            $crate::channel::Either::Second($q) => $b,
        }
    }};
    (send($s:expr, $item:expr) -> $p:pat => $a:block recv($r:expr) -> $q:pat => $b:block) => {{
        let (first, second) = (&$s, &$r);
        match $crate::channel::either(|cx| first.poll_reserve(cx), |cx| second.poll_recv(cx)) {
            $crate::channel::Either::First(room) => {
                let $p = room.map(|()| first.fill($item));
                $a
            }
            $crate::channel::Either::Second($q) => $b,
        }
    }};
    (
        recv($r:expr) -> $p:pat => $a:expr,
        send($s:expr, $item:expr) -> $q:pat => $b:block
        recv($t:expr) -> $w:pat => $c:expr,
    ) => {{
        use $crate::channel::Either;
        let (first, second, third) = (&$r, &$s, &$t);
        match $crate::channel::either(
            |cx| first.poll_recv(cx),
            |cx| match second.poll_reserve(cx) {
                std::task::Poll::Ready(room) => std::task::Poll::Ready(Either::First(room)),
                std::task::Poll::Pending => third.poll_recv(cx).map(Either::Second),
            },
        ) {
            Either::First($p) => $a,
            Either::Second(Either::First(room)) => {
                let $q = room.map(|()| second.fill($item));
                $b
            }
            Either::Second(Either::Second($w)) => $c,
        }
    }};
}
