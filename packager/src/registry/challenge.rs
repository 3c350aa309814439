//! `WWW-Authenticate`: what a registry wants as proof (RFC 9110, 11.6.1; distribution-spec, "token").

/// One challenge of a `401 Unauthorized`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// The challenges that we can answer, in the order of the header.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let (scheme, after) = token(rest);
        if scheme.is_empty() {
            break;
        }
        let (parameters, after) = parameters(after);
        let get = |name: &str| {
            parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|p| p.1.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = get("realm")
        {
            challenges.push(Challenge::Bearer {
                realm,
                service: get("service"),
                scope: get("scope"),
            });
        }
        rest = after;
    }
    challenges
}

/// Parameters up to the next challenge, and what follows them.
fn parameters(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        let candidate = rest.trim_start_matches([' ', '\t', ',']);
        let (name, after) = token(candidate);
        // no `=`: this is the next challenge's scheme
        let Some(value) = after.trim_start().strip_prefix('=') else { return (found, candidate) };
        let (value, after) = unquote(value.trim_start());
        if name.is_empty() {
            return (found, after);
        }
        found.push((name.to_owned(), value));
        rest = after;
    }
}

fn token(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~".contains(c))
        .unwrap_or(text.len());
    text.split_at(end)
}

fn unquote(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        }
    }

    #[test]
    fn real_registries() {
        assert_eq!(
            parse(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
            ),
            [bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:a/b:pull,push")
            )]
        );
        assert_eq!(parse(r#"Basic realm="Registry Realm""#), [Challenge::Basic]);
        assert_eq!(
            parse(r#"bearer realm="https://x/t", error="invalid_token" , Basic realm="a\"b, c""#),
            [bearer("https://x/t", None, None), Challenge::Basic]
        );
        assert_eq!(parse("Negotiate, Basic realm=x"), [Challenge::Basic]);
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for text in ["", "Bearer", "=", "\"", "Bearer realm", "Bearer realm=\"", ",,,", "é"] {
            let found = parse(text);
            assert!(found.iter().all(|c| *c == bearer("", None, None)), "{text:?}: {found:?}");
        }
    }
}
