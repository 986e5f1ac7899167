//! A SavedModel in a session.

use std::ffi::{CString, c_int};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use super::api::{TF_Buffer, TF_Graph, TF_Operation, TF_Output, TF_Session, TF_SessionOptions, TF_Tensor, api};
use super::status::Status;
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::executor::{Endpoint, Executor};

/// How sessions are made and run; the same for every model of an engine.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// A serialized `tensorflow.ConfigProto`.
    pub config: Vec<u8>,
    /// Run the graph in the thread that calls `run` instead of TensorFlow's inter-op pool: no hand-over between
    /// threads, which costs a small model more than its arithmetic.
    pub in_caller_thread: bool,
}

/// A loaded SavedModel. `run` may be called from any number of threads at once.
pub struct Session {
    session: NonNull<TF_Session>,
    graph: NonNull<TF_Graph>,
    endpoints: Vec<TF_Output>,
    in_caller_thread: AtomicBool,
}

// SAFETY: c_api.h: sessions and finished graphs may be used from several threads; the endpoint table is only written
// through `&mut`.
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

/// `RunOptions { inter_op_thread_pool: -1 }`: the executor runs in the calling thread.
pub(super) const IN_CALLER_THREAD: &[u8] = &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];

/// Empty `RunOptions`: the executor runs in the inter-op pool.
pub(super) const IN_POOL: &[u8] = &[];

impl Session {
    /// Make a session over an empty graph, and with it TensorFlow's devices: what the machine lacks shows now and not
    /// with the first model.
    pub fn empty(options: &SessionOptions) -> Result<Session> {
        let options_handle = OptionsHandle::new(&options.config)?;
        let status = Status::new();
        // SAFETY: no precondition; allocates.
        let graph = NonNull::new(unsafe { (api().TF_NewGraph)() }).expect("TF_NewGraph allocates");
        // SAFETY: all pointers live across the call.
        let raw = unsafe { (api().TF_NewSession)(graph.as_ptr(), options_handle.0.as_ptr(), status.as_ptr()) };
        Session::own(raw, graph, status, options)
    }

    /// Load the meta graph with exactly these tags, restore its variables and run its init op.
    ///
    /// Returns the session and the serialized `MetaGraphDef`.
    pub fn load(path: &Path, tags: &[String], options: &SessionOptions) -> Result<(Session, Vec<u8>)> {
        let directory = c_string(&path.to_string_lossy())?;
        let tags = tags.iter().map(|tag| c_string(tag)).collect::<Result<Vec<_>>>()?;
        let tag_pointers: Vec<_> = tags.iter().map(|tag| tag.as_ptr()).collect();
        let options_handle = OptionsHandle::new(&options.config)?;
        let meta_graph = Buffer::new();
        // Restoring and initialising too are done by a thread that may have given way to others.
        let run_options = borrowed(if options.in_caller_thread { IN_CALLER_THREAD } else { IN_POOL });
        let status = Status::new();
        // SAFETY: no precondition; allocates.
        let graph = NonNull::new(unsafe { (api().TF_NewGraph)() }).expect("TF_NewGraph allocates");
        // SAFETY: all pointers live across the call.
        let raw = unsafe {
            (api().TF_LoadSessionFromSavedModel)(
                options_handle.0.as_ptr(),
                &run_options,
                directory.as_ptr(),
                tag_pointers.as_ptr(),
                tag_pointers.len() as c_int,
                graph.as_ptr(),
                meta_graph.0.as_ptr(),
                status.as_ptr(),
            )
        };
        let session = Session::own(raw, graph, status, options)?;
        Ok((session, meta_graph.to_vec()))
    }

    /// The outcome of a call that made a session; frees the graph if it made none.
    fn own(
        raw: *mut TF_Session,
        graph: NonNull<TF_Graph>,
        status: Status,
        options: &SessionOptions,
    ) -> Result<Session> {
        match (status.into_result(), NonNull::new(raw)) {
            (Ok(()), Some(session)) => {
                let in_caller_thread = AtomicBool::new(options.in_caller_thread);
                Ok(Session { session, graph, endpoints: Vec::new(), in_caller_thread })
            }
            (outcome, _) => {
                // SAFETY: no session was made, so nothing refers to the graph.
                unsafe { (api().TF_DeleteGraph)(graph.as_ptr()) };
                outcome.and(Err(Error::internal("TensorFlow returned no session")))
            }
        }
    }

