#![doc = include_str!("../README.md")]

mod chunks;
mod numbers;
mod stages;
mod sync;

pub use chunks::{ChunkReceiver, ChunkSender, Closed, Limits, chunk_channel};
pub use numbers::{Item, ItemError, Lines};
pub use stages::{
    Receiver, filter, filter_map, generate, generate_blocking, map, par_map, pause, stage,
};

/// The second stage of the chapter's pipeline: squares each number.
pub fn square(input: Receiver<Item>) -> Receiver<Item> {
    map(input, |item| {
        let number = item?;
        number.checked_mul(number).ok_or_else(|| ItemError::Square(number).into())
    })
}

/// The third stage: adds `constant` to each number.
pub fn add_constant(input: Receiver<Item>, constant: i64) -> Receiver<Item> {
    map(input, move |item| {
        let number = item?;
        number.checked_add(constant).ok_or_else(|| ItemError::Sum(number, constant).into())
    })
}

/// The fourth stage: lets even numbers pass, and every error.
pub fn filter_even(input: Receiver<Item>) -> Receiver<Item> {
    filter(input, |item| item.as_ref().map_or(true, |number| number % 2 == 0))
}
