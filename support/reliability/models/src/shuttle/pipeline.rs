use std::collections::VecDeque;
use std::num::NonZeroUsize;

use model::future::block_on;
use pipeline::bad;
use tokio::spawn;
use tokio::sync::oneshot;

use super::quiet_panic;

macro_rules! models {
    ($name:ident of $channel:path) => {
        pub mod $name {
            use super::*;
            use $channel::*;

            #[allow(dead_code)] // the models of the stages cover it where they are there
            pub fn channel() {
                block_on(async {
                    let (mut sender, mut receiver) = chunk_channel(limits(2, 1));
                    let sending =
                        spawn(
                            async move { sender.send_all(&mut VecDeque::from([1, 2, 3, 4])).await },
                        );
                    let mut items = VecDeque::new();
                    while receiver.recv_all(&mut items).await {}
                    assert_eq!(items, [1, 2, 3, 4]);
                    assert_eq!(sending.await.expect("it does not panic"), Ok(()));
                });
            }

            pub fn limits(buffer: usize, chunk: usize) -> Limits {
                Limits { buffer: count(buffer), chunk: count(chunk) }
            }
        }
    };
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("limits start at 1")
}

models!(channel of pipeline);
models!(room_is_not_told of bad::room_is_not_told);
models!(end_is_not_told of bad::end_is_not_told);

pub mod good {
    use std::future::pending;

    use pipeline::{filter, generate, map, par_map, stage};

    use super::channel::limits;
    use super::*;

    pub fn order() {
        block_on(async {
            let odd = filter(generate(1..=6, limits(2, 2)), |item| item % 2 == 1);
            let wide = par_map(odd, count(2), async |item| item * 10);
            assert_eq!(map(wide, |item| item + 1).collect().await, [11, 31, 51]);
        });
    }

    pub fn early_stop() {
        block_on(async {
            let (alive, ended) = oneshot::channel::<()>();
            let (idle_alive, idle_ended) = oneshot::channel::<()>();
            let source = map(generate(1.., limits(1, 1)), move |item: u64| {
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
            let mut busy = map(generate(1.., limits(1, 1)), move |item: u64| {
                let _held = &alive;
                item
            });
            assert_eq!(busy.next().await, Some(1));
            drop(busy);
            assert!(ended.await.is_err(), "nothing is ever sent");
        });
    }

    pub fn panics() {
        block_on(async {
            let failing = map(generate(1..=3, limits(1, 1)), |item| {
                if item == 3 {
                    quiet_panic("a bad item");
                }
                item
            });
            let reader = spawn(map(failing, |item| item).collect());
            let panic = reader.await.expect_err("the reader panics").into_panic();
            assert_eq!(panic.downcast_ref(), Some(&"a bad item"));
        });
    }
}
