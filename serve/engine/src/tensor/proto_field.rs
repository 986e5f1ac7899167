//! Which field of a TensorProto holds the values of a dtype (tensorflow/core/framework/tensor.proto).

use crate::tensorflow::DataType;

/// How a field's elements stand on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Little-endian words of the element's own width: float_val and its like; complex numbers as pairs.
    Fixed { width: usize },
    /// Varints, cut to the element's width in memory.
    Varint,
    /// One length-delimited field an element.
    Strings,
    /// One byte an element, all in one `bytes` field.
    Bytes,
}

/// The field number and encoding of a dtype's values; None for types that have no typed field.
pub fn value_field(dtype: DataType) -> Option<(u32, Encoding)> {
    use DataType::*;
    Some(match dtype {
        Float => (5, Encoding::Fixed { width: 4 }),
        Double => (6, Encoding::Fixed { width: 8 }),
        Int32 | Int16 | Uint16 | Int8 | Uint8 | Qint8 | Quint8 | Qint16 | Quint16 | Qint32 | Int4 | Uint4 | Int2
        | Uint2 => (7, Encoding::Varint),
        String => (8, Encoding::Strings),
        Complex64 => (9, Encoding::Fixed { width: 4 }),
        Int64 => (10, Encoding::Varint),
        Bool => (11, Encoding::Varint),
        Complex128 => (12, Encoding::Fixed { width: 8 }),
        Half | Bfloat16 => (13, Encoding::Varint),
        Uint32 => (16, Encoding::Varint),
        Uint64 => (17, Encoding::Varint),
        Float8E5m2 | Float8E4m3fn | Float8E4m3fnuz | Float8E4m3b11fnuz | Float8E5m2fnuz | Float4E2m1fn => {
            (18, Encoding::Bytes)
        }
        Resource | Variant => return None,
    })
}

/// Field numbers of TensorProto's head.
pub const DTYPE: u32 = 1;
pub const TENSOR_SHAPE: u32 = 2;
pub const TENSOR_CONTENT: u32 = 4;
