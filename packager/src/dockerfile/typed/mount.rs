//! `RUN --mount`.

use super::super::ast::MountFlag;
use super::super::directives::boolean;
use super::super::error::{Error, Problem, Result};
use super::super::expand::{Scope, expand, is_plain};
use super::super::source::{Source, Word};
use super::flags::nearest_static;
use knarr_core::spec::limits::parse_size;
use knarr_core::spec::mode::parse_mode;

/// A mount of one `RUN`, its values expanded. Paths are as written: a relative target is relative to the working
/// directory (an empty one is that directory), a source to the root of what it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// `from` a stage or image, or from the build context.
    Bind { from: Option<String>, source: String, target: String, read_only: bool },
    /// A folder that outlives the build. Without an `id` the target is its name; what it holds at first comes from
    /// `from`, if given.
    Cache {
        id: Option<String>,
        from: Option<String>,
        source: String,
        target: String,
        read_only: bool,
        sharing: Sharing,
        owner: Owner,
    },
    /// `size` in bytes.
    Tmpfs { target: String, size: Option<u64>, read_only: bool },
    /// A file at `target`, or a variable named `env`, or both. At least one is set. Not `required`: a secret that isn't
    /// given is left out.
    Secret { id: String, target: Option<String>, env: Option<String>, required: bool, owner: Owner },
    /// A socket of an SSH agent. Without a `target` the runner chooses one and sets `SSH_AUTH_SOCK`.
    Ssh { id: String, target: Option<String>, required: bool, owner: Owner },
}

/// `uid`, `gid` and `mode` (octal) of what is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mode: Option<u32>,
}

/// What happens when two steps want one cache at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sharing {
    #[default]
    Shared,
    /// The second gets another folder.
    Private,
    /// The second waits.
    Locked,
}

const TYPES: &[&str] = &["bind", "cache", "tmpfs", "secret", "ssh"];
const SHARING: &[&str] = &["shared", "private", "locked"];
const OPTIONS: &[&str] = &[
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

/// Takes the flag apart as far as that goes without variables; what has none is checked now.
pub fn flag(source: &Source, text: Word) -> Result<MountFlag> {
    let fail = |problem| Err(Error::new(source, text.span, problem));
    let Some(fields) = fields(&text) else { return fail(Problem::MountQuotes) };
    let from = fields.iter().find_map(|field| {
        let (key, value) = field.split_once('=')?;
        key.eq_ignore_ascii_case("from").then(|| value.to_owned())
    });
    if from.as_ref().is_some_and(|from| !is_plain(from)) {
        return fail(Problem::FixedName { option: "from" });
    }
    let flag = MountFlag { text, from: from.filter(|from| !from.is_empty()) };
    if !flag.text.contains(['$', '\\', '`']) {
        flag.resolve(&Scope::bare(source))?;
    }
    Ok(flag)
}

impl MountFlag {
    /// Reads the flag with the variables that are set where its `RUN` stands.
    pub fn resolve(&self, scope: &Scope) -> Result<Mount> {
        let fail = |problem| scope.error(self.text.span, problem);
        let fields = fields(&self.text).ok_or_else(|| fail(Problem::MountQuotes))?;
        let mut options = Options { scope, word: &self.text, fields: Vec::new() };
        for field in fields {
            options.add(&field)?;
        }
        options.mount()
    }

    /// The words of it in which variables are expanded.
    pub(in super::super) fn words(&self) -> Vec<Word> {
        let fields = fields(&self.text).unwrap_or_default();
        let values = fields.iter().filter_map(|field| field.split_once('='));
        values.map(|(_, value)| Word::new(value.to_owned(), self.text.span)).collect()
    }
}

/// Splits at commas, as CSV has it: a field in double quotes may hold commas, and `""` for one quote.
fn fields(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, after) = quoted.split_once('"')?;
                field.push_str(part);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
            if field.contains('"') {
                return None;
            }
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Some(fields),
            None => return None,
        }
    }
}

/// The number of a user or group.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

/// The options of one mount while it is read: each under its first spelling, the last of two counts.
struct Options<'a> {
    scope: &'a Scope,
    word: &'a Word,
    fields: Vec<(&'static str, String)>,
}

