//! flood: how fast bytes go through a TCP connection. `serve ADDRESS`: swallows what comes, says how much it was;
//! `HOST:PORT MEGABYTES`: sends so many and prints megabytes a second.

use std::net::SocketAddr;
use std::time::Instant;
use wstd::io::{self, AsyncRead, AsyncWrite};
use wstd::iter::AsyncIterator;
use wstd::net::{TcpListener, TcpStream};

const CHUNK: usize = 256 << 10;

#[wstd::main]
async fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(address).await,
        [place, megabytes] => send(place, megabytes.parse().unwrap_or(1)).await,
        _ => std::process::exit(64),
    }
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut incoming = listener.incoming();
    while let Some(stream) = incoming.next().await {
        let mut stream = stream?;
        let mut buffer = vec![0; CHUNK];
        let mut all: u64 = 0;
        // the client says how much, and waits for the answer
        let mut wanted = [0; 8];
        stream.read(&mut wanted).await?;
        let wanted = u64::from_le_bytes(wanted);
        while all < wanted {
            match stream.read(&mut buffer).await? {
                0 => break,
                count => all += count as u64,
            }
        }
        stream.write_all(&all.to_le_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

async fn send(place: &str, megabytes: u64) -> io::Result<()> {
    let (host, port) = place.rsplit_once(':').unwrap_or((place, "7000"));
    let found = lookup::resolve(host).unwrap_or_default();
    let Some(ip) = found.first() else {
        eprintln!("flood: {host} has no address");
        std::process::exit(2)
    };
    let address = SocketAddr::new(*ip, port.parse().unwrap_or(7000));
    let mut stream = TcpStream::connect_addr(address).await?;
    let wanted = megabytes << 20;
    stream.write_all(&wanted.to_le_bytes()).await?;
    stream.flush().await?;
    let chunk = vec![0x5a; CHUNK];
    let begun = Instant::now();
    let mut left = wanted;
    while left > 0 {
        let count = left.min(CHUNK as u64) as usize;
        stream.write_all(&chunk[..count]).await?;
        left -= count as u64;
    }
    stream.flush().await?;
    let mut answer = [0; 8];
    stream.read(&mut answer).await?;
    assert_eq!(u64::from_le_bytes(answer), wanted);
    println!("{:.0}", megabytes as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}
