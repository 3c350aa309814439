//! Show what happens to containers, images, networks and volumes.

use super::{Context, Outcome};
use crate::args::filter::{self, Filter};
use crate::args::time;
use crate::error::Failure;
use crate::ui::listing::Lines;
use crate::ui::{self, template::Value};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use knarr_core::events::{Event, Kind};
use knarr_core::image::Reference;
use knarr_runtime::container;
use knarr_runtime::container::events::Span;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The last ones are kept, for --since. Filters of one key are alternatives, except for labels."
)]
pub struct Args {
    /// Only some: container=, image=, network=, volume= (names or ids), type=container, event=start, label=NAME[=VALUE],
    /// scope=local
    #[arg(short, long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    /// Print json, a line each, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Begin with what happened after this time, or this long ago (10m)
    #[arg(long, value_name = "TIME", value_parser = time::parse, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// End at this time
    #[arg(long, value_name = "TIME", value_parser = time::parse, allow_hyphen_values = true)]
    until: Option<Timestamp>,
}

const FILTERS: &[&str] =
    &["container", "event", "image", "label", "network", "scope", "type", "volume"];

pub fn run(args: &Args, context: &Context) -> Outcome {
    filter::check(&args.filter, FILTERS)?;
    for kind in filter::values(&args.filter, "type") {
        // Docker's others never happen here
        let known = Kind::ALL.map(Kind::name);
        let of_docker = ["config", "daemon", "node", "plugin", "secret", "service"];
        if !known.contains(&kind) && !of_docker.contains(&kind) {
            return Err(Failure::usage(format!("there are no events of the type {kind:?}"))
                .hint(format!("the types are {}", known.join(", "))));
        }
    }
    // "{{json .}}" is Docker's document as well, whose names are not the templates'
    let template = args.format.as_deref().filter(|format| {
        let words: String = format.split_whitespace().collect();
        words != "json" && words != "{{json.}}"
    });
    let lines = template.map(Lines::new).transpose()?;
    let span = Span { since: args.since, until: args.until };
    let mut failed = None;
    let shown = container::events::events(&context.root, span, &mut |event| {
        if !is_chosen(&args.filter, event) {
            return Ok(());
        }
        let text = match (&lines, &args.format) {
            (Some(lines), _) => lines.render(value(event)),
            (None, Some(_)) => Ok(serde_json::to_string(&Document::of(event))
                .map(|line| format!("{}\n", ui::safe(&line)))
                .unwrap_or_default()),
            (None, None) => Ok(format!("{}\n", ui::safe_line(&line(event)))),
        };
        if let Err(failure) = text.and_then(|text| ui::data(text.as_bytes())) {
            failed = Some(failure);
            // it is told below
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    });
    failed.map_or(Ok(()), Err)?;
    shown?;
    Ok(0)
}

/// As `docker events` prints it.
fn line(event: &Event) -> String {
    let time =
        event.time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z");
    let time = time.to_string().replace("+00:00", "Z");
    let attributes: Vec<String> =
        event.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let attributes = match attributes.is_empty() {
        true => String::new(),
        false => format!(" ({})", attributes.join(", ")),
    };
    format!("{time} {} {} {}{attributes}", event.kind.name(), event.action, event.id)
}

/// By Docker's rules: a name or an id may be cut off at its end, an image's tag as well.
fn is_chosen(filters: &[Filter], event: &Event) -> bool {
    let values = |key: &str| filter::values(filters, key);
    let any = |key: &str, matches: &dyn Fn(&str) -> bool| {
        let wanted = values(key);
        wanted.is_empty() || wanted.into_iter().any(matches)
    };
    let name = event.attributes.get("name").map_or("", String::as_str);
    let is_of = |kind: Kind| {
        any(kind.name(), &|wanted: &str| {
            event.kind == kind && (event.id.starts_with(wanted) || name.starts_with(wanted))
        })
    };
    // their actions are followed by what was executed, or how it is
    let followed = ["health_status", "exec_create", "exec_start"];
    let is_cut = values("event").iter().any(|wanted| followed.contains(wanted));
    any("type", &|wanted| wanted == event.kind.name())
        && any("scope", &|wanted| wanted == SCOPE)
        && any("event", &|wanted| {
            event.action == wanted || (is_cut && event.action.starts_with(wanted))
        })
        && is_of(Kind::Container)
        && is_of(Kind::Network)
        && is_of(Kind::Volume)
        && any("image", &|wanted| is_of_image(event, name, wanted))
        && values("label").into_iter().all(|label| filter::has_label(&event.attributes, label))
}

fn is_of_image(event: &Event, name: &str, wanted: &str) -> bool {
    let name = match event.kind {
        Kind::Image => name,
        Kind::Container => event.attributes.get("image").map_or("", String::as_str),
        _ => return false,
    };
    let untagged = |text: &str| {
        text.parse::<Reference>().map_or(String::new(), |reference| reference.familiar_name())
    };
    let familiar = |text: &str| {
        text.parse::<Reference>().map_or(String::new(), |reference| reference.familiar())
    };
    let of_id = event.kind == Kind::Image
        && (event.id == wanted || event.id.strip_prefix("sha256:") == Some(wanted));
    of_id
        || [event.id.as_str(), name].into_iter().filter(|text| !text.is_empty()).any(|text| {
            text == wanted || untagged(text) == wanted || familiar(text) == familiar(wanted)
        })
}

const SCOPE: &str = "local";

/// What Docker says a second time, for those who know its first API.
fn of_old(event: &Event) -> Option<(&str, &str, &str)> {
    let from = event.attributes.get("image").map_or("", String::as_str);
    match event.kind {
        Kind::Container => Some((&event.action, &event.id, from)),
        Kind::Image => Some((&event.action, &event.id, "")),
        Kind::Builder | Kind::Network | Kind::Volume => None,
    }
}

/// An event as Docker's API has it.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    from: &'a str,
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(rename = "Action")]
    action: &'a str,
    #[serde(rename = "Actor")]
    actor: Actor<'a>,
    scope: &'a str,
    time: i64,
    #[serde(rename = "timeNano")]
    time_nano: i64,
}

