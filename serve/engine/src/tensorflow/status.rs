//! `TF_Status` as a `Result`.

use std::ffi::CStr;
use std::ptr::NonNull;

use super::api::{TF_Status, api};
use crate::error::{Code, Error, Result};

/// An owned `TF_Status`, freed on drop.
pub(super) struct Status(NonNull<TF_Status>);

impl Status {
    pub fn new() -> Status {
        // SAFETY: no precondition; it returns a new object (`new` in C++, which never gives null).
        Status(NonNull::new(unsafe { (api().TF_NewStatus)() }).expect("TF_NewStatus allocates"))
    }

    pub fn as_ptr(&self) -> *mut TF_Status {
        self.0.as_ptr()
    }

    /// The outcome of the call that this status was passed to, with TensorFlow's own code and message.
    pub fn into_result(self) -> Result<()> {
        // SAFETY: the status is alive until the end of this function; TF_Message points into it and is copied here.
        let (code, message) = unsafe {
            match (api().TF_GetCode)(self.as_ptr()) {
                0 => return Ok(()),
                code => (code, CStr::from_ptr((api().TF_Message)(self.as_ptr())).to_string_lossy().into_owned()),
            }
        };
        Err(Error::new(Code::from_number(code), message))
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        // SAFETY: we own it and nothing else holds the pointer.
        unsafe { (api().TF_DeleteStatus)(self.as_ptr()) }
    }
}
