//! redis HOST[:PORT] COMMAND [ARGUMENT...]: sends a command to a Redis server, found by name, and prints its answer
//! (RESP, the Redis serialization protocol, version 2).

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use wstd::io::{self, AsyncRead, AsyncWrite};
use wstd::net::TcpStream;

#[wstd::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, command @ ..] = arguments.as_slice() else {
        eprintln!("redis HOST[:PORT] COMMAND [ARGUMENT...]");
        std::process::exit(64)
    };
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "6379"));
    let found = lookup::resolve(name).unwrap_or_default();
    let Some(ip) = found.first() else {
        eprintln!("redis: {name} has no address");
        std::process::exit(2)
    };
    let address = SocketAddr::new(*ip, port.parse().unwrap_or(6379));
    let mut server = Server { stream: TcpStream::connect_addr(address).await?, rest: Vec::new() };
    let mut message = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        message.extend(format!("${}\r\n", word.len()).bytes());
        message.extend(word.bytes());
        message.extend(b"\r\n");
    }
    server.stream.write_all(&message).await?;
    server.stream.flush().await?;
    let answer = server.answer().await?;
    println!("{}", answer.join("\n"));
    Ok(())
}

struct Server {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Server {
    /// One answer, a line for each element of an array.
    fn answer(&mut self) -> Pin<Box<dyn Future<Output = io::Result<Vec<String>>> + '_>> {
        Box::pin(async {
            let line = self.line().await?;
            let (kind, text) = line.split_at(1.min(line.len()));
            let length = text.parse::<usize>().ok();
            match (kind, length) {
                ("-", _) => {
                    eprintln!("redis: {text}");
                    std::process::exit(1)
                }
                ("$", None) => Ok(vec!["(nil)".into()]),
                ("$", Some(length)) => {
                    let bytes = self.take(length + 2).await?;
                    Ok(vec![String::from_utf8_lossy(&bytes[..length]).into_owned()])
                }
                ("*", Some(length)) => {
                    let mut all = Vec::new();
                    for _ in 0..length {
                        all.extend(self.answer().await?);
                    }
                    Ok(all)
                }
                _ => Ok(vec![text.into()]),
            }
        })
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|bytes| bytes == b"\r\n") {
                let line = self.take(end + 2).await?;
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.rest.len() < count {
            self.more().await?;
        }
        Ok(self.rest.drain(..count).collect())
    }

    async fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer).await? {
            0 => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            count => {
                self.rest.extend(&buffer[..count]);
                Ok(())
            }
        }
    }
}
