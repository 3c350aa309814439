//! tcpc HOST PORT [TEXT]: resolves HOST with `wasi:sockets/ip-name-lookup`, connects, sends, prints the answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddress};
use wstd::io::{self, AsyncRead, AsyncWrite};
use wstd::net::TcpStream;

fn resolve(host: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    let lookup = resolve_addresses(&instance_network(), host)?;
    let pollable = lookup.subscribe();
    let mut addresses = Vec::new();
    loop {
        match lookup.resolve_next_address() {
            Ok(Some(IpAddress::Ipv4((a, b, c, d)))) => {
                addresses.push(Ipv4Addr::new(a, b, c, d).into());
            }
            Ok(Some(IpAddress::Ipv6((a, b, c, d, e, f, g, h)))) => {
                addresses.push(Ipv6Addr::new(a, b, c, d, e, f, g, h).into());
            }
            Ok(None) => return Ok(addresses),
            Err(ErrorCode::WouldBlock) => pollable.block(),
            Err(error) => return Err(error),
        }
    }
}

#[wstd::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, host, port, text @ ..] = arguments.as_slice() else {
        eprintln!("tcpc HOST PORT [TEXT]");
        std::process::exit(64)
    };
    let addresses = resolve(host).unwrap_or_else(|error| {
        eprintln!("tcpc: {host}: {error:?}");
        std::process::exit(2)
    });
    println!("{host} -> {addresses:?}");
    let Some(address) = addresses.first() else {
        eprintln!("tcpc: {host} has no address");
        std::process::exit(2)
    };
    let port = port.parse().unwrap_or(80);
    let mut stream = TcpStream::connect_addr(SocketAddr::new(*address, port)).await?;
    let text = text.first().map_or("ping\n", String::as_str);
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    let mut buffer = [0; 4096];
    let n = stream.read(&mut buffer).await?;
    println!("{}", String::from_utf8_lossy(&buffer[..n]).trim_end());
    Ok(())
}
