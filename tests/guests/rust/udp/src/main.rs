//! udp: datagrams on WASI 0.2. `serve ADDRESS PORT`: answers with `HOSTNAME> text`; `ask ADDRESS PORT TEXT [connect]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::udp::{IncomingDatagram, OutgoingDatagram, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["serve", address, port] => serve(place(address, port)),
        ["ask", address, port, text] => ask(place(address, port), text, false),
        ["ask", address, port, text, "connect"] => ask(place(address, port), text, true),
        _ => Err(ErrorCode::InvalidArgument),
    };
    if let Err(error) = result {
        eprintln!("udp: {error:?}");
        std::process::exit(2);
    }
}

fn place(address: &str, port: &str) -> IpSocketAddress {
    let port = port.parse().unwrap();
    match address.parse().unwrap() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) })
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h] = ip.segments();
            let address = (a, b, c, d, e, f, g, h);
            IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 })
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

fn bound(to: IpSocketAddress) -> Result<UdpSocket, ErrorCode> {
    let family = match to {
        IpSocketAddress::Ipv4(_) => IpAddressFamily::Ipv4,
        IpSocketAddress::Ipv6(_) => IpAddressFamily::Ipv6,
    };
    let socket = create_udp_socket(family)?;
    socket.start_bind(&instance_network(), to)?;
    socket.finish_bind()?;
    Ok(socket)
}

fn receive(
    stream: &wasip2::sockets::udp::IncomingDatagramStream,
) -> Result<IncomingDatagram, ErrorCode> {
    loop {
        if let Some(datagram) = stream.receive(1)?.pop() {
            return Ok(datagram);
        }
        stream.subscribe().block();
    }
}

fn serve(at: IpSocketAddress) -> Result<(), ErrorCode> {
    let name = std::env::var("HOSTNAME").unwrap_or_else(|_| "udp".into());
    let socket = bound(at)?;
    println!("listening on {}", shown(socket.local_address()?));
    let (incoming, outgoing) = socket.stream(None)?;
    loop {
        let datagram = receive(&incoming)?;
        println!("datagram from {}", shown(datagram.remote_address));
        let data = [name.as_bytes(), b"> ", &datagram.data].concat();
        outgoing.check_send()?;
        outgoing.send(&[OutgoingDatagram { data, remote_address: Some(datagram.remote_address) }])?;
    }
}

fn ask(at: IpSocketAddress, text: &str, connect: bool) -> Result<(), ErrorCode> {
    let from = match shown(at).ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = bound(place(&from.to_string(), "0"))?;
    let (incoming, outgoing) = socket.stream(connect.then_some(at))?;
    outgoing.check_send()?;
    let remote_address = (!connect).then_some(at);
    outgoing.send(&[OutgoingDatagram { data: text.as_bytes().to_vec(), remote_address }])?;
    let datagram = receive(&incoming)?;
    let local = shown(socket.local_address()?).ip();
    println!("{local} to {}", shown(datagram.remote_address));
    println!("{}", String::from_utf8_lossy(&datagram.data));
    Ok(())
}
