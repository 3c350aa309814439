//! A service as the options of `knarr create`: what a compose file asks for is what the command line can ask for, under the same
//! rules and with the same errors.

use crate::error::Failure;
use knarr_compose::model::{Bytes, Project, Restart, Service};
use serde_json::Value;
use std::time::Duration;

/// The key of what only Knarr has.
pub const EXTENSION: &str = "x-knarr";

/// The words of a command line.
#[derive(Debug, Default)]
pub struct Words(Vec<String>);

impl Words {
    pub fn flag(&mut self, name: &str, given: bool) {
        if given {
            self.0.push(format!("--{name}"));
        }
    }

    /// An option with its value; nothing for an empty value.
    pub fn option(&mut self, name: &str, value: impl std::fmt::Display) {
        let value = value.to_string();
        if !value.is_empty() {
            self.0.push(format!("--{name}={value}"));
        }
    }

    pub fn options<T: std::fmt::Display>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
    ) {
        values.into_iter().for_each(|value| self.option(name, value));
    }

    /// A number; 0 is what nobody asked for.
    pub fn number(&mut self, name: &str, value: i64) {
        if value != 0 {
            self.option(name, value);
        }
    }

    pub fn bytes(&mut self, name: &str, value: Bytes) {
        self.number(name, value.0);
    }

    /// What follows the options.
    pub fn rest(mut self, words: impl IntoIterator<Item = String>) -> Vec<String> {
        self.0.extend(words);
        self.0
    }
}

/// Refuses what a service asks for and does not get, rather than pass it over.
pub fn refuse(project: &Project, service: &Service) -> Result<(), Failure> {
    for (key, given, hint) in [
        (
            "pre_start",
            !service.pre_start.is_empty(),
            "use a service that others wait for (service_completed_successfully)",
        ),
        (
            "provider",
            service.provider.is_some(),
            "start what it stands for by itself, and leave the service out",
        ),
        (
            "models",
            !service.models.is_empty(),
            "start the model by itself, and give the service its address",
        ),
        (
            "use_api_socket",
            service.use_api_socket,
            "a service that drives Docker needs Docker itself",
        ),
    ] {
        if given {
            let path = format!("services.{}.{key}", service.name);
            let place = project.place(&path).map(|place| format!("{place}: ")).unwrap_or_default();
            return Err(Failure::usage(format!("{place}Knarr does not have {path}")).hint(hint));
        }
    }
    Ok(())
}

/// Everything of a service but its name, mounts, entrypoint, health check and labels, which no option can tell without loss.
///
/// `container`: the name of the first container of another service.
/// `named`: others find it by the service's name.
pub fn of(
    project: &Project,
    service: &Service,
    container: &dyn Fn(&str) -> String,
    named: bool,
) -> Result<Words, Failure> {
    let mut words = Words::default();
    process(&mut words, service);
    limits(&mut words, service);
    security(&mut words, service);
    shared(&mut words, service, container);
    network(&mut words, project, service, container, named);
    engine(&mut words, service)?;
    Ok(words)
}

fn process(words: &mut Words, service: &Service) {
    words.option("user", &service.user);
    words.option("workdir", &service.working_dir);
    words.options("group-add", &service.group_add);
    words.flag("tty", service.tty);
    words.flag("interactive", service.stdin_open);
    words.option("hostname", &service.hostname);
    words.option("domainname", &service.domainname);
    words.flag("init", service.init == Some(true));
    words.flag("read-only", service.read_only);
    words.option("stop-signal", &service.stop_signal);
    if let Some(grace) = service.stop_grace_period.and_then(|grace| grace.to_std()) {
        words.option("stop-timeout", whole_seconds(grace));
    }
    words.option("restart", restart(service));
    for (name, value) in &service.environment.0 {
        // one without a value here is not set
        if let Some(value) = value {
            words.0.push(format!("--env={name}={value}"));
        }
    }
    if let Some(logging) = &service.logging {
        words.option("log-driver", &logging.driver);
        words.options(
            "log-opt",
            logging.options.0.iter().map(|(name, value)| format!("{name}={value}")),
        );
    }
    words.options(
        "annotation",
        service.annotations.0.iter().map(|(name, value)| format!("{name}={value}")),
    );
}

/// A period that is not whole is not cut short.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn restart(service: &Service) -> String {
    match service.restart_policy() {
        Some(Restart::No) => String::new(),
        Some(Restart::Always) => "always".into(),
        Some(Restart::UnlessStopped) => "unless-stopped".into(),
        Some(Restart::OnFailure(None)) => "on-failure".into(),
        Some(Restart::OnFailure(Some(attempts))) => format!("on-failure:{attempts}"),
        // the option says what is wrong
        None => service.restart.clone(),
    }
}

