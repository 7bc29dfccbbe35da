use std::collections::VecDeque;

/// Puts results, which workers finish in any order, back into the order in which the work was given
/// out.
///
/// It holds at most as many items as were given out and are not finished. The caller bounds that
/// (see [`WINDOW`](super::run)).
#[derive(Debug)]
pub(crate) struct InOrder<T> {
    /// The number of the first item in `waiting`.
    next: u64,
    waiting: VecDeque<Option<T>>,
}

impl<T> InOrder<T> {
    pub(crate) const fn new() -> Self {
        Self { next: 0, waiting: VecDeque::new() }
    }

    /// Takes the item with this number; each comes once.
    pub(crate) fn put(&mut self, number: u64, item: T) {
        let at = (number - self.next) as usize;
        if at >= self.waiting.len() {
            self.waiting.resize_with(at + 1, || None);
        }
        self.waiting[at] = Some(item);
    }

    /// The next item and its number, once it is there.
    pub(crate) fn next(&mut self) -> Option<(u64, T)> {
        let item = self.waiting.front_mut()?.take()?;
        self.waiting.pop_front();
        self.next += 1;
        Some((self.next - 1, item))
    }

    /// What is left, in order, skipping what was never finished.
    pub(crate) fn rest(self) -> impl Iterator<Item = T> {
        self.waiting.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_waits_for_those_before_it() {
        let mut order = InOrder::new();
        order.put(1, 'b');
        assert_eq!(order.next(), None);
        order.put(3, 'd');
        order.put(0, 'a');
        assert_eq!(order.next(), Some((0, 'a')));
        assert_eq!(order.next(), Some((1, 'b')));
        assert_eq!(order.next(), None);
        order.put(4, 'e');
        assert_eq!(order.rest().collect::<String>(), "de");
    }
}
