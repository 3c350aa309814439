//! `knarr build`, `package` and `builder`.

mod cache;
mod failures;
mod heredocs;
mod input;
mod interrupts;
mod mounts;
mod outputs;
mod packages;
mod steps;
mod variants;

use crate::harness::{Ended, Knarr};
use std::path::PathBuf;

impl Knarr {
    /// A folder with these files, the context of a build.
    pub fn context(&self, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.files().join("context");
        for (name, content) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    /// Builds the context with this Dockerfile, under the name `app`.
    #[track_caller]
    pub fn build(&self, dockerfile: &str, options: &[&str]) -> Ended {
        let context = self.context(&[("Dockerfile", dockerfile)]);
        let mut words = vec!["build", "-t", "app", "--progress", "plain"];
        words.extend(options);
        words.push(context.to_str().unwrap());
        self.run(&words)
    }

    /// [`Self::build`], which must succeed; what it said.
    #[track_caller]
    pub fn built(&self, dockerfile: &str, options: &[&str]) -> String {
        self.build(dockerfile, options).code(0).stderr
    }

    /// The file systems of a step that are not there any more after it: no run folder of one is.
    #[track_caller]
    pub fn assert_no_step_left(&self) {
        let folder = self.root().join("run/steps/c");
        crate::harness::proc::until("no step is left", || {
            folder.read_dir().is_ok_and(|mut entries| entries.next().is_none())
        });
    }
}
