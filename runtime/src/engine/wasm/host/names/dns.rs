//! Asking name servers (RFC 1035), for addresses only: A and AAAA over UDP, over TCP where the answer is cut short.

use super::Failure;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const A: u16 = 1;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;
/// The longest name (RFC 1035, 2.3.4), as text.
const LONGEST: usize = 253;
/// More than a server sends over UDP that was not told of larger buffers.
const DATAGRAM: usize = 1500;

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Addresses(Vec<IpAddr>),
    NoSuchName,
    /// The server failed, or refuses; another may not.
    Failed,
    Truncated,
}

/// The addresses of an absolute name, of both families.
pub(super) async fn addresses(
    name: &str,
    servers: &[SocketAddr],
    patience: Duration,
    attempts: u32,
) -> Result<Vec<IpAddr>, Failure> {
    if name.len() > LONGEST || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err(Failure::Invalid);
    }
    for _ in 0..attempts {
        for server in servers {
            let (v4, v6) = tokio::join!(
                timeout(patience, ask(name, A, *server)),
                timeout(patience, ask(name, AAAA, *server)),
            );
            let mut found = Vec::new();
            let mut unknown = 0;
            let mut empty = 0;
            for answer in [v4, v6] {
                match answer {
                    Ok(Ok(Answer::Addresses(addresses))) if addresses.is_empty() => empty += 1,
                    Ok(Ok(Answer::Addresses(addresses))) => found.extend(addresses),
                    Ok(Ok(Answer::NoSuchName)) => unknown += 1,
                    Ok(Ok(Answer::Failed | Answer::Truncated) | Err(_)) | Err(_) => {}
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
            if unknown + empty == 2 {
                return Err(Failure::Unknown);
            }
        }
    }
    Err(Failure::Unanswered)
}

async fn ask(name: &str, kind: u16, server: SocketAddr) -> io::Result<Answer> {
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    let query = query(u16::from_be_bytes(id), name, kind);
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // a port of the kernel's choice for each question: with the id, 32 bits to guess
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query).await?;
    let mut buffer = [0; DATAGRAM];
    loop {
        let n = socket.recv(&mut buffer).await?;
        // a datagram that is no answer to this question is somebody else's
        match parse(&buffer[..n], &query) {
            Some(Answer::Truncated) => break,
            Some(answer) => return Ok(answer),
            None => {}
        }
    }
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&(query.len() as u16).to_be_bytes()).await?;
    stream.write_all(&query).await?;
    let mut message = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut message).await?;
    parse(&message, &query).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A question with recursion desired.
fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = Vec::with_capacity(18 + name.len());
    for field in [id, 0x0100, 1, 0, 0, 0] {
        message.extend(field.to_be_bytes());
    }
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    message
}

/// Reads a response; `None` if it is not one to this query.
fn parse(message: &[u8], query: &[u8]) -> Option<Answer> {
    let field = |i: usize| Some(u16::from_be_bytes([*message.get(i)?, *message.get(i + 1)?]));
    let flags = field(2)?;
    let is_response = flags & 0x8000 != 0;
    let same_question = message.get(12..query.len())?.eq_ignore_ascii_case(&query[12..]);
    if message[..2] != query[..2] || !is_response || field(4)? != 1 || !same_question {
        return None;
    }
    if flags & 0x0200 != 0 {
        return Some(Answer::Truncated);
    }
    match flags & 0x000f {
        0 => {}
        3 => return Some(Answer::NoSuchName),
        _ => return Some(Answer::Failed),
    }
    let mut addresses = Vec::new();
    let mut at = query.len();
    for _ in 0..field(6)? {
        // the servers that are asked resolve aliases themselves, so any address in the answer is the name's
        at = skip_name(message, at)?;
        let (kind, class, length) = (field(at)?, field(at + 2)?, usize::from(field(at + 8)?));
        let data = message.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        match (kind, class) {
            (A, INTERNET) => addresses.push(<[u8; 4]>::try_from(data).ok()?.into()),
            (AAAA, INTERNET) => addresses.push(<[u8; 16]>::try_from(data).ok()?.into()),
            _ => {}
        }
    }
    Some(Answer::Addresses(addresses))
}

/// Past a name, which may end in a pointer (RFC 1035, 4.1.4).
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response with an alias and two addresses.
    fn response(query: &[u8], flags: u16) -> Vec<u8> {
        let mut message = query.to_vec();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&3u16.to_be_bytes());
        let record = |message: &mut Vec<u8>, kind: u16, data: &[u8]| {
            message.extend([0xc0, 12]);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 60]);
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(data);
        };
        record(&mut message, 5, b"\x01x\xc0\x0c");
        record(&mut message, A, &[10, 0, 0, 1]);
        record(&mut message, A, &[10, 0, 0, 2]);
        message
    }

    #[test]
    fn answers() {
        let query = query(0x1234, "db.example", A);
        let good = response(&query, 0x8180);
        let two = vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        assert_eq!(parse(&good, &query), Some(Answer::Addresses(two)));
        assert_eq!(parse(&response(&query, 0x8183), &query), Some(Answer::NoSuchName));
        assert_eq!(parse(&response(&query, 0x8182), &query), Some(Answer::Failed));
        assert_eq!(parse(&response(&query, 0x8380), &query), Some(Answer::Truncated));
        assert_eq!(parse(&query, &query), None);
        let mut other = good.clone();
        other[0] ^= 1;
        assert_eq!(parse(&other, &query), None);
        // never a panic, wherever it ends
        for end in 0..good.len() {
            assert!(!matches!(parse(&good[..end], &query), Some(Answer::Addresses(_))));
        }
    }

    #[test]
    fn servers_that_do_not_answer() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let servers = [silent.local_addr().unwrap(), server.local_addr().unwrap()];
            let serve = async {
                let mut buffer = [0; 512];
                loop {
                    let (n, from) = server.recv_from(&mut buffer).await.unwrap();
                    server.send_to(b"noise", from).await.unwrap();
                    server.send_to(&response(&buffer[..n], 0x8180), from).await.unwrap();
                }
            };
            let short = Duration::from_millis(50);
            let found = tokio::select! {
                found = addresses("db.example", &servers, short, 1) => found,
                () = serve => unreachable!(),
            };
            assert_eq!(found.unwrap().len(), 4);
            let none = addresses("db.example", &servers[..1], short, 1).await;
            assert_eq!(none, Err(Failure::Unanswered));
        });
    }
}
