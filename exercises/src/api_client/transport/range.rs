use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// The file that a part of a body is of. A rest belongs to it only if it is of the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api_client) struct Version {
    /// The value for `If-Range` (RFC 9110 §13.1.5): a strong `ETag`, or else the date.
    pub(in crate::api_client) validator: HeaderValue,
    /// The bytes of the whole body.
    pub(in crate::api_client) total: u64,
}

/// The body of a successful answer, to a client that has asked for what follows its own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api_client) enum Piece {
    /// The whole body, with its length if the host names that.
    Whole(Option<u64>),
    /// The bytes that follow, up to `end`. They may end before the total: a host may send less than
    /// it was asked for.
    Next { end: u64, total: u64 },
    /// Other bytes.
    Other,
}

impl Piece {
    /// What a response brings. `had` is the number of bytes that are there already, if the rest was
    /// asked for, and what they are of.
    pub(in crate::api_client) fn of<B>(
        response: &Response<B>,
        had: Option<(u64, &Version)>,
    ) -> Self {
        let headers = response.headers();
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Self::Whole(length(headers));
        }
        match (Range::read(headers), had) {
            (None, None) => Self::Whole(length(headers)),
            (Some(range), Some((had, version))) => {
                let total = range.total.unwrap_or(version.total);
                let same = total == version.total && range.end <= total && version.fits(headers);
                let next = Self::Next { end: range.end, total };
                if same && range.start == had { next } else { Self::Other }
            }
            (Some(Range { start: 0, end, total }), None) => {
                total.map_or(Self::Whole(length(headers)), |total| Self::Next { end, total })
            }
            _ => Self::Other,
        }
    }

    /// The length of the whole body, if it is known.
    pub(in crate::api_client) fn total(self) -> Option<u64> {
        match self {
            Self::Whole(length) => length,
            Self::Next { total, .. } => Some(total),
            Self::Other => None,
        }
    }
}

impl Version {
    /// `None` if the rest of the body cannot be asked for.
    pub(in crate::api_client) fn of(headers: &HeaderMap, total: Option<u64>) -> Option<Self> {
        if text(headers, &ACCEPT_RANGES).is_some_and(|units| units.eq_ignore_ascii_case("none")) {
            return None;
        }
        let strong = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
        let validator = strong.or_else(|| headers.get(LAST_MODIFIED)).cloned()?;
        Some(Self { validator, total: total? })
    }

    /// Whether these headers name no other version. A host may ignore `If-Range`.
    fn fits(&self, headers: &HeaderMap) -> bool {
        let tag = self.validator.as_bytes().starts_with(b"\"");
        let named = headers.get(if tag { ETAG } else { LAST_MODIFIED });
        named.is_none_or(|named| named == self.validator)
    }

    /// Reads what [`Version::written`] has written.
    pub(in crate::api_client) fn read(bytes: &[u8]) -> Option<Self> {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let total = number(str::from_utf8(&bytes[..space]).ok()?)?;
        Some(Self { validator: HeaderValue::from_bytes(&bytes[space + 1..]).ok()?, total })
    }

    /// The total and the validator, for a later run.
    pub(in crate::api_client) fn written(&self) -> Vec<u8> {
        [format!("{} ", self.total).as_bytes(), self.validator.as_bytes()].concat()
    }
}

/// The only range of a partial answer: from byte `start` up to `end`, which is not in it.
struct Range {
    start: u64,
    end: u64,
    total: Option<u64>,
}

impl Range {
    /// `None` if there are several, or if it makes no sense (RFC 9110 §14.4).
    fn read(headers: &HeaderMap) -> Option<Self> {
        let kind = text(headers, &CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let (unit, range) = text(headers, &CONTENT_RANGE)?.split_once(' ')?;
        if kind.starts_with("multipart/byteranges") || !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (range, total) = range.split_once('/')?;
        let (start, last) = range.split_once('-')?;
        let total = if total.trim() == "*" { None } else { Some(number(total)?) };
        let (start, end) = (number(start)?, number(last)?.checked_add(1)?);
        let sensible = start < end && total.is_none_or(|total| end <= total);
        sensible.then_some(Self { start, end, total })
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_LENGTH).and_then(number)
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> Version {
        Version { validator: HeaderValue::from_static("\"v1\""), total: 30 }
    }

    /// A partial answer with these headers, to a client that has 20 bytes of 30.
    fn rest(headers: &[(&'static str, &str)]) -> Piece {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        for (name, value) in headers {
            response.headers_mut().append(*name, value.parse().expect("a header value"));
        }
        Piece::of(&response, Some((20, &version())))
    }

    #[test]
    fn only_the_bytes_that_follow_continue_a_body() {
        let next = |end| Piece::Next { end, total: 30 };
        for (range, piece) in [
            ("bytes 20-29/30", next(30)),
            ("bytes 20-29/*", next(30)),
            ("Bytes 20-20/30", next(21)),
            ("bytes 16-29/30", Piece::Other),
            ("bytes 21-29/30", Piece::Other),
            ("bytes 20-29/31", Piece::Other),
            ("bytes 20-30/30", Piece::Other),
            ("bytes 20-30/*", Piece::Other),
            ("bytes 20-19/30", Piece::Other),
            ("bytes 20-18446744073709551615/*", Piece::Other),
            ("bytes */30", Piece::Other),
            ("bytes 20-29", Piece::Other),
            ("lines 20-29/30", Piece::Other),
        ] {
            assert_eq!(rest(&[("content-range", range)]), piece, "{range}");
        }
        let fine = ("content-range", "bytes 20-29/30");
        assert_eq!(rest(&[fine, ("etag", "\"v1\"")]), next(30));
        assert_eq!(rest(&[fine, ("etag", "\"v2\"")]), Piece::Other);
        assert_eq!(rest(&[fine, ("content-type", "Multipart/Byteranges; a=b")]), Piece::Other);
        assert_eq!(rest(&[]), Piece::Other);
    }

    #[test]
    fn a_part_that_nobody_asked_for_is_whole_only_with_all_of_its_bytes() {
        let unasked = |range: &str| {
            let response = Response::builder().status(206).header("content-range", range);
            Piece::of(&response.body(()).expect("an answer"), None)
        };
        assert_eq!(unasked("bytes 0-9/30"), Piece::Next { end: 10, total: 30 });
        assert_eq!(unasked("bytes 5-9/30"), Piece::Other);
        assert_eq!(unasked("bytes 0-9/*"), Piece::Whole(None));
    }

    #[test]
    fn a_version_is_read_as_it_was_written() {
        for validator in ["\"v1\"", "Wed, 01 Jan 2025 00:00:00 GMT"] {
            let version = Version { validator: validator.parse().expect("a value"), total: 30 };
            assert_eq!(Version::read(&version.written()), Some(version));
            assert_eq!(Version::read(validator.as_bytes()), None);
        }
    }
}
