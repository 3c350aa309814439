//! What the fuzz targets reach and nobody else does. Compiled only with `--cfg fuzzing`.

use crate::monitor::control::{self, Kind};
use crate::net::names::message::{self, Code, Data, Query, Unreadable};
use crate::net::names::servers::Configuration;
use crate::net::netlink;
use std::net::Ipv4Addr;

/// A datagram to the name server of a container, or from the server that it asked.
pub fn dns(bytes: &[u8]) {
    match Query::parse(bytes) {
        Ok(query) => {
            let answer =
                query.answer(Code::Done, &[Data::Address(Ipv4Addr::LOCALHOST.into())], false);
            assert!(answer.len() <= 4096 && answer[2] & 0x80 != 0);
        }
        // an answer to an answer could go on for ever
        Err(Unreadable::Answer(answer)) => {
            assert!(answer[2] & 0x80 != 0 && bytes[2] & 0x80 == 0);
        }
        Err(Unreadable::Ignore) => {}
    }
    let found = message::addresses(bytes).unwrap_or_default();
    assert!(found.len() * 14 <= bytes.len());
    message::code(bytes);
    message::is_truncated(bytes);
}

/// What a client sends to a monitor, or a monitor to its client.
pub fn control(bytes: &[u8]) {
    let mut lines = bytes.to_vec();
    while let Ok(Some(request)) = control::take_line::<control::Request>(&mut lines) {
        let mut again = Vec::new();
        control::put_line(&mut again, &request);
        assert_eq!(control::take_line(&mut again).unwrap(), Some(request));
    }
    let mut answers = bytes.to_vec();
    while let Ok(Some(_)) = control::take_line::<control::Response>(&mut answers) {}
    let mut frames = bytes.to_vec();
    let mut again = Vec::new();
    while let Ok(Some((kind, content))) = control::take_frame(&mut frames) {
        assert!(content.len() <= bytes.len() && kind as u8 <= Kind::Exit as u8);
        control::put_frame(&mut again, kind, &content);
    }
    assert!(bytes.starts_with(&again));
}

/// An answer of the kernel.
pub fn netlink(bytes: &[u8]) {
    netlink::exercise(bytes);
}

/// A `resolv.conf`, and a name that is looked up by it.
pub fn resolv_conf(text: &str, name: &str) {
    let read = Configuration::parse(text);
    assert!(!read.servers.is_empty() && read.attempts <= 100);
    let candidates = read.candidates(name);
    assert!(candidates.len() <= read.search.len() + 1);
}
