//! What can be done with a container: one file for each verb.

pub mod options;