    pub(super) fn as_ptr(&self) -> *mut TF_Session {
        self.session.as_ptr()
    }

    pub(super) fn graph(&self) -> *mut TF_Graph {
        self.graph.as_ptr()
    }

    /// Run graphs in the calling thread, or in the inter-op pool, from now on.
    pub fn set_in_caller_thread(&self, in_caller_thread: bool) {
        self.in_caller_thread.store(in_caller_thread, Ordering::Relaxed);
    }

    /// How runs are to be executed, as serialized `RunOptions`.
    fn run_options(&self) -> &'static [u8] {
        if self.in_caller_thread.load(Ordering::Relaxed) { IN_CALLER_THREAD } else { IN_POOL }
    }

    fn output(&self, tensor: &str) -> Option<TF_Output> {
        let (operation, index) = match tensor.rsplit_once(':') {
            Some((operation, index)) => (operation, index.parse::<c_int>().ok()?),
            None => (tensor, 0),
        };
        let oper = self.operation(operation)?;
        // SAFETY: `operation` gives pointers into our graph.
        let outputs = unsafe { (api().TF_OperationNumOutputs)(oper) };
        (0..outputs).contains(&index).then_some(TF_Output { oper, index })
    }

    fn operation(&self, name: &str) -> Option<*mut TF_Operation> {
        let name = CString::new(name).ok()?;
        // SAFETY: the graph is alive and guards its table by a lock; null means that there is no such operation.
        let oper = unsafe { (api().TF_GraphOperationByName)(self.graph.as_ptr(), name.as_ptr()) };
        (!oper.is_null()).then_some(oper)
    }

    /// Run with other `RunOptions`; `metadata` takes what TensorFlow says of the run.
    pub(super) fn run_with(
        &self,
        options: &[u8],
        inputs: &[(Endpoint, &Tensor)],
        outputs: &[Endpoint],
        metadata: Option<&Buffer>,
    ) -> Result<Vec<Tensor>> {
        let feeds: Vec<_> = inputs.iter().map(|(endpoint, _)| self.endpoints[endpoint.0]).collect();
        let values: Vec<_> = inputs.iter().map(|(_, tensor)| tensor.as_ptr()).collect();
        let fetches: Vec<_> = outputs.iter().map(|endpoint| self.endpoints[endpoint.0]).collect();
        self.run_outputs(options, &feeds, &values, &fetches, &[], metadata)
    }

    /// `feeds` and `values` are parallel; all operations are of our graph and all tensors live for the call.
    fn run_outputs(
        &self,
        options: &[u8],
        feeds: &[TF_Output],
        values: &[*mut TF_Tensor],
        fetches: &[TF_Output],
        targets: &[*const TF_Operation],
        metadata: Option<&Buffer>,
    ) -> Result<Vec<Tensor>> {
        let mut results = vec![std::ptr::null_mut(); fetches.len()];
        let run_options = borrowed(options);
        let status = Status::new();
        // SAFETY: session and graph are alive for `&self`; each array has the length given with it; `run_with` and
        // `run_named` pass outputs of our graph and tensors that they borrow for the call, and TensorFlow takes its own
        // references. A buffer for metadata is alive and empty, or TensorFlow refuses it.
        unsafe {
            (api().TF_SessionRun)(
                self.session.as_ptr(),
                &run_options,
                feeds.as_ptr(),
                values.as_ptr(),
                feeds.len() as c_int,
                fetches.as_ptr(),
                results.as_mut_ptr(),
                fetches.len() as c_int,
                targets.as_ptr(),
                targets.len() as c_int,
                metadata.map_or(std::ptr::null_mut(), |buffer| buffer.0.as_ptr()),
                status.as_ptr(),
            );
        }
        // Owned before the status is looked at, so that nothing leaks if TensorFlow filled some and failed then.
        let tensors: Vec<_> = results.into_iter().filter_map(NonNull::new).map(Tensor::from_raw).collect();
        status.into_result()?;
        if tensors.len() != fetches.len() {
            return Err(Error::internal("TensorFlow returned fewer tensors than were fetched"));
        }
        Ok(tensors)
    }
}