impl Options<'_> {
    fn fail<T>(&self, problem: Problem) -> Result<T> {
        Err(self.scope.error(self.word.span, problem))
    }

    fn add(&mut self, field: &str) -> Result<()> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        let key = key.to_lowercase();
        let Some(known) = OPTIONS.iter().find(|known| **known == key) else {
            let nearest = nearest_static(&key, OPTIONS);
            return self.fail(Problem::UnknownOption { option: key, nearest, known: OPTIONS });
        };
        let option = match *known {
            "src" => "source",
            "dst" | "destination" => "target",
            "ro" => "readonly",
            "rw" => "readwrite",
            other => other,
        };
        let value = match value {
            Some(value) => expand(&Word::new(value.to_owned(), self.word.span), self.scope)?.text,
            None if ["readonly", "readwrite", "required"].contains(&option) => "true".to_owned(),
            None => return self.fail(Problem::OptionValue { option: key }),
        };
        self.fields.push((option, value));
        Ok(())
    }

    fn get(&self, option: &str) -> Option<&str> {
        self.fields.iter().rfind(|(name, _)| *name == option).map(|(_, value)| value.as_str())
    }

    /// The value, if there is one and it isn't empty.
    fn text(&self, option: &str) -> Option<String> {
        self.get(option).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    fn boolean(&self, option: &'static str) -> Result<Option<bool>> {
        let Some(value) = self.get(option) else { return Ok(None) };
        match boolean(value) {
            Some(value) => Ok(Some(value)),
            None => self.invalid(option, value, "true or false"),
        }
    }

    fn invalid<T>(&self, option: &str, value: &str, expected: &'static str) -> Result<T> {
        self.fail(Problem::Value { option: option.to_owned(), value: value.to_owned(), expected })
    }

    fn number(
        &self,
        option: &'static str,
        read: fn(&str) -> Option<u32>,
        expected: &'static str,
    ) -> Result<Option<u32>> {
        let Some(value) = self.get(option) else { return Ok(None) };
        match read(value) {
            Some(number) => Ok(Some(number)),
            None => self.invalid(option, value, expected),
        }
    }

    fn choice(
        &self,
        option: &'static str,
        known: &'static [&'static str],
    ) -> Result<Option<&'static str>> {
        let Some(value) = self.get(option) else { return Ok(None) };
        let lower = value.to_lowercase();
        match known.iter().find(|known| **known == lower) {
            Some(known) => Ok(Some(known)),
            None => self.fail(Problem::Choice {
                option: option.to_owned(),
                value: value.to_owned(),
                nearest: nearest_static(value, known),
                known,
            }),
        }
    }

    fn mount(&self) -> Result<Mount> {
        let kind = self.choice("type", TYPES)?.unwrap_or("bind");
        self.check_options(kind)?;
        let given =
            match (self.boolean("readonly")?, self.boolean("readwrite")?) {
                (Some(read_only), None) => Some(read_only),
                (None, Some(writable)) => Some(!writable),
                (Some(_), Some(writable)) => {
                    let last = self.fields.iter().rfind(|(name, _)| name.starts_with("read"));
                    last.map(|(name, value)| {
                        if *name == "readonly" { boolean(value) == Some(true) } else { !writable }
                    })
                }
                (None, None) => None,
            };
        let owner = Owner {
            uid: self.number("uid", id, "a number")?,
            gid: self.number("gid", id, "a number")?,
            mode: self.number("mode", parse_mode, "an octal number such as 0644")?,
        };
        let target = self.text("target");
        let path = target.clone().unwrap_or_default();
        let required = self.boolean("required")?.unwrap_or(false);
        let source = self.text("source").unwrap_or_default();
        Ok(match kind {
            "cache" => Mount::Cache {
                id: self.text("id"),
                from: self.text("from"),
                source,
                target: path,
                read_only: given.unwrap_or(false),
                sharing: match self.choice("sharing", SHARING)? {
                    Some("private") => Sharing::Private,
                    Some("locked") => Sharing::Locked,
                    _ => Sharing::Shared,
                },
                owner,
            },
            "tmpfs" => {
                Mount::Tmpfs { target: path, size: self.size()?, read_only: given.unwrap_or(false) }
            }
            "secret" => self.secret(target, required, owner)?,
            "ssh" => {
                let id = self.text("id").unwrap_or_else(|| "default".into());
                Mount::Ssh { id, target, required, owner }
            }
            _ => Mount::Bind {
                from: self.text("from"),
                source,
                target: path,
                read_only: given.unwrap_or(true),
            },
        })
    }

    /// Options that a mount of another type has.
    fn check_options(&self, kind: &'static str) -> Result<()> {
        const LIMITED: &[(&str, &[&str])] = &[
            ("required", &["secret", "ssh"]),
            ("size", &["tmpfs"]),
            ("sharing", &["cache"]),
            ("mode", &["secret", "ssh", "cache"]),
            ("uid", &["secret", "ssh", "cache"]),
            ("gid", &["secret", "ssh", "cache"]),
            ("from", &["bind", "cache", "tmpfs", "ssh"]),
        ];
        for (option, kinds) in LIMITED {
            if self.get(option).is_some() && !kinds.contains(&kind) {
                return self.fail(Problem::MountOption { kind, option });
            }
        }
        Ok(())
    }

    fn secret(&self, target: Option<String>, required: bool, owner: Owner) -> Result<Mount> {
        let (id, source) = (self.text("id"), self.text("source"));
        if id.is_some() && source.is_some() {
            return self.fail(Problem::MountNeeds {
                kind: "secret",
                needs: "an id or a source, not both",
            });
        }
        let base = |path: &str| {
            path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
        };
        let named = id.or(source).or_else(|| target.as_deref().map(base));
        let Some(id) = named.filter(|id| !id.is_empty()) else {
            return self.fail(Problem::MountNeeds { kind: "secret", needs: "an id or a target" });
        };
        let env =
            self.get("env").map(|name| if name.is_empty() { id.clone() } else { name.to_owned() });
        let target = match (&target, &env) {
            (None, None) => Some(format!("/run/secrets/{}", base(&id))),
            _ => target,
        };
        Ok(Mount::Secret { id, target, env, required, owner })
    }

    fn size(&self) -> Result<Option<u64>> {
        let Some(value) = self.get("size") else { return Ok(None) };
        match parse_size(value) {
            Ok(size) => Ok(Some(size)),
            Err(_) => self.invalid("size", value, "a number of bytes such as 64m or 1.5GiB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_csv() {
        let split = |text| fields(text).map(|fields| fields.join("|"));
        assert_eq!(split("a=1,b,c=2").as_deref(), Some("a=1|b|c=2"));
        assert_eq!(split(r#"a,"b,""c""",d"#).as_deref(), Some(r#"a|b,"c"|d"#));
        assert_eq!(split("").as_deref(), Some(""));
        assert_eq!(split(r#"a"b"#), None);
        assert_eq!(split(r#""a"#), None);
        assert_eq!(split(r#""a"b"#), None);
    }
}
