//! Every kind of container as a client of every kind of server, by name and by address; each side sees the other's own
//! address.

use crate::fixture::*;
use crate::guests::{self, address, get, guest, named, native_server, run, within};
use crate::{host, on};
use knarr_core::id::ContainerId;
use knarr_runtime::net::{self, NewNetwork};

crate::tests![native_clients, p2_clients, p3_clients, http_clients, redis_by_name];

const REQUEST: &str = "GET / HTTP/1.0\r\nHost: x\r\n\r\n";

/// One server of each kind.
struct Servers {
    fixture: Fixture,
    all: Vec<(&'static str, u16, ContainerId)>,
    _native: host::Running,
}

fn servers() -> Servers {
    host::become_host();
    let fixture = guests::fixture();
    net::create(fixture.root(), NewNetwork { name: "mix".into(), ..Default::default() }).unwrap();
    let options = |name: &str| named(name, on(&["mix"]));
    let native = fixture.create(&["sleep", "1000"], options("native"));
    fixture.start(&native);
    let running = native_server(&fixture, &native, 7000);
    let p2 = guest(&fixture, "tcpd.p2", &[7000], &["0.0.0.0:7000"], options("p2"));
    let p3 = guest(&fixture, "p3net.p3", &[7000], &["serve", "7000"], options("p3"));
    let p1 = guest(&fixture, "sockd.p1", &[7000], &[], options("p1"));
    let http = guest(&fixture, "httpd.p2", &[7000], &[], options("http"));
    for id in [&p2, &p3, &p1] {
        guests::serve(&fixture, id);
    }
    fixture.start(&http);
    let all = [("native", native), ("p2", p2), ("p3", p3), ("p1", p1), ("http", http)];
    let all = all.into_iter().map(|(name, id)| (name, 7000, id)).collect();
    Servers { fixture, all, _native: running }
}

impl Servers {
    /// Lets a client ask each server by name and by address. The client says what the server answered.
    fn each(&self, own: &str, ask: impl Fn(&str, u16) -> String) {
        for (name, port, id) in &self.all {
            let address = address(&self.fixture, id, "mix").to_string();
            for host in [name, address.as_str()] {
                let said = ask(host, *port);
                assert!(said.contains("200"), "{name} by {host}: {said}");
                // the native server says whom it sees, the others who they are
                let body = match *name {
                    "native" => own,
                    "http" => "hello",
                    name => name,
                };
                assert!(said.contains(body), "{name} by {host}: {said}");
            }
            if ["p2", "p3"].contains(name) {
                // a library's way to show an address, and ours
                let seen = [format!("({})", own.replace('.', ", ")), format!(" {own}:")];
                let is_own = |line: &&String| {
                    line.contains("accepted") && seen.iter().any(|own| line.contains(own))
                };
                wait_until(|| log(&self.fixture, id).iter().filter(is_own).count() == 2);
            }
        }
    }

    fn client(&self, module: &str, arguments: &[&str]) -> ContainerId {
        guest(&self.fixture, module, &[], arguments, on(&["mix"]))
    }
}

fn native_clients() {
    let servers = servers();
    let client = servers.fixture.create(&["sleep", "1000"], on(&["mix"]));
    servers.fixture.start(&client);
    let own = address(&servers.fixture, &client, "mix").to_string();
    servers.each(&own, |host, port| {
        let script = format!(
            "import socket
s = socket.create_connection(('{host}', {port}), 5)
print(s.getpeername()[0])
s.sendall({REQUEST:?}.encode())
while True:
    d = s.recv(4096)
    if not d: break
    print(d.decode(), flush=True)
    if b'\\r\\n\\r\\n' in d and not d.endswith(b'\\r\\n\\r\\n'): break"
        );
        let output = within(&servers.fixture, &client, &script);
        assert!(output.status.success(), "{host}: {}", stderr(&output));
        stdout(&output).to_owned()
    });
}

/// An address for a client whose container gets it at each start.
fn fixed(servers: &Servers, last: u8) -> (RunOptions, String) {
    let network = net::find(servers.fixture.root(), "mix").unwrap();
    let subnet = network.ipv4.unwrap().subnet;
    let ip = std::net::Ipv4Addr::from(u32::from(subnet.network()) + 1000 + u32::from(last));
    let mut options = on(&["mix"]);
    if let Some(knarr_core::spec::NetworkMode::Networks(wishes)) = &mut options.network {
        wishes[0].ipv4 = Some(ip);
    }
    (options, ip.to_string())
}

fn p2_clients() {
    let servers = servers();
    let (_, own) = fixed(&servers, 1);
    servers.each(&own, |host, port| {
        let (options, _) = fixed(&servers, 1);
        let words = [host, &port.to_string(), REQUEST];
        run(&servers.fixture, &guest(&servers.fixture, "tcpc.p2", &[], &words, options))
    });
}

fn p3_clients() {
    let servers = servers();
    let (_, own) = fixed(&servers, 2);
    servers.each(&own, |host, port| {
        let (options, _) = fixed(&servers, 2);
        let words = ["ask", host, &port.to_string(), REQUEST];
        let said =
            run(&servers.fixture, &guest(&servers.fixture, "p3net.p3", &[], &words, options));
        assert!(said.contains(&format!("\n{own} to ")), "{said}");
        said
    });
}

fn http_clients() {
    let servers = servers();
    let client = servers.client("httpd.p2", &[]);
    servers.fixture.start(&client);
    let own = address(&servers.fixture, &client, "mix");
    servers.each(&own.to_string(), |host, port| {
        get(own, 8080, &format!("/fetch?url=http://{host}:{port}/"))
    });
}

/// A component that speaks Redis's protocol finds its server by name.
fn redis_by_name() {
    host::become_host();
    let fixture = guests::fixture();
    net::create(fixture.root(), NewNetwork { name: "mix".into(), ..Default::default() }).unwrap();
    let server = fixture.create(&["sleep", "1000"], named("cache", on(&["mix"])));
    fixture.start(&server);
    let pid = fixture.load(&server).state.pid.unwrap();
    let _running = host::program(
        &format!("nsenter --net=/proc/{pid}/ns/net python3 -c"),
        "import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while count := self.rfile.readline():
            words = []
            for _ in range(int(count[1:])):
                self.rfile.readline()
                words.append(self.rfile.readline().strip())
            match words:
                case [b'SET', name, value]: known[name] = value; self.wfile.write(b'+OK\\r\\n')
                case [b'GET', name] if name in known:
                    self.wfile.write(b'$%d\\r\\n%s\\r\\n' % (len(known[name]), known[name]))
                case [b'GET', _]: self.wfile.write(b'$-1\\r\\n')
                case _: self.wfile.write(b'-ERR unknown command\\r\\n')
known = {}
server = socketserver.ThreadingTCPServer(('0.0.0.0', 6379), Handler)
print('ready', flush=True)
server.serve_forever()",
    );
    let redis = |words: &[&str]| {
        let words = [&["cache"], words].concat();
        fixture.run(&guest(&fixture, "redis.p2", &[], &words, on(&["mix"])))
    };
    assert_eq!(stdout(&redis(&["SET", "greeting", "ahoy"])), "OK\n");
    assert_eq!(stdout(&redis(&["GET", "greeting"])), "ahoy\n");
    assert_eq!(stdout(&redis(&["GET", "nothing"])), "(nil)\n");
    assert_eq!(stderr(&redis(&["FLY"])), "redis: ERR unknown command\n");
}
