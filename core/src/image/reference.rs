//! Image references by Docker's rules (`distribution/reference`): `[domain/]path[:tag][@digest]`.

use super::Digest;
use std::fmt;
use std::str::FromStr;

/// A normalised image reference: always with a domain, and with a tag unless it has a digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    #[error("an image reference must not be empty")]
    Empty,
    #[error("invalid reference {reference:?}: the repository name must be lower case")]
    UpperCase { reference: String },
    #[error("invalid reference {reference:?}: 64 hexadecimal digits are an id, and no name")]
    Id { reference: String },
    #[error("invalid reference {reference:?}: the name is longer than 255 characters")]
    TooLong { reference: String },
    #[error("invalid reference {reference:?}: {part:?} is not a valid {kind}")]
    Part { reference: String, kind: &'static str, part: String },
}

impl crate::hint::Hint for InvalidReference {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UpperCase { reference }
                if reference.to_lowercase().parse::<Reference>().is_ok() =>
            {
                format!("try {:?}", reference.to_lowercase())
            }
            _ => "write it as [registry/]name[:tag], for example alpine:3.20 or localhost:5000/app"
                .into(),
        })
    }
}

impl Reference {
    /// The registry: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within the registry: `library/alpine`.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path, without tag and digest: `docker.io/library/alpine`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// As people write it: without `docker.io/` and `library/`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        let path = self.path.strip_prefix("library/").filter(|rest| !rest.contains('/'));
        path.unwrap_or(&self.path).to_owned()
    }

    /// [`Self::familiar_name`] with tag and digest.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// The same repository with another tag, and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, InvalidReference> {
        check_tag(tag, tag)?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository, by digest only.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_ref());
        }
        text
    }
}

const DEFAULT_DOMAIN: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.is_empty() {
            return Err(InvalidReference::Empty);
        }
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 64 && text.bytes().all(is_digit) {
            return Err(InvalidReference::Id { reference: text.to_owned() });
        }
        let part = |kind, part: &str| InvalidReference::Part {
            reference: text.to_owned(),
            kind,
            part: part.to_owned(),
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let parsed = Digest::from_str(digest).map_err(|_| part("digest", digest))?;
                (rest, Some(parsed))
            }
            None => (text, None),
        };
        // a colon after the last slash starts the tag; an earlier one belongs to the port
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            check_tag(tag, text)?;
        }
        let (domain, path) = match name.split_once('/') {
            Some((first, path)) if is_domain(first) => {
                let domain = if first == "index.docker.io" { DEFAULT_DOMAIN } else { first };
                (domain, path)
            }
            _ => (DEFAULT_DOMAIN, name),
        };
        if !valid_domain(domain) {
            return Err(part("registry", domain));
        }
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(InvalidReference::UpperCase { reference: text.to_owned() });
        }
        for component in path.split('/') {
            if !valid_component(component) {
                return Err(part("repository name", component));
            }
        }
        let path = if domain == DEFAULT_DOMAIN && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        if domain.len() + 1 + path.len() > 255 {
            return Err(InvalidReference::TooLong { reference: text.to_owned() });
        }
        let tag = match (tag, &digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.name()))
    }
}

/// Docker's rule: what is before the first slash is a registry if it has a dot or a port, is `localhost`,
/// or has an upper-case letter (which no repository may have).
fn is_domain(first: &str) -> bool {
    first.contains(['.', ':'])
        || first == "localhost"
        || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn valid_domain(domain: &str) -> bool {
    if let Some(rest) = domain.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<std::net::Ipv6Addr>().is_ok() && valid_port(port);
    }
    let (host, port) = domain.find(':').map_or((domain, ""), |at| domain.split_at(at));
    valid_port(port)
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// Empty, or a colon and digits.
fn valid_port(port: &str) -> bool {
    port.is_empty()
        || port.strip_prefix(':').is_some_and(|p| !p.is_empty() && p.parse::<u16>().is_ok())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn valid_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_are_words =
        bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word);
    ends_are_words
        && component.split(|c: char| is_word(u8::try_from(c).unwrap_or(0))).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

/// `[\w][\w.-]{0,127}`
fn check_tag(tag: &str, reference: &str) -> Result<(), InvalidReference> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let valid = tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-');
    if valid {
        return Ok(());
    }
    Err(InvalidReference::Part {
        reference: reference.to_owned(),
        kind: "tag",
        part: tag.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// From `distribution/reference`, normalize_test.go.
    #[test]
    fn normal_and_familiar_forms() {
        for (text, normal, familiar) in [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            (
                "docker.io/library/foo/bar",
                "docker.io/library/foo/bar:latest",
                "library/foo/bar:latest",
            ),
            ("index.docker.io/foo/bar:1", "docker.io/foo/bar:1", "foo/bar:1"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("127.0.0.1:5000/a/b:x", "127.0.0.1:5000/a/b:x", "127.0.0.1:5000/a/b:x"),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("xn--7o8h.com/myimage:9.2", "xn--7o8h.com/myimage:9.2", "xn--7o8h.com/myimage:9.2"),
            ("foo--bar/a__b.c", "docker.io/foo--bar/a__b.c:latest", "foo--bar/a__b.c:latest"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), normal);
            assert_eq!(reference.familiar(), familiar);
        }
        let pinned: Reference = format!("redis:7@{DIGEST}").parse().unwrap();
        assert_eq!(pinned.to_string(), format!("docker.io/library/redis:7@{DIGEST}"));
        let pinned: Reference = format!("redis@{DIGEST}").parse().unwrap();
        assert_eq!(pinned.tag(), None);
    }

    #[test]
    fn refuses_what_docker_refuses() {
        for text in [
            "",
            "Alpine",
            "a//b",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "a:",
            "a:-x",
            "a@sha256:12",
            "a:b:c",
            "https://github.com/docker/docker",
            "docker/Docker",
            "a b",
            "a/../b",
            "./a",
            "é",
            "host:99999/a",
            "[::1/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }
}