impl Executor for Session {
    /// `tensor_name` is `x:0` or `x`; signatures may share it.
    fn endpoint(&mut self, _: &str, _: &str, tensor_name: &str) -> Option<Endpoint> {
        let output = self.output(tensor_name)?;
        // One endpoint for each tensor, so that they can be compared.
        let known = self.endpoints.iter().position(|known| (known.oper, known.index) == (output.oper, output.index));
        Some(Endpoint(known.unwrap_or_else(|| {
            self.endpoints.push(output);
            self.endpoints.len() - 1
        })))
    }

    fn run(&self, inputs: &[(Endpoint, &Tensor)], outputs: &[Endpoint]) -> Result<Vec<Tensor>> {
        self.run_with(self.run_options(), inputs, outputs, None)
    }

    fn run_named(&self, inputs: &[(&str, Tensor)], outputs: &[&str], targets: &[&str]) -> Result<Vec<Tensor>> {
        let unknown = |name: &str| Error::invalid(format!("Tensor {name} is not in the graph"));
        let output = |name: &str| self.output(name).ok_or_else(|| unknown(name));
        let feeds = inputs.iter().map(|(name, _)| output(name)).collect::<Result<Vec<_>>>()?;
        let values: Vec<_> = inputs.iter().map(|(_, tensor)| tensor.as_ptr()).collect();
        let fetches = outputs.iter().map(|name| output(name)).collect::<Result<Vec<_>>>()?;
        let targets = targets
            .iter()
            .map(|name| self.operation(name).map(<*mut TF_Operation>::cast_const).ok_or_else(|| unknown(name)))
            .collect::<Result<Vec<_>>>()?;
        self.run_outputs(self.run_options(), &feeds, &values, &fetches, &targets, None)
    }

    fn session(&self) -> Option<&Session> {
        Some(self)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let status = Status::new();
        // SAFETY: we own both and no run is under way, since runs borrow `&self`. The session goes before its graph.
        unsafe {
            (api().TF_CloseSession)(self.session.as_ptr(), status.as_ptr());
            (api().TF_DeleteSession)(self.session.as_ptr(), status.as_ptr());
            (api().TF_DeleteGraph)(self.graph.as_ptr());
        }
    }
}

struct OptionsHandle(NonNull<TF_SessionOptions>);

impl OptionsHandle {
    fn new(config: &[u8]) -> Result<OptionsHandle> {
        // SAFETY: no precondition; allocates.
        let handle = OptionsHandle(
            NonNull::new(unsafe { (api().TF_NewSessionOptions)() }).expect("TF_NewSessionOptions allocates"),
        );
        let status = Status::new();
        // SAFETY: `config` is valid for its length; TensorFlow parses and copies it.
        unsafe { (api().TF_SetConfig)(handle.0.as_ptr(), config.as_ptr().cast(), config.len(), status.as_ptr()) };
        status.into_result().map(|()| handle)
    }
}

impl Drop for OptionsHandle {
    fn drop(&mut self) {
        // SAFETY: owned; sessions copy what they need of it.
        unsafe { (api().TF_DeleteSessionOptions)(self.0.as_ptr()) }
    }
}

pub(super) struct Buffer(pub(super) NonNull<TF_Buffer>);

impl Buffer {
    pub(super) fn new() -> Buffer {
        // SAFETY: no precondition; allocates an empty buffer.
        Buffer(NonNull::new(unsafe { (api().TF_NewBuffer)() }).expect("TF_NewBuffer allocates"))
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        // SAFETY: the buffer is alive and TensorFlow keeps `length` bytes at `data`.
        unsafe {
            let buffer = self.0.as_ref();
            if buffer.data.is_null() { &[][..] } else { std::slice::from_raw_parts(buffer.data.cast(), buffer.length) }
        }
        .to_vec()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { (api().TF_DeleteBuffer)(self.0.as_ptr()) }
    }
}

/// For calls that only read it.
fn borrowed(bytes: &[u8]) -> TF_Buffer {
    TF_Buffer { data: bytes.as_ptr().cast(), length: bytes.len(), data_deallocator: None }
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid(format!("{text:?} holds a NUL character")))
}
