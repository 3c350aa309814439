//! A compose project after loading: the types of the Compose specification in their canonical forms.
//!
//! Short forms are long ones, paths are absolute, variables are substituted, defaults that Compose writes are there.
//! What no file says is empty (`""`, `0`, `None`, an empty list), so that an engine can choose its own default.

mod build;
mod clash;
mod deploy;
mod invalid;
mod mount;
mod network;
mod pairs;
mod policy;
mod project;
pub(crate) mod record;
mod resource;
pub(crate) mod scalar;
mod service;
pub(crate) mod words;

pub use build::{Build, SshKeys};
pub use deploy::{
    BlkioConfig, Deploy, Develop, DeviceRequest, DiscreteResource, GenericResource, Placement,
    PlacementPreference, Resource, Resources, RestartPolicy, ThrottleDevice, Trigger, UpdateConfig,
    WeightDevice,
};
pub use invalid::{Invalid, Problem};
pub use mount::{
    BindOptions, CredentialSpec, Device, FileMount, ImageOptions, TmpfsOptions, VolumeMount,
    VolumeOptions,
};
pub use network::{Ipam, IpamPool, Network, NetworkAttachment, Port};
pub use pairs::{Environment, Hosts, MultiOptions, Pairs};
pub use policy::{PullPolicy, Restart};
pub use project::{NoSuchService, Project};
pub use record::{Extensions, Field, Form, plain};
pub use resource::{Config, FileObject, Model, ModelUse, Secret, Volume};
pub use scalar::{Bytes, Command, Count, Duration, Mode, OptOut, Test};
pub use service::{Dependency, EnvFile, Healthcheck, Hook, Logging, Provider, Service, Ulimit};
