//! Go's Sprintf (package fmt).

use super::Value;

/// With the verbs `v T s d q t x X o b U f e g c %`, flags, width and precision, also from arguments (`*`), and arguments that
/// are named by their number (`[2]`).
pub fn printf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut arguments = Arguments { values, next: 0, is_reordered: false };
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (directive, verb) = Directive::read(&rest[at + 1..], &mut arguments);
        let mut after = verb.chars();
        match after.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match arguments.take() {
                Some(value) => out.push_str(&directive.write(verb, value)),
                None if arguments.is_reordered => out.push_str(&format!("%!{verb}(BADINDEX)")),
                None => out.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    let extra = values.get(arguments.next..).unwrap_or_default();
    if !extra.is_empty() && !arguments.is_reordered {
        let extra: Vec<_> = extra.iter().map(|v| format!("{}={v}", go_type(v))).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

struct Arguments<'a> {
    values: &'a [Value],
    next: usize,
    is_reordered: bool,
}

impl<'a> Arguments<'a> {
    fn take(&mut self) -> Option<&'a Value> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        Some(value)
    }

    /// `[2]`: the argument that comes next. What follows it.
    fn reorder<'t>(&mut self, text: &'t str) -> &'t str {
        let named = text.strip_prefix('[').and_then(|text| text.split_once(']'));
        let Some((number, rest)) = named else { return text };
        self.is_reordered = true;
        // one that is no number leads to none
        self.next = number.parse::<usize>().map_or(usize::MAX, |n| n.wrapping_sub(1));
        rest
    }

    /// A width or a precision: digits, or `*` for the next argument.
    fn number<'t>(&mut self, text: &'t str) -> (Option<i64>, &'t str) {
        let text = self.reorder(text);
        if let Some(rest) = text.strip_prefix('*') {
            let number = match self.take() {
                Some(Value::Int(number)) => Some(*number),
                _ => None,
            };
            return (number, rest);
        }
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        (text[..digits].parse().ok(), &text[digits..])
    }
}

/// What is between `%` and the verb.
#[derive(Default)]
struct Directive {
    plus: bool,
    left: bool,
    sharp: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// No line that anybody reads is as long.
const LONGEST: i64 = 4096;

impl Directive {
    /// And what follows, which begins with the verb.
    fn read<'t>(text: &'t str, arguments: &mut Arguments) -> (Self, &'t str) {
        let mut directive = Self::default();
        let rest = text.trim_start_matches(['+', '-', '#', ' ', '0']);
        for flag in text[..text.len() - rest.len()].chars() {
            match flag {
                '+' => directive.plus = true,
                '-' => directive.left = true,
                '#' => directive.sharp = true,
                '0' => directive.zero = true,
                _ => {}
            }
        }
        let (width, mut rest) = arguments.number(rest);
        let width = width.unwrap_or(0).clamp(-LONGEST, LONGEST);
        directive.left |= width < 0;
        directive.width = usize::try_from(width.abs()).unwrap_or(0);
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = arguments.number(after);
            let precision = precision.unwrap_or(0).clamp(0, LONGEST);
            directive.precision = usize::try_from(precision).ok();
            rest = after;
        }
        (directive, arguments.reorder(rest))
    }

    fn write(&self, verb: char, value: &Value) -> String {
        let text = self.text(verb, value);
        let is_number = matches!(value, Value::Int(_) | Value::Float(_)) && verb != 'c';
        let is_signed = self.plus && is_number && !text.starts_with('-') && verb != 'U';
        let text = if is_signed { format!("+{text}") } else { text };
        let width = self.width;
        if self.left {
            format!("{text:<width$}")
        } else if self.zero && is_number {
            let digits = text.trim_start_matches(['-', '+']);
            let sign = &text[..text.len() - digits.len()];
            format!("{sign}{digits:0>width$}", width = width.saturating_sub(sign.len()))
        } else {
            format!("{text:>width$}")
        }
    }

    fn text(&self, verb: char, value: &Value) -> String {
        match (verb, value) {
            ('v', Value::Text(text)) if self.sharp => format!("{text:?}"),
            ('v' | 's', Value::Text(text)) => {
                text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
            }
            ('q', Value::Text(text)) => format!("{text:?}"),
            ('x', Value::Text(text)) => text.bytes().map(|b| format!("{b:02x}")).collect(),
            ('X', Value::Text(text)) => text.bytes().map(|b| format!("{b:02X}")).collect(),
            ('v' | 'd', Value::Int(n)) => n.to_string(),
            ('x' | 'X' | 'o' | 'b', Value::Int(n)) => self.based(verb, *n),
            ('U', Value::Int(n)) => format!("U+{n:04X}"),
            ('T', value) => go_type(value).to_owned(),
            ('c', Value::Int(n)) => character(*n).to_string(),
            ('q', Value::Int(n)) => format!("{:?}", character(*n)),
            ('f' | 'F', Value::Float(n)) => format!("{n:.*}", self.precision.unwrap_or(6)),
            ('e', Value::Float(n)) => scientific(*n, self.precision.unwrap_or(6)),
            ('v' | 'g', Value::Float(n)) => n.to_string(),
            ('v' | 't', Value::Bool(value)) => value.to_string(),
            ('s' | 'd' | 'q', Value::NilList) => "[]".to_owned(),
            ('s' | 'd' | 'q', Value::List(items)) => {
                let items: Vec<_> = items.iter().map(|v| self.text(verb, v)).collect();
                format!("[{}]", items.join(" "))
            }
            ('v', value) | ('s', value @ (Value::Map(_) | Value::Struct(_))) => value.to_string(),
            (verb, value) => format!("%!{verb}({}={value})", go_type(value)),
        }
    }

    fn based(&self, verb: char, number: i64) -> String {
        let size = number.unsigned_abs();
        let (prefix, digits) = match verb {
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            'o' => ("0", format!("{size:o}")),
            _ => ("0b", format!("{size:b}")),
        };
        let sign = if number < 0 { "-" } else { "" };
        format!("{sign}{}{digits}", if self.sharp { prefix } else { "" })
    }
}

fn character(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
}

/// Go writes a sign and two digits at least.
fn scientific(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Missing | Value::Omitted | Value::Nil => "<nil>",
        Value::Hidden(value) => go_type(value),
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) | Value::NilList => "[]interface {}",
        Value::NilMap | Value::Map(_) | Value::Struct(_) => "map[string]interface {}",
        Value::Lookup(_) => "func",
    }
}
