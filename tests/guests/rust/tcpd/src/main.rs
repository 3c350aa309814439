//! tcpd [ADDRESS]: a TCP server on WASI 0.2 sockets; answers each line with `HOSTNAME> line`, and a request of HTTP as one
//! does, with its name.

use wstd::io::{self, AsyncRead, AsyncWrite};
use wstd::iter::AsyncIterator;
use wstd::net::{TcpListener, TcpStream};

#[wstd::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:7777".into());
    let name = std::env::var("HOSTNAME").unwrap_or_else(|_| "tcpd".into());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut incoming = listener.incoming();
    while let Some(stream) = incoming.next().await {
        match stream {
            Ok(stream) => wstd::runtime::spawn(serve(stream, name.clone())).detach(),
            Err(error) => eprintln!("accept: {error}"),
        }
    }
    Ok(())
}

async fn serve(mut stream: TcpStream, name: String) {
    println!("accepted {}", stream.peer_addr().unwrap_or_default());
    let mut buffer = [0; 4096];
    while let Ok(n) = stream.read(&mut buffer).await {
        let request = buffer.starts_with(b"GET ");
        let answer = match request {
            true => format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()).into(),
            false => [name.as_bytes(), b"> ", &buffer[..n]].concat(),
        };
        let sent = n > 0 && stream.write_all(&answer).await.is_ok() && stream.flush().await.is_ok();
        if request || !sent {
            break;
        }
    }
}
