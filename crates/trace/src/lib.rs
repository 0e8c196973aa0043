#![doc = include_str!("../README.md")]

mod exporter;
mod otlp;
mod recorder;
mod recording;
mod shown;

pub use exporter::{Exporter, ExporterError, Target};
pub use otlp::Resource;
pub use recorder::{Recorder, RecorderFilter};
pub use shown::WithTree;
