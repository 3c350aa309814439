//! Builds from outside: what is in the image, what is in the store afterwards, and what was done again.

mod basics;
mod cache;
mod checks;
mod copy;
mod hostile;
mod image;
mod plans;
mod remote;
mod run;
