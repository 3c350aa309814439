//! Signals by their names and numbers.

use rustix::process::Signal as Known;

/// A signal's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a signal")]
pub struct InvalidSignal(pub String);

impl crate::hint::Hint for InvalidSignal {
    fn hint(&self) -> Option<String> {
        Some("write a name (SIGTERM, TERM, RTMIN+3) or a number".into())
    }
}

const NAMES: &[(&str, i32)] = &[
    ("HUP", Known::HUP.as_raw()),
    ("INT", Known::INT.as_raw()),
    ("QUIT", Known::QUIT.as_raw()),
    ("ILL", Known::ILL.as_raw()),
    ("TRAP", Known::TRAP.as_raw()),
    ("ABRT", Known::ABORT.as_raw()),
    ("IOT", Known::ABORT.as_raw()),
    ("BUS", Known::BUS.as_raw()),
    ("FPE", Known::FPE.as_raw()),
    ("KILL", Known::KILL.as_raw()),
    ("USR1", Known::USR1.as_raw()),
    ("SEGV", Known::SEGV.as_raw()),
    ("USR2", Known::USR2.as_raw()),
    ("PIPE", Known::PIPE.as_raw()),
    ("ALRM", Known::ALARM.as_raw()),
    ("TERM", Known::TERM.as_raw()),
    ("STKFLT", Known::STKFLT.as_raw()),
    ("CHLD", Known::CHILD.as_raw()),
    ("CLD", Known::CHILD.as_raw()),
    ("CONT", Known::CONT.as_raw()),
    ("STOP", Known::STOP.as_raw()),
    ("TSTP", Known::TSTP.as_raw()),
    ("TTIN", Known::TTIN.as_raw()),
    ("TTOU", Known::TTOU.as_raw()),
    ("URG", Known::URG.as_raw()),
    ("XCPU", Known::XCPU.as_raw()),
    ("XFSZ", Known::XFSZ.as_raw()),
    ("VTALRM", Known::VTALARM.as_raw()),
    ("PROF", Known::PROF.as_raw()),
    ("WINCH", Known::WINCH.as_raw()),
    ("IO", Known::IO.as_raw()),
    ("POLL", Known::IO.as_raw()),
    ("PWR", Known::POWER.as_raw()),
    ("SYS", Known::SYS.as_raw()),
];

/// What a C library leaves of the real-time signals (glibc keeps the first two for itself).
pub const RTMIN: i32 = 34;
pub const RTMAX: i32 = 64;

impl Signal {
    pub const KILL: Self = Self(Known::KILL.as_raw());
    pub const INT: Self = Self(Known::INT.as_raw());
    pub const TERM: Self = Self(Known::TERM.as_raw());
    pub const STOP: Self = Self(Known::STOP.as_raw());
    pub const TSTP: Self = Self(Known::TSTP.as_raw());
    pub const CONT: Self = Self(Known::CONT.as_raw());
    pub const WINCH: Self = Self(Known::WINCH.as_raw());

    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether it means that somebody wants a process to end.
    pub fn asks_to_end(self) -> bool {
        [Known::TERM, Known::INT, Known::HUP, Known::QUIT].map(Known::as_raw).contains(&self.0)
    }

    /// Whether a program that does not expect it ends (signal(7), "Term" and "Core").
    pub fn ends_a_program(self) -> bool {
        let harmless = [
            Known::CHILD.as_raw(),
            Known::CONT.as_raw(),
            Known::URG.as_raw(),
            Known::WINCH.as_raw(),
        ];
        let stops = [
            Known::STOP.as_raw(),
            Known::TSTP.as_raw(),
            Known::TTIN.as_raw(),
            Known::TTOU.as_raw(),
        ];
        !harmless.contains(&self.0) && !stops.contains(&self.0)
    }
}

impl std::str::FromStr for Signal {
    type Err = InvalidSignal;

    /// Docker's spellings: `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`.
    fn from_str(text: &str) -> Result<Self, InvalidSignal> {
        let invalid = || InvalidSignal(text.to_owned());
        if let Ok(number) = text.parse::<i32>() {
            return if (1..=RTMAX).contains(&number) { Ok(Self(number)) } else { Err(invalid()) };
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*number));
        }
        let number = if let Some(rest) = name.strip_prefix("RTMIN") {
            offset(rest, '+').map(|n| RTMIN + n)
        } else if let Some(rest) = name.strip_prefix("RTMAX") {
            offset(rest, '-').map(|n| RTMAX - n)
        } else {
            None
        };
        number.filter(|n| (RTMIN..=RTMAX).contains(n)).map(Self).ok_or_else(invalid)
    }
}

fn offset(text: &str, sign: char) -> Option<i32> {
    if text.is_empty() {
        Some(0)
    } else {
        text.strip_prefix(sign)?.parse::<u8>().ok().map(i32::from)
    }
}

impl TryFrom<i32> for Signal {
    type Error = InvalidSignal;

    fn try_from(number: i32) -> Result<Self, InvalidSignal> {
        number.to_string().parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("rtmin", 34),
        ] {
            assert_eq!(text.parse::<Signal>().unwrap().number(), number, "{text}");
        }
        for text in ["", "0", "65", "SIG", "TERMS", "RTMIN-1", "RTMAX+1", "RTMIN+40", "-9"] {
            assert!(text.parse::<Signal>().is_err(), "{text:?}");
        }
    }
}
