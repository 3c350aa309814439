//! tcpc HOST PORT [TEXT]: resolves HOST with `wasi:sockets/ip-name-lookup`, connects, sends, prints the answer: what comes
//! at once, or all of it if it is one of HTTP. From where to where goes to standard error.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wasip2::io::streams::StreamError;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

fn place(ip: IpAddr, port: u16) -> (IpSocketAddress, IpAddressFamily) {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            let place = Ipv4SocketAddress { port, address: (a, b, c, d) };
            (IpSocketAddress::Ipv4(place), IpAddressFamily::Ipv4)
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h] = ip.segments();
            let address = (a, b, c, d, e, f, g, h);
            let place = Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 };
            (IpSocketAddress::Ipv6(place), IpAddressFamily::Ipv6)
        }
    }
}

fn shown(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) }) => {
            (Ipv4Addr::new(a, b, c, d), port).into()
        }
        IpSocketAddress::Ipv6(Ipv6SocketAddress { port, address, .. }) => {
            let (a, b, c, d, e, f, g, h) = address;
            (Ipv6Addr::new(a, b, c, d, e, f, g, h), port).into()
        }
    }
}

fn exchange(ip: IpAddr, port: u16, text: &str) -> Result<String, ErrorCode> {
    let (place, family) = place(ip, port);
    let socket = create_tcp_socket(family)?;
    socket.start_connect(&instance_network(), place)?;
    let pollable = socket.subscribe();
    let (input, output) = loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => pollable.block(),
            connected => break connected?,
        }
    };
    eprintln!("{} to {}", shown(socket.local_address()?), shown(socket.remote_address()?));
    output.blocking_write_and_flush(text.as_bytes()).map_err(|_| ErrorCode::ConnectionReset)?;
    let mut answer = Vec::new();
    loop {
        match input.blocking_read(4096) {
            Ok(bytes) => answer.extend(bytes),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(ErrorCode::ConnectionReset),
        }
        if !answer.is_empty() && !answer.starts_with(b"HTTP/") {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, host, port, text @ ..] = arguments.as_slice() else {
        eprintln!("tcpc HOST PORT [TEXT]");
        std::process::exit(64)
    };
    let fail = |error: ErrorCode| -> ! {
        eprintln!("tcpc: {host}: {error:?}");
        std::process::exit(2)
    };
    let addresses = lookup::resolve(host).unwrap_or_else(|error| fail(error));
    println!("{host} -> {addresses:?}");
    let Some(address) = addresses.first() else { fail(ErrorCode::NameUnresolvable) };
    let text = text.first().map_or("ping\n", String::as_str);
    match exchange(*address, port.parse().unwrap_or(80), text) {
        Ok(answer) => println!("{answer}"),
        Err(error) => fail(error),
    }
}
