//! Compresses messages to NATS, because the server's work and its store grow with the bytes.

use std::{fmt, io};

use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// A message is no longer than this, unless a single line is.
pub(crate) const MESSAGE: usize = 256 * 1024;

/// The header that marks a compressed message, named as in HTTP.
const HEADER: &str = "Content-Encoding";
const ZSTD: &str = "zstd";

/// The fastest of zstd's regular levels: it shrinks lines of JSON to a tenth.
const LEVEL: i32 = 1;

/// Packs messages; keeps them as they are if it has no compressor.
pub(crate) struct Packer(Option<Compressor<'static>>);

impl Packer {
    /// Takes `?compression=zstd` off the end of a sink's name.
    pub(crate) fn of(name: &str) -> Result<(&str, Self), String> {
        match name.split_once('?') {
            None => Ok((name, Self(None))),
            Some((place, "compression=zstd")) => {
                let compressor = compressor().map_err(|err| format!("cannot compress: {err}"))?;
                Ok((place, Self(Some(compressor))))
            }
            Some((_, other)) => Err(format!(
                "{name}: unknown option ?{other} after the stream; expected ?compression=zstd"
            )),
        }
    }

    /// A message as it is sent, and its headers. One longer than [`MESSAGE`] stays uncompressed,
    /// because receivers do not unpack more than that.
    pub(crate) fn pack(&mut self, message: Bytes) -> io::Result<(HeaderMap, Bytes)> {
        let mut headers = HeaderMap::new();
        match &mut self.0 {
            Some(compressor) if message.len() <= MESSAGE => {
                headers.insert(HEADER, ZSTD);
                let mut packed = compressor.compress(&message)?;
                packed.shrink_to_fit(); // it has room for the worst case
                Ok((headers, packed.into()))
            }
            _ => Ok((headers, message)),
        }
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Packer").field(&self.0.as_ref().map(|_| ZSTD)).finish()
    }
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

/// Unpacks messages, all with the same memory.
pub(crate) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(crate) fn new() -> Result<Self, String> {
        Decompressor::new().map(Self).map_err(|err| format!("cannot unpack messages: {err}"))
    }

    /// Writes the message to `to`, uncompressed. Whatever length the message claims, `to` gets no
    /// more than [`MESSAGE`] bytes.
    pub(crate) fn unpack(
        &mut self,
        message: &async_nats::Message,
        to: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        to.clear();
        let headers = message.headers.iter().flat_map(HeaderMap::iter);
        let encoding = headers.filter(|(name, _)| name.to_string().eq_ignore_ascii_case(HEADER));
        match encoding.flat_map(|(_, values)| values).map(HeaderValue::as_str).next() {
            None => {
                to.extend_from_slice(&message.payload);
                Ok(())
            }
            Some(name) if name.eq_ignore_ascii_case(ZSTD) => {
                to.reserve(MESSAGE);
                let unpacked = self.0.decompress_to_buffer(&message.payload, to);
                let fits = unpacked.is_ok_and(|length| length <= MESSAGE); // the buffer may be larger
                if fits { Ok(()) } else { Err("not zstd, or longer than 256 KiB") }
            }
            Some(_) => Err("a Content-Encoding other than zstd"),
        }
    }
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unpacker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use async_nats::HeaderName;

    use super::*;

    fn packer(query: &str) -> Packer {
        Packer::of(&format!("nats://h/s{query}")).unwrap().1
    }

    fn unpacked(headers: HeaderMap, payload: impl Into<Bytes>) -> Result<Vec<u8>, &'static str> {
        let payload = payload.into();
        let message = async_nats::Message {
            subject: "s".into(),
            length: payload.len(),
            payload,
            reply: None,
            headers: Some(headers),
            status: None,
            description: None,
        };
        let mut to = Vec::with_capacity(2 * MESSAGE); // as it may come from the pool
        to.extend_from_slice(b"before");
        Unpacker::new().unwrap().unpack(&message, &mut to).map(|()| to)
    }

    #[test]
    fn packing_and_unpacking_gives_the_same() {
        for (query, length) in [("?compression=zstd", 0), ("?compression=zstd", MESSAGE), ("", 9)] {
            let message = Bytes::from(b"{\"a\":1}\n".repeat(MESSAGE / 8)[..length].to_vec());
            let (headers, payload) = packer(query).pack(message.clone()).unwrap();
            assert!(length < MESSAGE || payload.len() < length / 10);
            assert_eq!(unpacked(headers, payload).unwrap(), message);
        }
    }

    #[test]
    fn one_long_line_stays_as_it_is() {
        let line = Bytes::from(vec![b'x'; MESSAGE + 1]);
        let packed = packer("?compression=zstd").pack(line.clone()).unwrap();
        assert_eq!(packed, (HeaderMap::new(), line));
    }

    #[test]
    fn a_message_that_cannot_be_unpacked_or_is_too_long_is_an_error() {
        let message = Bytes::from_static(b"{}\n");
        let (headers, payload) = packer("?compression=zstd").pack(message).unwrap();
        let mut wrong = payload.to_vec();
        *wrong.last_mut().unwrap() ^= 1; // in the checksum
        let bomb = |length| zstd::bulk::compress(&vec![b'\n'; length], LEVEL).unwrap();
        let (bomb, long) = (bomb(100 * MESSAGE), bomb(MESSAGE + 1));
        let torn = payload[..payload.len() - 1].to_vec();
        for broken in [b"no frame".to_vec(), torn, wrong, bomb, long] {
            let outcome = unpacked(headers.clone(), broken);
            assert!(outcome.is_err(), "{outcome:?}");
        }
        for (name, value, is_known) in
            [("content-encoding", "ZSTD", true), ("Content-Encoding", "gzip", false)]
        {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_str(name).unwrap(), value.into())]);
            assert_eq!(unpacked(headers, payload.clone()).is_ok(), is_known, "{value}");
        }
    }

    #[test]
    fn a_sink_says_how_its_messages_are_compressed() {
        let (place, packer) = Packer::of("nats://h/s").unwrap();
        assert!(place == "nats://h/s" && packer.0.is_none());
        let (place, packer) = Packer::of("nats://h/s?compression=zstd").unwrap();
        assert!(place == "nats://h/s" && packer.0.is_some());
        assert!(Packer::of("nats://h/s?compression=zip").err().unwrap().contains("=zip"));
    }
}
