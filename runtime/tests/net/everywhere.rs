//! Wasm guests that bind "all addresses", wherever these come from.

use crate::fixture::*;
use crate::guests::{self, address, address6, guest, named};
use crate::host::shell;
use crate::live::{client_on, fixture, idle_native, idle_native_named, native_get, wasm_get, wish};
use crate::on;
use knarr_runtime::container::{connect, disconnect};
use knarr_runtime::net::{self, NewNetwork};

crate::tests![ipv4, ipv6];

/// As many as there are, at the start and later.
fn ipv4() {
    let fixture = fixture();
    let new = NewNetwork { name: "three".into(), ipv6: true, ..Default::default() };
    net::create(fixture.root(), new).unwrap();
    let on_two =
        |name: &str| RunOptions { dns: client_on("one").dns, ..named(name, on(&["one", "three"])) };
    let p2 = guest(&fixture, "tcpd.p2", &[], &["0.0.0.0:80"], on_two("p2"));
    let p3 = guest(&fixture, "p3net.p3", &[], &["serve", "80"], on_two("p3"));
    let here = guest(&fixture, "tcpd.p2", &[], &["127.0.0.1:80"], on_two("here"));
    for id in [&p2, &p3, &here] {
        guests::serve(&fixture, id);
        connect(fixture.root(), id, &wish("two")).unwrap();
    }
    for network in ["one", "two", "three"] {
        let native = idle_native(&fixture, network);
        let own = address(&fixture, &native, network).to_string();
        let seen = [format!("({})", own.replace('.', ", ")), format!(" {own}:")];
        for (id, name) in [(&p2, "p2"), (&p3, "p3")] {
            let heard = native_get(&fixture, &native, name, 80).unwrap_or_default();
            assert!(heard.ends_with(&format!("{name}\n")), "{name} on {network}: {heard}");
            assert!(wasm_get(&fixture, network, name, 80).unwrap().contains(name), "{network}");
            let is_own = |line: &String| {
                line.contains("accepted") && seen.iter().any(|own| line.contains(own))
            };
            wait_until(|| log(&fixture, id).iter().any(is_own));
        }
        assert_eq!(native_get(&fixture, &native, "here", 80), None);
    }
    let far = address(&fixture, &p2, "two").to_string();
    disconnect(fixture.root(), &p2, "two").unwrap();
    let native = idle_native_named(&fixture, "asks", "two");
    assert_eq!(native_get(&fixture, &native, &far, 80), None);
    assert!(native_get(&fixture, &native, "p3", 80).unwrap().contains("p3"));
    // in the namespace nothing listens there any more
    let pid = fixture.load(&p2).state.pid.unwrap();
    let listening = || shell(&format!("nsenter --net=/proc/{pid}/ns/net ss -Hltn"));
    wait_until(|| !listening().contains(&far));
    // two of them at their loopbacks as well
    assert_eq!(listening().lines().count(), (3 + 1) + (2 + 1) + 1, "{}", listening());
}

/// The same by IPv6: at the start on two networks, later on three, then without one of them.
fn ipv6() {
    let fixture = fixture();
    for name in ["four", "five", "six"] {
        let new = NewNetwork { name: name.into(), ipv6: true, ..Default::default() };
        net::create(fixture.root(), new).unwrap();
    }
    let options = named("p2", on(&["one", "four", "five"]));
    let server = guest(&fixture, "tcpd.p2", &[], &["[::]:80"], options);
    guests::serve(&fixture, &server);
    let first = address6(&fixture, &server, "four");
    assert_eq!(log(&fixture, &server)[0], format!("stdout:listening on [{first}]:80\n"));
    connect(fixture.root(), &server, &wish("six")).unwrap();
    let natives = ["four", "five", "six"].map(|network| (network, idle_native(&fixture, network)));
    for (network, native) in &natives {
        let at = address6(&fixture, &server, network).to_string();
        let heard = native_get(&fixture, native, &at, 80).unwrap_or_default();
        assert!(heard.ends_with("p2\n"), "{network}: {heard}");
        assert!(wasm_get(&fixture, network, &at, 80).unwrap().contains("p2"), "{network}");
        // it sees its clients, not who passes them on
        let client = address6(&fixture, native, network).segments().map(|part| part.to_string());
        let seen = format!("({})", client.join(", "));
        wait_until(|| log(&fixture, &server).iter().any(|line| line.contains(&seen)));
    }
    let pid = fixture.load(&server).state.pid.unwrap();
    let listening = || shell(&format!("nsenter --net=/proc/{pid}/ns/net ss -Hltn"));
    // at its loopback as well
    assert_eq!(listening().lines().count(), 3 + 1, "{}", listening());
    let gone = address6(&fixture, &server, "five").to_string();
    disconnect(fixture.root(), &server, "five").unwrap();
    assert_eq!(native_get(&fixture, &natives[1].1, &gone, 80), None);
    wait_until(|| listening().lines().count() == 2 + 1);
    let at = address6(&fixture, &server, "six").to_string();
    assert!(native_get(&fixture, &natives[2].1, &at, 80).unwrap().contains("p2"));
    // one without an address of the family has its loopback, and the addresses that come
    let lone = guest(&fixture, "tcpd.p2", &[], &["[::]:80"], named("lone", on(&["two"])));
    fixture.start(&lone);
    wait_until(|| log(&fixture, &lone).iter().any(|line| line == "stdout:listening on [::1]:80\n"));
    let said = log(&fixture, &lone);
    assert!(said.iter().any(|line| line.starts_with("stderr:knarr: listening on [::]:80 (tcp)")));
    connect(fixture.root(), &lone, &wish("four")).unwrap();
    let at = address6(&fixture, &lone, "four").to_string();
    wait_until(|| native_get(&fixture, &natives[0].1, &at, 80).is_some());
    assert!(wasm_get(&fixture, "four", &at, 80).unwrap().contains("lone"));
}
