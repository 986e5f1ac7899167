//! An owned `TF_Tensor`: numbers as bytes in native order, strings as byte strings.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use bytes::Bytes;

use super::api::{TF_TString, TF_Tensor, api};
use super::dtype::DataType;
use crate::error::{Code, Error, Result};

/// What the buffer of a tensor must be aligned to: the most that Eigen's vector instructions ask for. TensorFlow copies
/// others (`TF_NewTensor` in tensorflow/c/tf_tensor.cc).
pub const ALIGNMENT: usize = 64;

/// Fewer bytes are copied in less time than it takes to share them.
const SHARED_BYTES: usize = 32 << 10;

/// A tensor that we hold one reference to; TensorFlow counts the references to its buffer.
pub struct Tensor(NonNull<TF_Tensor>);

// SAFETY: TF_Tensor is a handle on a reference-counted, immutable buffer; c_api.h allows use from any thread as long as
// nobody writes, and only `allocate` writes, before the tensor is given out.
unsafe impl Send for Tensor {}
// SAFETY: as above; every `&self` method only reads.
unsafe impl Sync for Tensor {}

impl Tensor {
    /// A tensor of numbers, all zero. `dims` must be non-negative and their product must not overflow (checked).
    pub fn zeroed(dtype: DataType, dims: &[i64]) -> Result<Tensor> {
        Self::allocate(dtype, dims, |data, length| {
            // SAFETY: `allocate` passes its fresh buffer of `length` bytes.
            unsafe { std::ptr::write_bytes(data, 0, length) };
        })
    }

