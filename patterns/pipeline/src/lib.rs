#![doc = include_str!("../README.md")]

mod numbers;
mod receiver;
mod stages;

pub use numbers::{Item, ItemError};
pub use receiver::Receiver;
pub use stages::{
    filter, filter_map, from_stream, generate, generate_blocking, map, par_map, stage,
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

/// The fourth stage: passes on even numbers and all errors.
pub fn filter_even(input: Receiver<Item>) -> Receiver<Item> {
    filter(input, |item| item.as_ref().map_or(true, |number| number % 2 == 0))
}
