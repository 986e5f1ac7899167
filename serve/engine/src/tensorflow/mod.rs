//! Safe wrappers over TensorFlow's C API. All `unsafe` of the engine lives in this folder.
//!
//! The library is opened at run time from the installed wheel (nothing is linked at build time), once per process, and
//! never closed: TensorFlow cannot be unloaded.
#![allow(unsafe_code)]

mod api;
mod device;
mod dtype;
mod probe;
mod session;
mod status;
mod tensor;

pub use api::{load_op_library, open, version};
pub use device::Device;
pub use dtype::DataType;
pub use session::{Session, SessionOptions};
pub use tensor::{ALIGNMENT, Tensor, element_count};
