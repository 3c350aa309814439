//! Listings and documents: `--format table|json|TEMPLATE` with Docker's meaning.

use super::template::{Template, Value};
use super::{safe, safe_line};
use crate::error::{BAD_TEMPLATE, Failure};
use serde::Serialize;
use std::io::Write;
use tabwriter::TabWriter;

/// One row: Docker's field names and their values.
pub struct Row(Vec<(String, Value)>);

impl Row {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    pub fn text(self, field: &str, text: impl Into<String>) -> Self {
        self.value(field, Value::Text(text.into()))
    }

    pub fn value(mut self, field: &str, value: Value) -> Self {
        self.0.push((field.to_owned(), value));
        self
    }

    /// Replaces the text of a field.
    pub fn set(&mut self, field: &str, text: impl Into<String>) {
        self.0.retain(|(name, _)| name != field);
        self.0.push((field.to_owned(), Value::Text(text.into())));
    }

    /// `.Labels` as one text, and the method `.Label "name"`.
    pub fn labels<'a>(self, labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let labels: Vec<(String, String)> =
            labels.into_iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let text: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        self.text("Labels", text.join(",")).value("Label", Value::Lookup(labels))
    }

    fn into_value(mut self) -> Value {
        // Docker's rows become JSON through a map
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
        Value::Struct(self.0)
    }
}

/// The shape of a listing.
pub struct Listing<'a> {
    /// Field names and the headings of their columns.
    pub headings: &'a [(&'a str, &'a str)],
    /// The template of the table that is printed without `--format`.
    pub table: &'a str,
    /// The template of one line with `--quiet`.
    pub quiet: &'a str,
}

impl Listing<'_> {
    /// The whole listing as text.
    pub fn render(
        &self,
        format: Option<&str>,
        quiet: bool,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<String, Failure> {
        let rows = rows.into_iter().map(Row::into_value);
        let format = format.map(unescape);
        let table = match format.as_deref() {
            _ if quiet => return render_lines(self.quiet, rows),
            None | Some("table") => self.table,
            Some("json") => return render_lines("{{json .}}", rows),
            Some(format) => match format.strip_prefix("table ") {
                Some(table) => table.trim_start(),
                None => return render_lines(format, rows),
            },
        };
        let template = parse(table)?;
        let headings = self.headings.iter().map(|(f, h)| ((*f).to_owned(), Value::text(*h)));
        let heading = template.render_heading(&Value::Struct(headings.collect()))?;
        let mut lines = vec![heading];
        for row in rows {
            lines.push(template.render(&row)?);
        }
        Ok(align(&lines))
    }
}

/// Renders documents for `inspect`: all of them as one indented JSON list, or a template for each.
pub fn documents(format: Option<&str>, documents: &[impl Serialize]) -> Result<String, Failure> {
    let values = documents.iter().map(Value::of).collect::<Result<Vec<_>, _>>();
    let values = values.map_err(super::template::Error::from)?;
    match format {
        None => Ok(pretty(&values) + "\n"),
        Some("json") => {
            Ok(safe(&serde_json::to_string(&values).unwrap_or_default()).into_owned() + "\n")
        }
        Some(format) => {
            // Docker's code for a template of a document, and not of a listing
            parse(format).map_err(|failure| failure.status(BAD_TEMPLATE))?;
            render_lines(format, values.into_iter())
        }
    }
}

/// Renders one document for `version` and `info`, which have a text of their own without `--format`.
pub fn document(format: &str, document: &impl Serialize) -> Result<String, Failure> {
    documents(
        Some(if format == "json" { "{{json .}}" } else { format }),
        std::slice::from_ref(document),
    )
}

/// Renders one document of several lists of rows.
pub fn sections<'a>(
    format: &str,
    lists: impl IntoIterator<Item = (&'a str, Vec<Row>)>,
) -> Result<String, Failure> {
    let list = |rows: Vec<Row>| Value::List(rows.into_iter().map(Row::into_value).collect());
    let fields = lists.into_iter().map(|(name, rows)| (name.to_owned(), list(rows)));
    let format = if format == "json" { "{{json .}}".to_owned() } else { unescape(format) };
    render_lines(&format, std::iter::once(Value::Struct(fields.collect())))
}