    /// A tensor of numbers with these bytes, whose count must be that of the shape.
    pub fn from_bytes(dtype: DataType, dims: &[i64], bytes: &[u8]) -> Result<Tensor> {
        if element_count(dims)?.checked_mul(dtype.size()) != Some(bytes.len()) {
            return Err(Error::internal(format!(
                "{} bytes for a {} tensor of shape {dims:?}",
                bytes.len(),
                dtype.name()
            )));
        }
        Self::allocate(dtype, dims, |data, length| {
            // SAFETY: `allocate` passes its fresh buffer of `length` bytes, and `bytes` has as many (checked above).
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, length) };
        })
    }

    /// The same without a copy where that is worth it and `bytes` are aligned.
    pub fn from_shared(dtype: DataType, dims: &[i64], bytes: Bytes) -> Result<Tensor> {
        let length = bytes.len();
        let is_whole = dtype.size() > 0 && element_count(dims)?.checked_mul(dtype.size()) == Some(length);
        if !is_whole || length < SHARED_BYTES || bytes.as_ptr().align_offset(ALIGNMENT) != 0 {
            return Self::from_bytes(dtype, dims, &bytes);
        }
        let data = bytes.as_ptr().cast_mut().cast::<c_void>();
        let owner = Box::into_raw(Box::new(bytes)).cast::<c_void>();
        // SAFETY: `data` are `length` initialised bytes, as many as the shape has (checked above), and stay where they are
        // until TensorFlow calls `free_shared` with their owner, when the last reference to the buffer goes. TensorFlow
        // never writes to a buffer that it does not own (`Tensor::RefCountIsOne`).
        let raw = unsafe {
            (api().TF_NewTensor)(dtype as c_int, dims.as_ptr(), dims.len() as c_int, data, length, free_shared, owner)
        };
        NonNull::new(raw).map(Tensor).ok_or_else(|| out_of_memory(length))
    }

    /// A tensor of numbers with these bytes one after the other, whose count must be that of the shape.
    pub fn from_slices<'b>(
        dtype: DataType,
        dims: &[i64],
        slices: impl Iterator<Item = &'b [u8]> + Clone,
    ) -> Result<Tensor> {
        let length = slices.clone().map(<[u8]>::len).sum();
        if element_count(dims)?.checked_mul(dtype.size()) != Some(length) {
            return Err(Error::internal(format!("{length} bytes for a {} tensor of shape {dims:?}", dtype.name())));
        }
        Self::allocate(dtype, dims, |mut data, mut room| {
            for slice in slices {
                // An iterator may give something else the second time; the buffer is never left.
                let count = slice.len().min(room);
                // SAFETY: `allocate` passes its fresh buffer; `room` bytes are left of it at `data`.
                unsafe {
                    std::ptr::copy_nonoverlapping(slice.as_ptr(), data, count);
                    data = data.add(count);
                }
                room -= count;
            }
            // SAFETY: as above.
            unsafe { std::ptr::write_bytes(data, 0, room) };
        })
    }

    /// A new tensor whose whole buffer `fill` must initialise.
    fn allocate(dtype: DataType, dims: &[i64], fill: impl FnOnce(*mut u8, usize)) -> Result<Tensor> {
        let size = dtype.size();
        if size == 0 {
            return Err(Error::internal(format!("a tensor of type {} has no plain bytes", dtype.name())));
        }
        let bytes = element_count(dims)?
            .checked_mul(size)
            .ok_or_else(|| Error::invalid("the shape of a tensor has too many elements"))?;
        let layout = layout(bytes).ok_or_else(|| out_of_memory(bytes))?;
        // SAFETY: the layout has a size. Null is no memory.
        let data = NonNull::new(unsafe { alloc(layout) }).ok_or_else(|| out_of_memory(bytes))?.as_ptr();
        fill(data, bytes);
        // SAFETY: `data` are `bytes` bytes that `fill` has initialised, as many as the shape has. TensorFlow calls
        // `free_allocated` when the last reference to the buffer goes, also when it returns null.
        let raw = unsafe {
            let (rank, none) = (dims.len() as c_int, std::ptr::null_mut());
            (api().TF_NewTensor)(dtype as c_int, dims.as_ptr(), rank, data.cast(), bytes, free_allocated, none)
        };
        NonNull::new(raw).map(Tensor).ok_or_else(|| out_of_memory(bytes))
    }

    /// A string tensor with these elements, as many as the shape says.
    pub fn from_strings<S: AsRef<[u8]>>(dims: &[i64], strings: &[S]) -> Result<Tensor> {
        let count = element_count(dims)?;
        if count != strings.len() {
            return Err(Error::internal(format!("{} strings for a tensor of {count}", strings.len())));
        }
        let elements: Box<[TF_TString]> = strings
            .iter()
            .map(|string| {
                let bytes = string.as_ref();
                let mut element = std::mem::MaybeUninit::<TF_TString>::uninit();
                // SAFETY: TF_StringInit initialises the 24 bytes, TF_StringCopy then copies `bytes` into it.
                unsafe {
                    (api().TF_StringInit)(element.as_mut_ptr());
                    (api().TF_StringCopy)(element.as_mut_ptr(), bytes.as_ptr().cast(), bytes.len());
                    element.assume_init()
                }
            })
            .collect();
        let length = std::mem::size_of_val(&*elements);
        let data = Box::into_raw(elements).cast::<c_void>();
        let number = DataType::String as c_int;
        // SAFETY: `data` holds `count` initialised strings. TensorFlow calls `free_strings` when the last reference to
        // the buffer goes (an output may alias it), also when it returns null.
        let raw = unsafe {
            (api().TF_NewTensor)(
                number,
                dims.as_ptr(),
                dims.len() as c_int,
                data,
                length,
                free_strings,
                std::ptr::null_mut(),
            )
        };
        NonNull::new(raw).map(Tensor).ok_or_else(|| out_of_memory(length))
    }

    /// Take over one reference.
    pub(super) fn from_raw(raw: NonNull<TF_Tensor>) -> Tensor {
        Tensor(raw)
    }

    pub(super) fn as_ptr(&self) -> *mut TF_Tensor {
        self.0.as_ptr()
    }

    /// The dtype; None if this version of the engine does not know TensorFlow's number.
    pub fn dtype(&self) -> Option<DataType> {
        // SAFETY: the handle is alive.
        DataType::from_number(unsafe { (api().TF_TensorType)(self.as_ptr()) })
    }

    pub fn dims(&self) -> Vec<i64> {
        // SAFETY: the handle is alive and each index is below TF_NumDims.
        unsafe {
            let rank = (api().TF_NumDims)(self.as_ptr());
            (0..rank).map(|index| (api().TF_Dim)(self.as_ptr(), index)).collect()
        }
    }

    pub fn rank(&self) -> usize {
        // SAFETY: the handle is alive.
        unsafe { (api().TF_NumDims)(self.as_ptr()) as usize }
    }

    /// None for a scalar.
    pub fn first_dim(&self) -> Option<i64> {
        // SAFETY: the handle is alive, and there is a first dimension if there are any.
        unsafe { ((api().TF_NumDims)(self.as_ptr()) > 0).then(|| (api().TF_Dim)(self.as_ptr(), 0)) }
    }

    /// Whether the dimensions after the first are these.
    pub fn has_row_shape(&self, inner: &[i64]) -> bool {
        // SAFETY: the handle is alive and each index is below TF_NumDims.
        let is_dim = |(index, dim): (usize, &i64)| unsafe { (api().TF_Dim)(self.as_ptr(), index as c_int + 1) } == *dim;
        self.rank() == inner.len() + 1 && inner.iter().enumerate().all(is_dim)
    }

    fn parts(&self) -> (*mut u8, usize) {
        // SAFETY: the handle is alive. An empty tensor may have no buffer at all.
        let (data, length) =
            unsafe { ((api().TF_TensorData)(self.as_ptr()).cast::<u8>(), (api().TF_TensorByteSize)(self.as_ptr())) };
        if data.is_null() || length == 0 { (NonNull::dangling().as_ptr(), 0) } else { (data, length) }
    }

    /// Bytes of the buffer; strings longer than 22 bytes stand elsewhere and are not counted.
    pub fn byte_len(&self) -> usize {
        self.parts().1
    }

    fn is_plain(&self) -> bool {
        self.dtype().is_some_and(|dtype| dtype.size() > 0)
    }

    /// The elements in native byte order; empty for types that are no plain numbers.
    pub fn bytes(&self) -> &[u8] {
        if !self.is_plain() {
            return &[];
        }
        let (data, length) = self.parts();
        // SAFETY: TensorFlow keeps `length` initialised bytes at `data` for as long as we hold the reference.
        unsafe { std::slice::from_raw_parts(data, length) }
    }

    /// The elements of a string tensor, in order; none for other types.
    pub fn strings(&self) -> impl Iterator<Item = &[u8]> {
        let (data, length) =
            if self.dtype() == Some(DataType::String) { self.parts() } else { (NonNull::dangling().as_ptr(), 0) };
        let data = data.cast::<TF_TString>();
        (0..length / std::mem::size_of::<TF_TString>()).map(move |index| {
            // SAFETY: a string tensor's buffer is an array of `length / 24` initialised TF_TStrings, whose bytes live
            // as long as the buffer.
            unsafe {
                let element = data.add(index);
                let size = (api().TF_StringGetSize)(element);
                let bytes = (api().TF_StringGetDataPointer)(element).cast::<u8>();
                if size == 0 { &[][..] } else { std::slice::from_raw_parts(bytes, size) }
            }
        })
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: we own one reference and give it back once.
        unsafe { (api().TF_DeleteTensor)(self.as_ptr()) }
    }
}

