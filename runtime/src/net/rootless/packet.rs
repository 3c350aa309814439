//! What the keeper and its users send each other: packets of a little text, with descriptors.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest text, and then some.
const LONGEST: usize = 64;
/// The most descriptors.
const DESCRIPTORS: usize = 3;

#[derive(Debug)]
pub struct Packet {
    pub text: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
}

/// Sends a text, which must not be empty: that would look like the end of the connection.
pub fn send(socket: impl AsFd, text: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    let fits =
        descriptors.is_empty() || attached.push(SendAncillaryMessage::ScmRights(descriptors));
    if !fits {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    sendmsg(socket, &[IoSlice::new(text)], &mut attached, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// `None`: the other end has ended.
pub fn receive(socket: impl AsFd) -> io::Result<Option<Packet>> {
    let mut text = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut attached = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let length = match recvmsg(socket, &mut parts, &mut attached, RecvFlags::CMSG_CLOEXEC) {
        Ok(received) => received.bytes,
        Err(Errno::CONNRESET) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut descriptors = Vec::new();
    for message in attached.drain() {
        if let RecvAncillaryMessage::ScmRights(all) = message {
            descriptors.extend(all);
        }
    }
    Ok((length > 0).then(|| Packet { text: text[..length].to_vec(), descriptors }))
}
