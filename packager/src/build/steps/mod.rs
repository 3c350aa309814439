//! What single instructions do.

pub mod archive;
pub mod binds;
pub mod copy;
pub mod copying;
pub mod mode;
pub mod owner;
pub mod run;
pub mod stubs;
pub mod target;
pub mod workdir;