fn limits(words: &mut Words, service: &Service) {
    let resources = service.deploy.as_ref().map(|deploy| &deploy.resources);
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let reserved = resources.and_then(|resources| resources.reservations.as_ref());
    let or =
        |own: Bytes, other: Option<Bytes>| if own.0 == 0 { other.unwrap_or_default() } else { own };
    let cpus =
        if service.cpus > 0.0 { service.cpus } else { limits.map_or(0.0, |limits| limits.cpus) };
    if cpus > 0.0 {
        words.option("cpus", cpus);
    }
    words.bytes("memory", or(service.mem_limit, limits.map(|limits| limits.memory)));
    words.bytes("memory-reservation", or(service.mem_reservation, reserved.map(|r| r.memory)));
    words.bytes("memory-swap", service.memswap_limit);
    words.bytes("memory-swappiness", service.mem_swappiness);
    let pids = if service.pids_limit == 0 {
        limits.map_or(0, |limits| limits.pids)
    } else {
        service.pids_limit
    };
    words.number("pids-limit", pids);
    words.number("cpu-shares", service.cpu_shares);
    words.number("cpu-period", service.cpu_period);
    words.number("cpu-quota", service.cpu_quota);
    words.number("cpu-rt-period", service.cpu_rt_period);
    words.number("cpu-rt-runtime", service.cpu_rt_runtime);
    words.number("cpu-count", service.cpu_count);
    if service.cpu_percent > 0.0 {
        words.option("cpu-percent", service.cpu_percent);
    }
    words.option("cpuset-cpus", &service.cpuset);
    words.bytes("shm-size", service.shm_size);
    words.number("oom-score-adj", service.oom_score_adj);
    words.flag("oom-kill-disable", service.oom_kill_disable);
    for (name, limit) in &service.ulimits {
        if let Some(limit) = limit {
            words.option("ulimit", format!("{name}={}:{}", limit.soft, limit.hard));
        }
    }
    if let Some(blkio) = &service.blkio_config {
        words.number("blkio-weight", blkio.weight.into());
        words.options(
            "blkio-weight-device",
            blkio.weight_device.iter().map(|d| format!("{}:{}", d.path, d.weight)),
        );
        for (name, devices) in [
            ("device-read-bps", &blkio.device_read_bps),
            ("device-read-iops", &blkio.device_read_iops),
            ("device-write-bps", &blkio.device_write_bps),
            ("device-write-iops", &blkio.device_write_iops),
        ] {
            words.options(name, devices.iter().map(|d| format!("{}:{}", d.path, d.rate.0)));
        }
    }
    let devices = reserved.map(|reserved| reserved.devices.as_slice()).unwrap_or_default();
    for request in service.gpus.iter().chain(devices) {
        let ids = request.device_ids.join(",");
        words.option(
            "gpus",
            match (ids.is_empty(), request.count.0) {
                (false, _) => format!("\"device={ids}\""),
                (true, count) if count > 0 => count.to_string(),
                (true, _) => "all".into(),
            },
        );
    }
}

fn security(words: &mut Words, service: &Service) {
    words.options("cap-add", &service.cap_add);
    words.options("cap-drop", &service.cap_drop);
    words.options("security-opt", &service.security_opt);
    words.flag("privileged", service.privileged);
    words.option("userns", &service.userns_mode);
    for device in &service.devices {
        let rights = if device.permissions.is_empty() { "rwm" } else { &device.permissions };
        // the name of a device of the Container Device Interface stands alone
        words.option(
            "device",
            match device.source.starts_with('/') {
                true => format!("{}:{}:{rights}", device.source, device.target),
                false => device.source.clone(),
            },
        );
    }
    words.options("device-cgroup-rule", &service.device_cgroup_rules);
    words
        .options("sysctl", service.sysctls.0.iter().map(|(name, value)| format!("{name}={value}")));
    words.options(
        "storage-opt",
        service.storage_opt.iter().map(|(name, value)| format!("{name}={value}")),
    );
    words.option("isolation", &service.isolation);
    if service.credential_spec.is_some() {
        words.option("security-opt", "credentialspec");
    }
}

/// `service:NAME` is the first container of that service.
fn of_another(mode: &str, container: &dyn Fn(&str) -> String) -> String {
    match mode.strip_prefix("service:") {
        Some(service) => format!("container:{}", container(service)),
        None => mode.to_owned(),
    }
}

fn shared(words: &mut Words, service: &Service, container: &dyn Fn(&str) -> String) {
    words.option("pid", of_another(&service.pid, container));
    words.option("ipc", of_another(&service.ipc, container));
    words.option("uts", &service.uts);
    words.option("cgroupns", &service.cgroup);
    words.option("cgroup-parent", &service.cgroup_parent);
    for from in &service.volumes_from {
        words.option(
            "volumes-from",
            match from.strip_prefix("container:") {
                Some(name) => name.to_owned(),
                None => {
                    let (name, mode) =
                        from.split_once(':').map_or((from.as_str(), ""), |(n, m)| (n, m));
                    let colon = if mode.is_empty() { "" } else { ":" };
                    format!("{}{colon}{mode}", container(name))
                }
            },
        );
    }
}

