#![doc = include_str!("../README.md")]

pub mod app;
pub mod author;
pub mod browser;
pub mod cases;
pub mod database;
pub mod dice;
pub mod naive;
pub mod oracle;
pub mod phrase;
pub mod postgres;
pub mod proxy;
pub mod rows;
pub mod smtp;
pub mod socket;
pub mod sources;
