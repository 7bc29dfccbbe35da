//! The order of the keys: in most texts it is the same in every line, so the next key is foreseen.
//! Comparing a few bytes is faster than finding the key's end and looking it up.

use std::ptr;

use super::value::Node;

/// Most keys of which the order is remembered. More are read, but not foreseen.
const KEYS: usize = 32;

/// How many fields in a row a line may lack of those that are foreseen.
const LACKING: usize = 4;

/// After this number of unforeseen keys the order counts as random, and none is foreseen any more.
const UNFORESEEN: usize = 64;

/// The keys of the lines so far, in their order.
#[derive(Default)]
pub(super) struct Keys<'f, 'a> {
    list: Vec<Key<'f, 'a>>,
    /// The one that should come next.
    next: usize,
    unforeseen: usize,
}

/// A key as it stands in the text, from its quote up to the colon.
struct Key<'f, 'a> {
    text: &'a [u8],
    /// Its first bytes, and which of them there are.
    head: u128,
    mask: u128,
    /// The object that it is a key of.
    parent: Option<&'f Node>,
    /// What is wanted of its value.
    child: Option<&'f Node>,
}

impl<'f, 'a> Keys<'f, 'a> {
    /// A line begins.
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    /// If the foreseen key comes first in the text ahead, as a key of this object: its length, and
    /// what is wanted of its value.
    #[inline]
    pub(super) fn next(
        &mut self,
        ahead: &[u8],
        parent: Option<&'f Node>,
    ) -> Option<(usize, Option<&'f Node>)> {
        let key = self.list.get(self.next)?;
        (key.is_first(ahead) && is_same(key.parent, parent)).then(|| {
            self.next += 1;
            (key.text.len(), key.child)
        })
    }

    /// Remembers a key that was not foreseen.
    pub(super) fn read(
        &mut self,
        text: &'a [u8],
        parent: Option<&'f Node>,
        child: Option<&'f Node>,
    ) {
        if self.unforeseen == UNFORESEEN {
            return;
        }
        let mut foreseen = self.list.iter().skip(self.next).take(LACKING + 1);
        if let Some(more) = foreseen.position(|key| key.text == text && is_same(key.parent, parent))
        {
            self.next += more + 1;
        } else if self.next < KEYS {
            self.list.truncate(KEYS - 1);
            self.list.insert(self.next, Key::new(text, parent, child));
            self.next += 1;
            self.unforeseen += 1;
            if self.unforeseen == UNFORESEEN {
                self.list.clear();
            }
        }
    }
}

impl<'f, 'a> Key<'f, 'a> {
    fn new(text: &'a [u8], parent: Option<&'f Node>, child: Option<&'f Node>) -> Self {
        let mut head = [0; size_of::<u128>()];
        let length = text.len().min(head.len());
        head[..length].copy_from_slice(&text[..length]);
        let mask = u128::MAX >> (u128::BITS - 8 * length as u32);
        Self { text, head: u128::from_le_bytes(head), mask, parent, child }
    }

    /// Whether the text ahead begins with it. At the very end of a text it says no.
    #[inline]
    fn is_first(&self, ahead: &[u8]) -> bool {
        let Some(head) = ahead.first_chunk() else { return false };
        (u128::from_le_bytes(*head) ^ self.head) & self.mask == 0
            && (self.text.len() <= head.len() || ahead.starts_with(self.text))
    }
}

fn is_same(one: Option<&Node>, other: Option<&Node>) -> bool {
    one.map(ptr::from_ref) == other.map(ptr::from_ref)
}

#[cfg(test)]
mod tests {
    use crate::data_pipeline::fuzz;

    /// With fields that are missing, new, in another order or object, and keys that begin alike.
    #[test]
    fn only_the_same_key_of_the_same_object_is_taken_for_the_foreseen_one() {
        let text = r#"{"a":{"b":1,"a_long_name_for_a_key":2},"b":3,"c":4}
{"a":{"b":5,"a_long_name_for_a_kex":6},"b":7,"c":8}
{"a":9,"b":10,"a_long_name_for_a_key":11}
{"a":{"b":12},"c":13,"b":14}
{"b":15,"a":{"x":{"b":16}},"x":{"b":17},"b":18}
{"a" :{"b":19},"\u0062":20,"c"  :  21}
{"a":{"b":22},"b":23,}
{"a":{"b":24},"b":25"#;
        let fields = "a,b,c,a.b,a.x.b,x.b,a.a_long_name_for_a_key,a_long_name_for_a_key";
        fuzz::fields(format!("{fields}\n{text}").as_bytes());
        for (at, _) in text.match_indices('\n') {
            fuzz::fields(format!("{fields}{}\n{}", &text[at..], &text[..at]).as_bytes());
        }
    }
}
