//! `/etc/hosts`

use crate::engine::names::{host_gateway, names};
use crate::net::Endpoint;
use knarr_core::fsx::{self, Context};
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{ContainerSpec, NetworkMode};
use std::fs::OpenOptions;
use std::io::{Read, Seek, Write};
use std::net::Ipv4Addr;
use std::path::Path;

/// Docker's.
const LOCALHOST: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// A container that writes more than this has made something else of its file.
const LIMIT: u64 = 1 << 20;

/// The whole file of a container with these places.
pub fn text(spec: &ContainerSpec, places: &[(NetworkSpec, Endpoint)]) -> fsx::Result<String> {
    let mut text = match spec.network {
        NetworkMode::Host => {
            let host = fsx::read_optional(Path::new("/etc/hosts"))?;
            host.map_or(LOCALHOST.to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
        }
        _ => LOCALHOST.to_owned(),
    };
    if !text.ends_with('\n') && !text.is_empty() {
        text.push('\n');
    }
    for line in own_lines(spec, places) {
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// The container's names at each of its addresses, and what the user gave.
pub fn own_lines(spec: &ContainerSpec, places: &[(NetworkSpec, Endpoint)]) -> Vec<String> {
    let names = names(spec).join(" ");
    let addresses = places.iter().flat_map(|(_, endpoint)| endpoint.addresses());
    let mut lines: Vec<String> = addresses.map(|ip| format!("{ip}\t{names}")).collect();
    // the host's own file has the host's name
    let is_given = spec.hostname.is_some() || spec.domainname.is_some();
    let is_known = spec.network == NetworkMode::Host && !is_given;
    if lines.is_empty() && !is_known {
        lines.push(format!("{}\t{names}", Ipv4Addr::LOCALHOST));
    }
    let host = host_gateway(places.iter().map(|(network, _)| network));
    lines.extend(spec.extra_hosts.iter().map(|(name, address)| match address.as_str() {
        "host-gateway" => format!("{host}\t{name}"),
        address => format!("{address}\t{name}"),
    }));
    lines
}

/// Replaces lines of a file that the container has mounted, in place. Readers may see a mixture, but never an empty file.
pub fn edit(path: &Path, gone: &[String], new: &[String]) -> fsx::Result<()> {
    let mut file = match fsx::open_with(path, OpenOptions::new().read(true).write(true)) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut text = Vec::new();
    Read::by_ref(&mut file).take(LIMIT).read_to_end(&mut text).at("read", path)?;
    if text.len() as u64 == LIMIT {
        return Ok(());
    }
    let text = changed(&text, gone, new);
    file.rewind().and_then(|()| file.write_all(&text)).at("write", path)?;
    file.set_len(text.len() as u64).at("write", path)
}

/// The text without the lines that are gone, and with the new ones at its end. The container may have changed any of them.
fn changed(text: &[u8], gone: &[String], new: &[String]) -> Vec<u8> {
    let mut gone: Vec<&String> = gone.iter().filter(|line| !new.contains(line)).collect();
    let mut changed = Vec::new();
    let mut there = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let plain = line.strip_suffix(b"\n").unwrap_or(line);
        match gone.iter().position(|old| old.as_bytes() == plain) {
            Some(at) => drop(gone.swap_remove(at)),
            None => {
                changed.extend_from_slice(line);
                there.push(plain);
            }
        }
    }
    if changed.last().is_some_and(|byte| *byte != b'\n') {
        changed.push(b'\n');
    }
    for line in new.iter().filter(|line| !there.contains(&line.as_bytes())) {
        changed.extend_from_slice(line.as_bytes());
        changed.push(b'\n');
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_ours_change() {
        let lines = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let old = lines(&["10.0.0.2\tbox", "10.1.0.2\tbox"]);
        let new = lines(&["10.1.0.2\tbox", "10.2.0.2\tbox"]);
        let text =
            b"127.0.0.1\tlocalhost\n10.0.0.2\tbox\n10.0.0.2\tbox mine\n10.1.0.2\tbox\n\xff\nlast";
        assert_eq!(
            changed(text, &old, &new),
            b"127.0.0.1\tlocalhost\n10.0.0.2\tbox mine\n10.1.0.2\tbox\n\xff\nlast\n10.2.0.2\tbox\n"
        );
        assert_eq!(changed(b"", &old, &new), b"10.1.0.2\tbox\n10.2.0.2\tbox\n");
    }

    #[test]
    fn the_same_file_gets_shorter_and_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts");
        fsx::write(&path, "a\nlonger line\n").unwrap();
        let file = fsx::open(&path).unwrap();
        edit(&path, &["longer line".into()], &["b".into()]).unwrap();
        let mut seen = String::new();
        { file }.read_to_string(&mut seen).unwrap();
        assert_eq!(seen, "a\nb\n");
        edit(&directory.path().join("gone"), &[], &["b".into()]).unwrap();
    }
}
