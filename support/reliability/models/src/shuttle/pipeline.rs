use std::future::pending;

use model::future::block_on;
use pipeline::bad;
use tokio::spawn;
use tokio::sync::oneshot;

use super::quiet_panic;

/// The models that one of the known bugs must fail.
macro_rules! models {
    () => {
        #[allow(dead_code)]
        pub fn early_end() {
            block_on(async {
                let idle = stage(generate(1..=1, 1), move |mut input, output| async move {
                    while let Some(item) = input.recv().await {
                        let _ = output.send(item).await;
                    }
                    pending::<()>().await;
                });
                let takes_one = stage(idle, |mut input, output| async move {
                    let item: u64 = input.recv().await.expect("it is sent");
                    output.send(item).await.expect("it is read");
                });
                assert_eq!(takes_one.collect().await, [1]); // it ends
            });
        }

        #[allow(dead_code)]
        pub fn panics() {
            block_on(async {
                let failing = map(generate(1..=5, 1), |item| {
                    if item == 3 {
                        quiet_panic("a bad item");
                    }
                    item
                });
                let reader = spawn(async {
                    let mut items = map(failing, |item| item);
                    assert_eq!(items.next().await, Some(1));
                    assert_eq!(items.next().await, Some(2)); // what was made before it is there
                    items.next().await
                });
                let panic = reader.await.expect_err("the reader panics").into_panic();
                assert_eq!(panic.downcast_ref(), Some(&"a bad item"));
            });
        }
    };
}

pub mod good {
    use pipeline::{filter, generate, map, par_map, stage};

    use super::*;

    models!();

    pub fn order() {
        block_on(async {
            let odd = filter(generate(1..=6, 2), |item| item % 2 == 1);
            let wide = par_map(odd, 2, async |item| item * 10);
            assert_eq!(map(wide, |item| item + 1).collect().await, [11, 31, 51]);
        });
    }

    pub fn early_stop() {
        block_on(async {
            let (alive, ended) = oneshot::channel::<()>();
            let (idle_alive, idle_ended) = oneshot::channel::<()>();
            let source = map(generate(1.., 1), move |item: u64| {
                let _held = &alive;
                item
            });
            let idle = stage(source, move |input, output| async move {
                let _held = (input, output, idle_alive);
                pending::<()>().await;
            });
            drop(map::<u64, u64>(idle, |item| item));
            assert!(ended.await.is_err(), "nothing is ever sent");
            assert!(idle_ended.await.is_err(), "nothing is ever sent");

            let (alive, ended) = oneshot::channel::<()>();
            let mut busy = map(generate(1.., 1), move |item: u64| {
                let _held = &alive;
                item
            });
            assert_eq!(busy.next().await, Some(1));
            drop(busy);
            assert!(ended.await.is_err(), "nothing is ever sent");
        });
    }
}

pub mod early_end_is_not_reported {
    use bad::early_end_is_not_reported::{generate, map, stage};

    use super::*;

    models!();
}

pub mod panic_is_not_reported {
    use bad::panic_is_not_reported::{generate, map, stage};

    use super::*;

    models!();
}
