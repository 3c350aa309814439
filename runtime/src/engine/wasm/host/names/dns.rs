//! Asking for the addresses of a name: the monitor, where the container has networks of its own; name servers over UDP,
//! and over TCP where an answer is cut short, on the host's network.

use super::super::monitor::Monitor;
use super::Failure;
use crate::net::names::channel::NAMES;
use crate::net::names::message::{self, A, AAAA, Code, Query};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// More than a server sends over UDP that was not told of larger buffers.
const DATAGRAM: usize = 1500;

/// Who is asked.
#[derive(Debug, Clone)]
pub(super) enum Servers {
    /// It asks others for as long as it takes.
    Monitor(Arc<Monitor>),
    Addresses {
        servers: Vec<SocketAddr>,
        patience: Duration,
        attempts: u32,
    },
}

impl Default for Servers {
    fn default() -> Self {
        Self::Addresses { servers: Vec::new(), patience: Duration::ZERO, attempts: 0 }
    }
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Addresses(Vec<IpAddr>),
    NoSuchName,
    /// The server failed; another may not.
    Failed,
    Refused,
    Truncated,
}

/// The addresses of an absolute name, of both families.
pub(super) async fn addresses(name: &str, servers: &Servers) -> Result<Vec<IpAddr>, Failure> {
    if message::question(0, name, A).is_none() {
        return Err(Failure::Invalid);
    }
    match servers {
        Servers::Monitor(monitor) => {
            let (v4, v6) =
                tokio::join!(ask_monitor(monitor, name, A), ask_monitor(monitor, name, AAAA));
            let answers = [v4, v6].map(|answer| answer.unwrap_or(Answer::Failed));
            judge(answers).unwrap_or(Err(Failure::Unanswered))
        }
        Servers::Addresses { servers, patience, attempts } => {
            for _ in 0..*attempts {
                for server in servers {
                    let (v4, v6) = tokio::join!(
                        timeout(*patience, ask(name, A, *server)),
                        timeout(*patience, ask(name, AAAA, *server)),
                    );
                    let answers = [v4, v6].map(|answer| match answer {
                        Ok(Ok(answer)) => answer,
                        Ok(Err(_)) | Err(_) => Answer::Failed,
                    });
                    if let Some(result) = judge(answers) {
                        return result;
                    }
                }
            }
            Err(Failure::Unanswered)
        }
    }
}

/// What the answers for the two families come to; `None`: somebody else has to be asked.
fn judge(answers: [Answer; 2]) -> Option<Result<Vec<IpAddr>, Failure>> {
    let refused = answers.iter().all(|answer| *answer == Answer::Refused);
    let no_more = |answer: &Answer| match answer {
        Answer::NoSuchName => true,
        Answer::Addresses(addresses) => addresses.is_empty(),
        _ => false,
    };
    let unknown = answers.iter().all(no_more);
    let found: Vec<IpAddr> = answers
        .into_iter()
        .filter_map(|answer| if let Answer::Addresses(found) = answer { Some(found) } else { None })
        .flatten()
        .collect();
    match (found.is_empty(), unknown, refused) {
        (false, ..) => Some(Ok(found)),
        (_, true, _) => Some(Err(Failure::Unknown)),
        (.., true) => Some(Err(Failure::Denied)),
        _ => None,
    }
}

async fn ask_monitor(monitor: &Monitor, name: &str, kind: u16) -> io::Result<Answer> {
    // the mark stands where a DNS message has its id
    let question = |id| message::question(id, name, kind).unwrap_or_default().split_off(2);
    let mut answer = monitor.ask(NAMES, question).await?;
    answer.splice(0..0, [0, 0]);
    Ok(read(&answer))
}

async fn ask(name: &str, kind: u16, server: SocketAddr) -> io::Result<Answer> {
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    let id = u16::from_be_bytes(id);
    let question = message::question(id, name, kind).ok_or(io::ErrorKind::InvalidInput)?;
    let query = Query::parse(&question).map_err(|_| io::ErrorKind::InvalidInput)?;
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // a port of the kernel's choice for each question: with the id, 32 bits to guess
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut buffer = [0; DATAGRAM];
    loop {
        let n = socket.recv(&mut buffer).await?;
        // a datagram that is no answer to this question is somebody else's
        if !query.is_answered_by(&buffer[..n], id) {
            continue;
        }
        match read(&buffer[..n]) {
            Answer::Truncated => break,
            answer => return Ok(answer),
        }
    }
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&(question.len() as u16).to_be_bytes()).await?;
    stream.write_all(&question).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    if query.is_answered_by(&answer, id) { Ok(read(&answer)) } else { Ok(Answer::Failed) }
}

/// Reads a response.
fn read(answer: &[u8]) -> Answer {
    if message::is_truncated(answer) {
        return Answer::Truncated;
    }
    match message::code(answer) {
        Code::Done => message::addresses(answer).map_or(Answer::Failed, Answer::Addresses),
        Code::NoSuchName => Answer::NoSuchName,
        Code::Refused => Answer::Refused,
        Code::Malformed | Code::Failed | Code::NotImplemented => Answer::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::names::message::Data;

    fn response(question: &[u8], code: Code, octets: &[u8]) -> Vec<u8> {
        let address = |last: &u8| Data::Address(Ipv4Addr::new(10, 0, 0, *last).into());
        let data: Vec<Data> = octets.iter().map(address).collect();
        Query::parse(question).unwrap().answer(code, &data, false)
    }

    #[test]
    fn answers() {
        let question = message::question(0x1234, "db.example", A).unwrap();
        let two = vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let good = response(&question, Code::Done, &[1, 2]);
        assert_eq!(read(&good), Answer::Addresses(two.clone()));
        assert_eq!(read(&response(&question, Code::NoSuchName, &[])), Answer::NoSuchName);
        assert_eq!(read(&response(&question, Code::Failed, &[])), Answer::Failed);
        let mut cut = good.clone();
        cut[2] |= 2;
        assert_eq!(read(&cut), Answer::Truncated);
        let none = || Answer::Addresses(Vec::new());
        assert_eq!(judge([Answer::Addresses(two.clone()), Answer::Failed]), Some(Ok(two)));
        assert_eq!(judge([none(), Answer::NoSuchName]), Some(Err(Failure::Unknown)));
        assert_eq!(judge([Answer::Refused, Answer::Refused]), Some(Err(Failure::Denied)));
        assert_eq!(judge([none(), Answer::Failed]), None);
    }

    #[test]
    fn servers_that_do_not_answer() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let addresses_of = |servers: Vec<&UdpSocket>| Servers::Addresses {
                servers: servers.into_iter().map(|s| s.local_addr().unwrap()).collect(),
                patience: Duration::from_millis(50),
                attempts: 1,
            };
            let serve = async {
                let mut buffer = [0; 512];
                loop {
                    let (n, from) = server.recv_from(&mut buffer).await.unwrap();
                    server.send_to(b"noise", from).await.unwrap();
                    let good = response(&buffer[..n], Code::Done, &[1, 2]);
                    server.send_to(&good, from).await.unwrap();
                }
            };
            let both = addresses_of(vec![&silent, &server]);
            let found = tokio::select! {
                found = addresses("db.example", &both) => found,
                () = serve => unreachable!(),
            };
            assert_eq!(found.unwrap().len(), 4);
            let none = addresses("db.example", &addresses_of(vec![&silent])).await;
            assert_eq!(none, Err(Failure::Unanswered));
        });
    }
}
