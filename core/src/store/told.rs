//! Telling what happens to images.

use super::{Removed, Store};
use crate::events::{self, Event, Kind};
use crate::image::{Descriptor, Digest, Reference};
use std::collections::BTreeMap;

impl Store {
    /// Tells what was done to an image, with its labels. `name`: `None` is its id, as Docker has it.
    pub fn tell(&self, action: &str, descriptor: &Descriptor, name: Option<&Reference>) {
        let id = descriptor.digest().to_string();
        let name = name.map_or_else(|| id.clone(), Reference::familiar);
        let labels = self.labels_of(descriptor).unwrap_or_default();
        let event = Event::new(Kind::Image, action, id).labels(&labels).with("name", name);
        events::tell(self.root(), &[event]);
    }

    /// Tells that an image came from or went to a registry.
    pub fn tell_moved(&self, action: &str, reference: &Reference) {
        let event = Event::new(Kind::Image, action, reference.familiar());
        events::tell(self.root(), &[event.with("name", reference.familiar_name())]);
    }

    /// Tells which names and images are gone.
    pub(super) fn tell_removed(&self, id: &Digest, removed: &[Removed]) {
        let id = id.to_string();
        let event = |one: &Removed| match one {
            Removed::Untagged(name) => {
                Some(Event::new(Kind::Image, "untag", &id).with("name", name.familiar()))
            }
            Removed::Image(_) => Some(Event::new(Kind::Image, "delete", &id).with("name", &id)),
            Removed::Blob { .. } | Removed::Layer { .. } | Removed::Leftover { .. } => None,
        };
        let events: Vec<Event> = removed.iter().filter_map(event).collect();
        events::tell(self.root(), &events);
    }

    fn labels_of(&self, descriptor: &Descriptor) -> Option<BTreeMap<String, String>> {
        let mut labels = None;
        let visited = self.walk(descriptor, &mut |_, manifest| {
            if labels.is_none()
                && let Some(manifest) = manifest
            {
                labels = self.config(manifest).ok().map(|config| config.config.labels);
            }
            Ok(())
        });
        visited.ok().and(labels)
    }
}
