//! Programs that change users or owners fail in a container that has one id. What they say then names no cause that a user of
//! such a container could know; it is added where they have said it and failed.

use super::Session;
use crate::monitor::log::Stream;
use knarr_core::spec::{ContainerSpec, EngineKind};
use knarr_core::sys::{self, Owners};

/// What chown(2), setuid(2) and setgroups(2) make programs say.
const SYMPTOMS: [&[u8]; 2] = [b"Invalid argument", b"not permitted"];

/// Looks at what a guest says.
#[derive(Debug)]
pub struct OneId {
    /// The end of what was said last, which a symptom may continue.
    tail: Vec<u8>,
    seen: bool,
}

impl OneId {
    /// For a container that has one id; of others nothing need be looked at.
    pub fn watch(spec: &ContainerSpec) -> Option<Self> {
        let concerns = spec.engine == EngineKind::Native && sys::owners() == Owners::One;
        concerns.then(|| Self { tail: Vec::new(), seen: false })
    }

    pub fn look(&mut self, bytes: &[u8]) {
        if self.seen {
            return;
        }
        self.tail.extend_from_slice(bytes);
        let has = |symptom: &&[u8]| self.tail.windows(symptom.len()).any(|part| part == *symptom);
        self.seen = SYMPTOMS.iter().any(has);
        let kept = self.tail.len().saturating_sub(SYMPTOMS[0].len());
        self.tail.drain(..kept);
    }

    /// What to add at the end of a guest with this exit code.
    pub fn remark(&self, code: u8) -> Option<String> {
        if !self.seen || code == 0 {
            return None;
        }
        let lacking = sys::lacking_ids()?;
        Some(format!("knarr: this container has one user and one group, yours: {lacking}\n"))
    }
}

impl Session<'_> {
    /// Adds what the guest could not know to what it said, at its end.
    pub fn remark(&mut self, code: u8) {
        let remark = self.one_id.as_ref().and_then(|one_id| one_id.remark(code));
        if let Some(text) = remark {
            let text = if self.terminal { text.replace('\n', "\r\n") } else { text };
            self.one_id = None;
            self.pass_on(Stream::Stderr, text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symptom_may_come_in_pieces() {
        for (said, expected) in [
            (&["chown: /x: Invalid argument"][..], true),
            (&["chown: /x: Inva", "lid argum", "ent\n"], true),
            (&["setgroups: Operation not ", "permitted"], true),
            (&["Invalid", " and argument: Invalid arg"], false),
        ] {
            let mut watch = OneId { tail: Vec::new(), seen: false };
            said.iter().for_each(|piece| watch.look(piece.as_bytes()));
            assert_eq!(watch.seen, expected, "{said:?}");
        }
    }
}
