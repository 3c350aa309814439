//! Builds from outside: what is in the image, what is in the store afterwards, and what was done again.

mod basics;
mod cache;
mod checks;
mod copy;
mod git;
mod hostile;
mod ignore;
mod image;
mod places;
mod plans;
mod remote;
mod run;
mod variables;
