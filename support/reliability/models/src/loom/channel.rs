use std::collections::VecDeque;
use std::num::NonZeroUsize;

use futures_util::FutureExt;
use model::future::block_on;
use model::sync::Arc;
use model::thread::spawn;
use pipeline::bad;

macro_rules! models {
    ($name:ident of $channel:path) => {
        #[allow(dead_code)]
        pub mod $name {
            use super::*;
            use $channel::*;

            fn channel<T>(buffer: usize, chunk: usize) -> (ChunkSender<T>, ChunkReceiver<T>) {
                let limit = |items| NonZeroUsize::new(items).expect("limits start at 1");
                chunk_channel(Limits { buffer: limit(buffer), chunk: limit(chunk) })
            }

            fn rest<T>(mut receiver: ChunkReceiver<T>) -> VecDeque<T> {
                let mut items = VecDeque::new();
                while block_on(receiver.recv_all(&mut items)) {}
                items
            }

            pub fn order() {
                let (mut sender, receiver) = channel(2, 1);
                let sending = spawn(move || {
                    block_on(sender.send_all(&mut VecDeque::from([1, 2, 3]))).expect("it is read");
                    block_on(sender.send(4)).expect("it is read");
                });
                assert_eq!(rest(receiver), [1, 2, 3, 4]);
                sending.join().expect("it does not panic");
            }

            pub fn conserved() {
                let item = Arc::new(());
                let mut chunk = VecDeque::from(vec![item.clone(); 3]);
                let (mut sender, mut receiver) = channel(2, 1);
                let sending = spawn(move || {
                    let sent = block_on(sender.send_all(&mut chunk));
                    assert_eq!(sent.is_ok(), chunk.is_empty());
                    chunk.len()
                });
                let mut taken = VecDeque::new();
                block_on(receiver.recv_all(&mut taken));
                drop(receiver);
                let back = sending.join().expect("it does not panic");
                assert!(taken.len() + back <= 3);
                drop(taken);
                assert_eq!(Arc::strong_count(&item), 1, "an item is still somewhere");
            }

            pub fn closed() {
                let (mut sender, receiver) = channel(1, 1);
                let listening = spawn(move || {
                    let closed = sender.closed();
                    block_on(sender.send(1)).ok(); // it may have gone already
                    block_on(closed);
                    assert!(block_on(sender.send(2)).is_err());
                });
                let dropping = spawn(move || drop(receiver));
                listening.join().expect("it does not panic");
                dropping.join().expect("it does not panic");
            }

            pub fn given_up() {
                let (mut sender, receiver) = channel(1, 2);
                let sending = spawn(move || {
                    let mut chunk = VecDeque::from([1, 2, 3]);
                    let _given_up = sender.send_all(&mut chunk).now_or_never();
                    block_on(sender.send_all(&mut chunk)).expect("it is read");
                });
                assert_eq!(rest(receiver), [1, 2, 3]);
                sending.join().expect("it does not panic");
            }
        }
    };
}

models!(good of pipeline);
models!(room_is_not_told of bad::room_is_not_told);
models!(end_is_not_told of bad::end_is_not_told);
models!(looks_before_it_listens of bad::looks_before_it_listens);
