//! p3net: TCP and UDP on WASI 0.3.
//!
//! `serve PORT`: answers each line with `HOSTNAME> line`, and a request of HTTP with its name. `ask HOST PORT TEXT`: resolves,
//! connects, sends, prints the answer. `udp-serve PORT`, `udp-ask HOST PORT TEXT`: the same with datagrams. Each says whom it
//! talks to. `twice ADDRESS PORT`: listens there, and binds a second socket, once before and once after the first is closed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wasip3::cli::{environment, stdout};
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
    TcpSocket, UdpSocket,
};
use wasip3::{wit_bindgen, wit_stream};

wasip3::cli::command::export!(Program);

struct Program;

impl wasip3::exports::cli::run::Guest for Program {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
        let result = match words[..] {
            ["serve", port] => serve(port.parse().unwrap()).await,
            ["ask", host, port, text] => ask(host, port.parse().unwrap(), text).await,
            ["twice", address, port] => twice(address, port.parse().unwrap()).await,
            ["udp-serve", port] => udp_serve(port.parse().unwrap()).await,
            ["udp-ask", host, port, text] => udp_ask(host, port.parse().unwrap(), text).await,
            _ => Err(ErrorCode::InvalidArgument),
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) => {
                print(format!("error: {error:?}\n")).await;
                Err(())
            }
        }
    }
}

async fn print(text: String) {
    let (mut writer, reader) = wit_stream::new();
    let write = async {
        writer.write_all(text.into_bytes()).await;
        drop(writer);
    };
    let _ = futures::join!(async { stdout::write_via_stream(reader).await }, write);
}

fn name() -> String {
    let environment = environment::get_environment();
    let own = environment.into_iter().find(|(name, _)| name == "HOSTNAME");
    own.map_or_else(|| "p3net".into(), |(_, value)| value)
}

fn any(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (0, 0, 0, 0) })
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

/// The first address of a host, with what a socket for it needs.
async fn find(host: &str, port: u16) -> Result<(IpSocketAddress, IpAddressFamily), ErrorCode> {
    let found = resolve_addresses(host.to_owned()).await.map_err(|error| {
        ErrorCode::Other(Some(format!("{host}: {error:?}")))
    })?;
    let places: Vec<IpSocketAddress> = found
        .into_iter()
        .map(|address| match address {
            IpAddress::Ipv4(address) => IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }),
            IpAddress::Ipv6(address) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port,
                flow_info: 0,
                address,
                scope_id: 0,
            }),
        })
        .collect();
    let ips: Vec<IpAddr> = places.iter().map(|place| shown(*place).ip()).collect();
    print(format!("{host} -> {ips:?}\n")).await;
    let first = *places.first().ok_or(ErrorCode::RemoteUnreachable)?;
    let family = match first {
        IpSocketAddress::Ipv4(_) => IpAddressFamily::Ipv4,
        IpSocketAddress::Ipv6(_) => IpAddressFamily::Ipv6,
    };
    Ok((first, family))
}

async fn serve(port: u16) -> Result<(), ErrorCode> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(any(port))?;
    let mut clients = socket.listen()?;
    print(format!("listening on {}\n", shown(socket.get_local_address()?))).await;
    while let Some(client) = clients.next().await {
        print(format!("accepted {}\n", shown(client.get_remote_address()?))).await;
        wit_bindgen::spawn_local(async move {
            let (mut lines, _received) = client.receive();
            let (mut answers, reader) = wit_stream::new();
            let _sent = client.send(reader);
            while let Some(first) = lines.next().await {
                let mut line = vec![first];
                while line.last() != Some(&b'\n') {
                    match lines.next().await {
                        Some(byte) => line.push(byte),
                        None => break,
                    }
                }
                if line.starts_with(b"GET ") {
                    let (name, length) = (name(), name().len());
                    let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n");
                    answers.write_all([head, name].concat().into_bytes()).await;
                    break;
                }
                let answer = [name().as_bytes(), b"> ", &line].concat();
                answers.write_all(answer).await;
            }
        });
    }
    Ok(())
}

async fn ask(host: &str, port: u16, text: &str) -> Result<(), ErrorCode> {
    let (address, family) = find(host, port).await?;
    let socket = TcpSocket::create(family)?;
    socket.connect(address).await?;
    let (local, peer) = (socket.get_local_address()?, socket.get_remote_address()?);
    print(format!("{} to {}\n", shown(local).ip(), shown(peer))).await;
    let (mut question, reader) = wit_stream::new();
    let _sent = socket.send(reader);
    let (mut answers, _received) = socket.receive();
    question.write_all(text.as_bytes().to_vec()).await;
    let mut answer = Vec::new();
    while let Some(byte) = answers.next().await {
        answer.push(byte);
        // HTTP's goes on to the end
        if byte == b'\n' && !answer.starts_with(b"HTTP") {
            break;
        }
    }
    print(String::from_utf8_lossy(&answer).into_owned()).await;
    Ok(())
}

async fn twice(address: &str, port: u16) -> Result<(), ErrorCode> {
    let (address, family) = find(address, port).await?;
    let (first, second) = (TcpSocket::create(family)?, TcpSocket::create(family)?);
    first.bind(address)?;
    let clients = first.listen()?;
    print(format!("{:?}\n", second.bind(address))).await;
    drop((clients, first));
    second.bind(address)?;
    print(format!("bound to {}\n", shown(second.get_local_address()?))).await;
    Ok(())
}

async fn udp_serve(port: u16) -> Result<(), ErrorCode> {
    let socket = UdpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(any(port))?;
    print(format!("listening on {}\n", shown(socket.get_local_address()?))).await;
    loop {
        let (data, from) = socket.receive().await?;
        print(format!("datagram from {}\n", shown(from))).await;
        let answer = [name().as_bytes(), b"> ", &data].concat();
        socket.send(answer, Some(from)).await?;
    }
}

async fn udp_ask(host: &str, port: u16, text: &str) -> Result<(), ErrorCode> {
    let (address, family) = find(host, port).await?;
    let socket = UdpSocket::create(family)?;
    socket.send(text.as_bytes().to_vec(), Some(address)).await?;
    let (data, from) = socket.receive().await?;
    let local = shown(socket.get_local_address()?).ip();
    print(format!("{local} to {}\n{}", shown(from), String::from_utf8_lossy(&data))).await;
    Ok(())
}