/// The number of elements of a shape; an error for a negative dimension or more elements than memory could hold.
pub fn element_count(dims: &[i64]) -> Result<usize> {
    dims.iter()
        .try_fold(1usize, |count, dim| count.checked_mul(usize::try_from(*dim).ok()?))
        .filter(|count| *count <= isize::MAX as usize)
        .ok_or_else(|| Error::invalid(format!("shape {dims:?} is negative or has too many elements")))
}

fn out_of_memory(bytes: usize) -> Error {
    Error::new(Code::ResourceExhausted, format!("TensorFlow could not allocate a tensor of {bytes} bytes"))
}

/// How the buffer of a tensor of so many bytes is allocated, at least one.
fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()
}

/// Called by TensorFlow when nothing refers to the buffer of a tensor made by `allocate` any more.
unsafe extern "C" fn free_allocated(data: *mut c_void, bytes: usize, _: *mut c_void) {
    if let Some(layout) = layout(bytes) {
        // SAFETY: `data` was allocated by `allocate` with this layout, and is freed once.
        unsafe { dealloc(data.cast(), layout) };
    }
}

/// Called by TensorFlow when nothing refers to the buffer of a tensor made by `from_shared` any more.
unsafe extern "C" fn free_shared(_: *mut c_void, _: usize, owner: *mut c_void) {
    // SAFETY: `owner` is the box that `from_shared` gave away, freed here, once.
    drop(unsafe { Box::from_raw(owner.cast::<Bytes>()) });
}

/// Called by TensorFlow when nothing refers to the buffer of a tensor made by `from_strings` any more.
unsafe extern "C" fn free_strings(data: *mut c_void, length: usize, _: *mut c_void) {
    let count = length / std::mem::size_of::<TF_TString>();
    // SAFETY: `data` and `length` are those of the boxed slice that `from_strings` gave away; each element was
    // initialised there and is freed here, once.
    unsafe {
        let mut elements = Box::from_raw(std::ptr::slice_from_raw_parts_mut(data.cast::<TF_TString>(), count));
        for element in &mut elements {
            (api().TF_StringDealloc)(element);
        }
    }
}
