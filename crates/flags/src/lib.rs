#![doc = include_str!("../README.md")]

mod command;
mod conditional;
mod declared;
mod follow;
mod guard;
mod held;
mod list;
mod ofrep;
mod plugin;
mod read;

pub use declared::Declared;
pub use held::{Flags, Found, Source, Stray};
pub use plugin::{FLAGS_ADMIN, FLAGS_TABLE, FlagsOptions, FlagsPlugin};
pub use read::ReadFlags;