fn network(
    words: &mut Words,
    project: &Project,
    service: &Service,
    container: &dyn Fn(&str) -> String,
    named: bool,
) {
    words.options("dns", &service.dns);
    words.options("dns-option", &service.dns_opt);
    words.options("dns-search", &service.dns_search);
    for (name, addresses) in &service.extra_hosts.0 {
        words.options("add-host", addresses.iter().map(|address| format!("{name}={address}")));
    }
    words.options("expose", &service.expose);
    words.options("publish", service.ports.iter().map(port));
    words.option("mac-address", &service.mac_address);
    words.options("link", &service.external_links);
    if !service.network_mode.is_empty() {
        words.option("network", of_another(&service.network_mode, container));
        return;
    }
    let mut places: Vec<_> = service.networks.iter().collect();
    // the one with the highest priority gives the default route
    places.sort_by_key(|(key, place)| {
        let place = place.as_ref();
        let order = place.map_or((0, 0), |place| (place.gw_priority, place.priority));
        (std::cmp::Reverse(order), (*key).clone())
    });
    for (key, place) in places {
        let name = project.networks.get(key).map_or(key.as_str(), |network| network.name.as_str());
        let mut text = format!("name={name}");
        let own = place.iter().flat_map(|place| place.aliases.iter().cloned());
        let aliases =
            [service.name.clone()].into_iter().chain(own).chain(links_to(project, service));
        for alias in aliases.filter(|_| named) {
            text.push_str(&format!(",alias={alias}"));
        }
        let addresses = place
            .iter()
            .flat_map(|place| [("ip", &place.ipv4_address), ("ip6", &place.ipv6_address)]);
        for (field, address) in addresses.filter(|(_, address)| !address.is_empty()) {
            text.push_str(&format!(",{field}={address}"));
        }
        words.option("network", text);
    }
    if service.networks.is_empty() {
        words.option("network", "none");
    }
}

/// The names that other services' `links` give this one.
pub fn links_to(project: &Project, service: &Service) -> Vec<String> {
    let links = project.services.values().flat_map(|other| &other.links);
    let aliases =
        links.filter_map(|link| link.split_once(':')).filter(|(name, _)| *name == service.name);
    let mut aliases: Vec<String> = aliases.map(|(_, alias)| alias.to_owned()).collect();
    aliases.sort();
    aliases.dedup();
    aliases
}

fn port(port: &knarr_compose::model::Port) -> String {
    let mut text = String::new();
    if !port.host_ip.is_empty() {
        let bracketed = port.host_ip.contains(':') && !port.host_ip.starts_with('[');
        text =
            if bracketed { format!("[{}]:", port.host_ip) } else { format!("{}:", port.host_ip) };
    }
    if !port.published.is_empty() {
        text.push_str(&format!("{}:", port.published));
    } else if !text.is_empty() {
        text.push(':');
    }
    let protocol = if port.protocol.is_empty() { "tcp" } else { &port.protocol };
    format!("{text}{}/{protocol}", port.target)
}

/// `platform`, `runtime` and what only Knarr has (`x-knarr`).
fn engine(words: &mut Words, service: &Service) -> Result<(), Failure> {
    words.option("platform", &service.platform);
    words.option("runtime", &service.runtime);
    let Some(own) = service.extensions.get(EXTENSION) else { return Ok(()) };
    let wrong = |what: String| {
        Failure::usage(format!("services.{}.{EXTENSION}: {what}", service.name)).hint(
            "its keys are outbound (a list), on_unhealthy, instance_requests and variant (wasm or native)",
        )
    };
    let Some(own) = own.as_object() else { return Err(wrong("is not a mapping".into())) };
    for (key, value) in own {
        let text = match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let option = match (key.as_str(), value, text) {
            ("outbound", Value::Array(all), _) if all.is_empty() => {
                words.option("allow-outbound", "none");
                continue;
            }
            ("outbound", Value::Array(all), _) => {
                for place in all {
                    let Some(place) = place.as_str() else {
                        return Err(wrong("outbound holds something that is no text".into()));
                    };
                    words.option("allow-outbound", place);
                }
                continue;
            }
            ("on_unhealthy", _, Some(text)) => ("health-on-failure", text),
            ("instance_requests", _, Some(text)) => ("wasm-instance-requests", text),
            ("variant", _, Some(text)) => ("runtime", text),
            ("outbound" | "on_unhealthy" | "instance_requests" | "variant", _, _) => {
                return Err(wrong(format!("{key} is of the wrong kind")));
            }
            _ => return Err(wrong(format!("there is no key {key}"))),
        };
        words.option(option.0, option.1);
    }
    Ok(())
}
