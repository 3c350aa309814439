//! Any text: loaded without a panic and within bounds, and what was loaded can be written and read again.

#![no_main]

use knarr_compose::fuzz;
use knarr_compose::load::{Options, Skip};
use knarr_compose::model::Form;
use knarr_compose::render::{self, Format};
use knarr_core::hint::Hint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut options = Options {
        files: vec!["/nonexistent/compose.yaml".into()],
        current: "/nonexistent".into(),
        skip: Skip { environment: true, ..Skip::default() },
        ..Options::default()
    };
    for (name, value) in [("A", "a"), ("EMPTY", ""), ("NUMBER", "3"), ("LONG", "x y: [z]\n'\"#")] {
        options.environment.insert(name.into(), value.into());
    }
    for interpolation in [false, true] {
        options.skip.interpolation = interpolation;
        match fuzz::load(text, &options) {
            Ok(loaded) => {
                let project = loaded.project;
                render::project(&project, Format::Json);
                let yaml = render::project(&project, Format::Yaml).replace("$$", "$");
                assert_eq!(fuzz::parse(&yaml), Some(render::document(&project, Form::Yaml)));
                for service in project.services.values() {
                    render::service_hash(service);
                    service.pull_policy();
                    service.restart_policy();
                }
                assert_eq!(project.in_order().len(), project.services.len());
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(error.hint().is_none_or(|hint| !hint.is_empty()));
            }
        }
    }
});
