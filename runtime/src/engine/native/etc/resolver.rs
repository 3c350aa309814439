//! `/etc/resolv.conf`

use crate::net::names;
use knarr_core::spec::Dns;
use std::fmt::Write;
use std::net::IpAddr;

/// The host's `resolv.conf` with what the user gave in its place.
///
/// `own`: the container's own name server stands in it, which asks the others. A name is then looked up as it is first
/// (`ndots:0`), whatever the host does: a neighbour's must not be asked for elsewhere, below some search domain.
pub fn text(host: &str, dns: &Dns, own: bool) -> String {
    let servers: Vec<IpAddr> = match own {
        true => vec![names::ADDRESS.into()],
        false => dns.servers.clone(),
    };
    let options = options(host, dns, own);
    let replaced = |line: &str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        first == "nameserver" && !servers.is_empty()
            || ["search", "domain"].contains(&first) && !dns.search.is_empty()
            || first == "options" && !options.is_empty()
            || own && (first.is_empty() || first.starts_with(['#', ';']))
    };
    let mut text = String::new();
    for line in host.lines().filter(|line| !replaced(line)) {
        let _ = writeln!(text, "{line}");
    }
    for server in &servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    // `.`: none
    let search: Vec<&str> = dns.search.iter().map(String::as_str).filter(|d| *d != ".").collect();
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text
}

/// The options that take the place of the host's; none: those stay as they are.
fn options<'a>(host: &'a str, dns: &'a Dns, own: bool) -> Vec<&'a str> {
    let is_dots = |option: &&str| option.split(':').next() == Some("ndots");
    let mut options: Vec<&str> = dns.options.iter().map(String::as_str).collect();
    if own && options.is_empty() {
        let words = host.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let lines = words.filter(|words| words.first() == Some(&"options"));
        options.extend(lines.flat_map(|words| words.into_iter().skip(1)));
        options.retain(|option| !is_dots(option));
    }
    if own && !options.iter().any(is_dots) {
        options.push("ndots:0");
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_replaces_what_the_host_has() {
        let host = "# made by a program\nnameserver 192.0.2.53\nsearch example.org\noptions edns0 ndots:5\n";
        assert_eq!(text(host, &Dns::default(), false), host);
        let own = "search example.org\nnameserver 127.0.0.11\noptions edns0 ndots:0\n";
        assert_eq!(text(host, &Dns::default(), true), own);
        let dns = Dns {
            servers: vec!["198.51.100.1".parse().unwrap()],
            search: vec![".".into()],
            options: vec!["ndots:3".into()],
        };
        assert_eq!(
            text(host, &dns, false),
            "# made by a program\nnameserver 198.51.100.1\noptions ndots:3\n"
        );
        // the container's own name server asks the one that is given
        assert_eq!(text(host, &dns, true), "nameserver 127.0.0.11\noptions ndots:3\n");
        let dns = Dns { options: vec!["timeout:1".into()], ..Dns::default() };
        let own = "search example.org\nnameserver 127.0.0.11\noptions timeout:1 ndots:0\n";
        assert_eq!(text(host, &dns, true), own);
    }
}