/// A template that is rendered a line at a time, as there is something to show.
pub struct Lines(Template);

impl Lines {
    pub fn new(format: &str) -> Result<Self, Failure> {
        parse(&unescape(format)).map(Self)
    }

    pub fn render(&self, value: Value) -> Result<String, Failure> {
        Ok(format!("{}\n", safe(&self.0.render(&value)?)))
    }
}

/// Four spaces of indentation, as `docker inspect` prints.
fn pretty(value: &[Value]) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // a document of ours has text keys only, and memory does not refuse to be written
    let _ = value.serialize(&mut serializer);
    safe(&String::from_utf8(bytes).unwrap_or_default()).into_owned()
}

fn render_lines(template: &str, rows: impl Iterator<Item = Value>) -> Result<String, Failure> {
    let template = parse(template)?;
    let mut text = String::new();
    for row in rows {
        text.push_str(&safe(&template.render(&row)?));
        text.push('\n');
    }
    Ok(text)
}

fn parse(template: &str) -> Result<Template, Failure> {
    Template::parse(template).map_err(|error| {
        let failure = Failure::from(error).context(format!("invalid template {template:?}"));
        let hint = failure.hint.clone();
        let general = "templates are Go's: {{.Names}}, {{json .}}, table {{.ID}}\\t{{.Status}}";
        failure.hint(hint.unwrap_or_else(|| general.to_owned()))
    })
}

/// Docker takes `\t` and `\n` for tab and newline, as shells do not.
fn unescape(format: &str) -> String {
    format.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n")
}

/// Aligns at tabs as Go's tabwriter does for Docker: columns of at least 10 characters, 3 of them space.
pub fn align(lines: &[String]) -> String {
    let mut writer = TabWriter::new(Vec::new()).minwidth(7).padding(3);
    let lines: Vec<_> = lines.iter().map(|line| safe_line(line)).collect();
    let written = writer.write_all((lines.join("\n") + "\n").as_bytes());
    match written
        .and_then(|()| writer.into_inner().map_err(|e| std::io::Error::other(e.to_string())))
    {
        Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
        // a vector does not refuse to be written
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: Listing = Listing {
        headings: &[("ID", "CONTAINER ID"), ("Image", "IMAGE"), ("Names", "NAMES"), ("Label", "")],
        table: "{{.ID}}\t{{.Image}}\t{{.Names}}",
        quiet: "{{.ID}}",
    };

    fn render(format: Option<&str>, quiet: bool) -> String {
        let labels = [("tier".to_owned(), "front".to_owned())];
        let rows = [("4f0c8b6e1a2b", "app", "web"), ("aa0c8b6e1a2b", "long/image:1", "db")].map(
            |(id, image, name)| {
                Row::new()
                    .text("ID", id)
                    .text("Image", image)
                    .text("Names", name)
                    .labels(labels.iter().map(|(k, v)| (k, v)))
            },
        );
        LISTING.render(format, quiet, rows).unwrap_or_else(|f| f.messages.join(": "))
    }

    #[test]
    fn tables_as_docker_prints_them() {
        assert_eq!(
            render(None, false),
            "CONTAINER ID   IMAGE          NAMES\n\
             4f0c8b6e1a2b   app            web\n\
             aa0c8b6e1a2b   long/image:1   db\n"
        );
        assert_eq!(
            render(Some("table {{.Names}}\\t{{.ID}}"), false),
            "NAMES     CONTAINER ID\nweb       4f0c8b6e1a2b\ndb        aa0c8b6e1a2b\n"
        );
        assert_eq!(render(Some("table"), false), render(None, false));
    }

    #[test]
    fn other_formats() {
        assert_eq!(render(None, true), "4f0c8b6e1a2b\naa0c8b6e1a2b\n");
        assert_eq!(render(Some("{{.Names}}={{.Label \"tier\"}}"), false), "web=front\ndb=front\n");
        assert_eq!(
            render(Some("json"), false).lines().next().unwrap(),
            r#"{"ID":"4f0c8b6e1a2b","Image":"app","Labels":"tier=front","Names":"web"}"#
        );
        assert_eq!(render(Some("{{.Nme}}"), false), "there is no field .Nme");
    }
}
