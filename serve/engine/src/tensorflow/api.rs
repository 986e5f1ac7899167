//! The functions of `tensorflow/c/c_api.h` that the engine calls, looked up by name.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::status::Status;
use crate::error::{Code, Error, Result};

macro_rules! opaque {
    ($($name:ident),*) => { $(#[repr(C)] pub(super) struct $name { _private: [u8; 0] })* };
}
opaque!(TF_DeviceList, TF_Graph, TF_Library, TF_Operation, TF_Session, TF_SessionOptions, TF_Status, TF_Tensor);

#[repr(C)]
pub(super) struct TF_Buffer {
    pub data: *const c_void,
    pub length: usize,
    pub data_deallocator: Option<unsafe extern "C" fn(*mut c_void, usize)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct TF_Output {
    pub oper: *mut TF_Operation,
    pub index: c_int,
}

/// TensorFlow's string: 24 bytes that only the TF_String functions look into.
#[repr(C, align(8))]
pub(super) struct TF_TString {
    _private: [u8; 24],
}

pub(super) type Deallocator = unsafe extern "C" fn(*mut c_void, usize, *mut c_void);

macro_rules! api {
    ($(fn $name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        #[allow(non_snake_case)]
        pub(super) struct Api { $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        impl Api {
            fn look_up(library: &Library) -> std::result::Result<Api, libloading::Error> {
                Ok(Api {
                    // SAFETY: each signature below is the one that c_api.h declares under this name; the pointers stay
                    // valid because the library is never closed (`open` leaks it).
                    $($name: unsafe { *library.get(concat!(stringify!($name), "\0").as_bytes())? },)*
                })
            }
        }
    };
}

api! {
    fn TF_Version() -> *const c_char;
    fn TF_NewStatus() -> *mut TF_Status;
    fn TF_DeleteStatus(*mut TF_Status);
    fn TF_GetCode(*const TF_Status) -> c_int;
    fn TF_Message(*const TF_Status) -> *const c_char;
    fn TF_NewBuffer() -> *mut TF_Buffer;
    fn TF_DeleteBuffer(*mut TF_Buffer);
    fn TF_NewSessionOptions() -> *mut TF_SessionOptions;
    fn TF_DeleteSessionOptions(*mut TF_SessionOptions);
    fn TF_SetConfig(*mut TF_SessionOptions, *const c_void, usize, *mut TF_Status);
    fn TF_NewGraph() -> *mut TF_Graph;
    fn TF_DeleteGraph(*mut TF_Graph);
    fn TF_GraphGetOpDef(*mut TF_Graph, *const c_char, *mut TF_Buffer, *mut TF_Status);
    fn TF_GraphOperationByName(*mut TF_Graph, *const c_char) -> *mut TF_Operation;
    fn TF_OperationNumOutputs(*mut TF_Operation) -> c_int;
    fn TF_NewSession(*mut TF_Graph, *const TF_SessionOptions, *mut TF_Status) -> *mut TF_Session;
    fn TF_LoadSessionFromSavedModel(
        *const TF_SessionOptions, *const TF_Buffer, *const c_char, *const *const c_char, c_int, *mut TF_Graph,
        *mut TF_Buffer, *mut TF_Status
    ) -> *mut TF_Session;
    fn TF_CloseSession(*mut TF_Session, *mut TF_Status);
    fn TF_DeleteSession(*mut TF_Session, *mut TF_Status);
    fn TF_SessionRun(
        *mut TF_Session, *const TF_Buffer, *const TF_Output, *const *mut TF_Tensor, c_int, *const TF_Output,
        *mut *mut TF_Tensor, c_int, *const *const TF_Operation, c_int, *mut TF_Buffer, *mut TF_Status
    );
    fn TF_SessionListDevices(*mut TF_Session, *mut TF_Status) -> *mut TF_DeviceList;
    fn TF_DeleteDeviceList(*mut TF_DeviceList);
    fn TF_DeviceListCount(*const TF_DeviceList) -> c_int;
    fn TF_DeviceListName(*const TF_DeviceList, c_int, *mut TF_Status) -> *const c_char;
    fn TF_DeviceListType(*const TF_DeviceList, c_int, *mut TF_Status) -> *const c_char;
    fn TF_DeviceListMemoryBytes(*const TF_DeviceList, c_int, *mut TF_Status) -> i64;
    fn TF_NewTensor(c_int, *const i64, c_int, *mut c_void, usize, Deallocator, *mut c_void) -> *mut TF_Tensor;
    fn TF_DeleteTensor(*mut TF_Tensor);
    fn TF_TensorType(*const TF_Tensor) -> c_int;
    fn TF_NumDims(*const TF_Tensor) -> c_int;
    fn TF_Dim(*const TF_Tensor, c_int) -> i64;
    fn TF_TensorByteSize(*const TF_Tensor) -> usize;
    fn TF_TensorData(*const TF_Tensor) -> *mut c_void;
    fn TF_StringInit(*mut TF_TString);
    fn TF_StringCopy(*mut TF_TString, *const c_char, usize);
    fn TF_StringDealloc(*mut TF_TString);
    fn TF_StringGetDataPointer(*const TF_TString) -> *const c_char;
    fn TF_StringGetSize(*const TF_TString) -> usize;
    fn TF_LoadLibrary(*const c_char, *mut TF_Status) -> *mut TF_Library;
}

static API: OnceLock<Api> = OnceLock::new();

/// The opened library. Every value of this folder is made after `open` succeeded, so this cannot fail for them.
pub(super) fn api() -> &'static Api {
    API.get().expect("tensorflow::open succeeded before any tensor or session was made")
}

/// Open TensorFlow's shared library; a second call in the same process changes nothing.
pub fn open(path: &Path) -> Result<()> {
    if API.get().is_some() {
        return Ok(());
    }
    let failed = |error: libloading::Error| {
        Error::new(Code::FailedPrecondition, format!("cannot open TensorFlow's library {}: {error}", path.display()))
    };
    // SAFETY: the initialisers of this library are TensorFlow's own; Python's `import tensorflow` runs the same ones.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(failed)?;
    let looked_up = Api::look_up(&library).map_err(failed)?;
    // TensorFlow registers threads and destructors that outlive any handle, so the library must never be closed.
    std::mem::forget(library);
    API.get_or_init(|| looked_up);
    Ok(())
}

/// The version that the library reports, e.g. `2.21.0`.
pub fn version() -> String {
    // SAFETY: TF_Version returns a static NUL-terminated string.
    unsafe { CStr::from_ptr((api().TF_Version)()) }.to_string_lossy().into_owned()
}

/// Register the custom ops and kernels of one shared library with TensorFlow, for the rest of the process.
pub fn load_op_library(path: &str) -> Result<()> {
    let name = CString::new(path).map_err(|_| Error::invalid(format!("op library path {path:?} holds a NUL")))?;
    let status = Status::new();
    // SAFETY: `name` and `status` live across the call. The returned handle is not needed: ops stay registered.
    unsafe { (api().TF_LoadLibrary)(name.as_ptr(), status.as_ptr()) };
    status.into_result()
}
