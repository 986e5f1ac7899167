//! The devices that a session computes on.

use std::ffi::{CStr, c_char, c_int};
use std::ptr::NonNull;

use super::api::{TF_DeviceList, TF_Status, api};
use super::session::Session;
use super::status::Status;
use crate::error::{Error, Result};

/// A CPU or an accelerator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Type and number, e.g. `GPU:0`.
    pub name: String,
    /// `CPU`, `GPU`, ...
    pub kind: String,
    /// What TensorFlow may take of its memory; without a meaning for a CPU.
    pub memory_bytes: i64,
}

impl Session {
    /// All devices that TensorFlow has found under this session's config.
    pub fn devices(&self) -> Result<Vec<Device>> {
        let status = Status::new();
        // SAFETY: the session is alive for `&self`.
        let raw = unsafe { (api().TF_SessionListDevices)(self.as_ptr(), status.as_ptr()) };
        let list = NonNull::new(raw).map(DeviceList);
        status.into_result()?;
        let list = list.ok_or_else(|| Error::internal("TensorFlow returned no list of devices"))?;
        // SAFETY: the list is alive.
        let count = unsafe { (api().TF_DeviceListCount)(list.0.as_ptr()) };
        (0..count).map(|index| list.device(index)).collect()
    }
}

struct DeviceList(NonNull<TF_DeviceList>);

impl DeviceList {
    fn device(&self, index: c_int) -> Result<Device> {
        let full_name = self.text(api().TF_DeviceListName, index)?;
        let status = Status::new();
        // SAFETY: the list is alive; an index that is out of bounds is an error of the status.
        let memory_bytes = unsafe { (api().TF_DeviceListMemoryBytes)(self.0.as_ptr(), index, status.as_ptr()) };
        status.into_result()?;
        Ok(Device {
            // As in `/job:localhost/replica:0/task:0/device:GPU:0`.
            name: full_name.rsplit_once("/device:").map_or(full_name.as_str(), |(_, name)| name).to_owned(),
            kind: self.text(api().TF_DeviceListType, index)?,
            memory_bytes,
        })
    }

    fn text(
        &self,
        attribute: unsafe extern "C" fn(*const TF_DeviceList, c_int, *mut TF_Status) -> *const c_char,
        index: c_int,
    ) -> Result<String> {
        let status = Status::new();
        // SAFETY: both functions that are passed take a list that is alive and any index; what is out of bounds is an
        // error of the status.
        let text = unsafe { attribute(self.0.as_ptr(), index, status.as_ptr()) };
        status.into_result()?;
        // SAFETY: without an error it is a NUL-terminated text that lives as long as the list.
        Ok(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    }
}

impl Drop for DeviceList {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { (api().TF_DeleteDeviceList)(self.0.as_ptr()) }
    }
}
