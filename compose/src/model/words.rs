//! Commands that are written as one text, split into words as a shell would.

/// The words of a command. As with Compose, what follows an unquoted `;`, `&`, `|`, `<` or `>` is dropped, `\t` and `\n`
/// are a tab and a line feed, and `$(…)` and backquotes stay as they are. Nothing where quotes or brackets do not match.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    #[derive(PartialEq)]
    enum State {
        None,
        Plain,
        Quoted,
    }
    let mut words = Vec::new();
    let mut word = String::new();
    let mut state = State::None;
    let (mut escaped, mut double, mut single, mut back, mut dollar) =
        (false, false, false, false, false);
    for c in line.chars() {
        if escaped {
            word.push(match c {
                't' => '\t',
                'n' => '\n',
                other => other,
            });
            escaped = false;
            state = State::Plain;
            continue;
        }
        match c {
            '\\' if single => word.push(c),
            '\\' => escaped = true,
            ' ' | '\t' | '\r' | '\n' if single || double || back || dollar => word.push(c),
            ' ' | '\t' | '\r' | '\n' => {
                if state != State::None {
                    words.push(std::mem::take(&mut word));
                    state = State::None;
                }
            }
            '"' if !single && !dollar => {
                if double {
                    state = State::Quoted;
                }
                double = !double;
            }
            '\'' if !double && !dollar => {
                if single {
                    state = State::Quoted;
                }
                single = !single;
            }
            '(' if !single && !double && !back => {
                if dollar || !word.ends_with('$') {
                    return None;
                }
                dollar = true;
                word.push(c);
            }
            ';' | '&' | '|' | '<' | '>' if !(single || double || back || dollar) => {
                // "2>file" is no word of its own
                if c == '>' && word.starts_with(|first: char| first.is_ascii_digit()) {
                    state = State::None;
                }
                break;
            }
            _ => {
                match c {
                    '`' if !single && !double && !dollar => back = !back,
                    ')' if !single && !double && !back => dollar = !dollar,
                    _ => {}
                }
                state = State::Plain;
                word.push(c);
            }
        }
    }
    if state != State::None {
        words.push(word);
    }
    (!(escaped || single || double || back || dollar)).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_split_as_compose_does() {
        let rows: &[(&str, Option<&[&str]>)] = &[
            ("a b", Some(&["a", "b"])),
            ("", Some(&[])),
            ("  a  'b c' \"d\\\"e\" ", Some(&["a", "b c", "d\"e"])),
            ("sh -c 'a && b'", Some(&["sh", "-c", "a && b"])),
            ("a && b", Some(&["a"])),
            ("a 2>&1", Some(&["a"])),
            ("echo $(date +%s)", Some(&["echo", "$(date +%s)"])),
            ("echo `a b`", Some(&["echo", "`a b`"])),
            ("a ''", Some(&["a", ""])),
            ("a\\tb", Some(&["a\tb"])),
            ("a '", None),
            ("f(x)", None),
        ];
        for (line, words) in rows {
            let expected = words.map(|w| w.iter().map(|s| s.to_string()).collect::<Vec<_>>());
            assert_eq!(split(line), expected, "{line}");
        }
    }
}