#[derive(Serialize)]
struct Actor<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Attributes")]
    attributes: &'a BTreeMap<String, String>,
}

impl<'a> Document<'a> {
    fn of(event: &'a Event) -> Self {
        let (status, id, from) = of_old(event).unwrap_or_default();
        Self {
            status,
            id,
            from,
            kind: event.kind.name(),
            action: &event.action,
            actor: Actor { id: &event.id, attributes: &event.attributes },
            scope: SCOPE,
            time: event.time.as_second(),
            time_nano: nanoseconds(event),
        }
    }
}

fn nanoseconds(event: &Event) -> i64 {
    i64::try_from(event.time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// For templates, under the names that Docker's type has in Go.
fn value(event: &Event) -> Value {
    let (status, id, from) = of_old(event).unwrap_or_default();
    let attributes = event.attributes.iter().map(|(k, v)| (k.clone(), Value::text(v)));
    let actor = [
        ("ID".to_owned(), Value::text(&event.id)),
        ("Attributes".to_owned(), Value::Map(attributes.collect())),
    ];
    let fields = [
        ("Status", Value::text(status)),
        ("ID", Value::text(id)),
        ("From", Value::text(from)),
        ("Type", Value::text(event.kind.name())),
        ("Action", Value::text(&event.action)),
        ("Actor", Value::Struct(actor.into())),
        ("Scope", Value::text(SCOPE)),
        ("Time", Value::Int(event.time.as_second())),
        ("TimeNano", Value::Int(nanoseconds(event))),
    ];
    Value::Struct(fields.map(|(name, value)| (name.to_owned(), value)).into())
}
