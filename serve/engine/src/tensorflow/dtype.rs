//! TensorFlow's data types.

macro_rules! data_types {
    ($($variant:ident = $number:literal, $name:literal, $proto:literal, $size:literal;)*) => {
        /// A dtype under the number of `tensorflow.DataType`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DataType { $($variant = $number,)* }

        impl DataType {
            /// The dtype of this number; None for DT_INVALID, reference types and numbers of newer versions.
            pub fn from_number(number: i32) -> Option<DataType> {
                match number { $($number => Some(DataType::$variant),)* _ => None }
            }

            /// TensorFlow's own short name, as in its error messages (`float`, `int64`).
            pub fn name(self) -> &'static str {
                match self { $(DataType::$variant => $name,)* }
            }

            /// The name in the proto enum (`DT_FLOAT`).
            pub fn proto_name(self) -> &'static str {
                match self { $(DataType::$variant => $proto,)* }
            }

            /// Bytes of one element in memory; 0 for types that are no plain numbers.
            pub fn size(self) -> usize {
                match self { $(DataType::$variant => $size,)* }
            }
        }
    };
}

data_types! {
    Float = 1, "float", "DT_FLOAT", 4;
    Double = 2, "double", "DT_DOUBLE", 8;
    Int32 = 3, "int32", "DT_INT32", 4;
    Uint8 = 4, "uint8", "DT_UINT8", 1;
    Int16 = 5, "int16", "DT_INT16", 2;
    Int8 = 6, "int8", "DT_INT8", 1;
    String = 7, "string", "DT_STRING", 0;
    Complex64 = 8, "complex64", "DT_COMPLEX64", 8;
    Int64 = 9, "int64", "DT_INT64", 8;
    Bool = 10, "bool", "DT_BOOL", 1;
    Qint8 = 11, "qint8", "DT_QINT8", 1;
    Quint8 = 12, "quint8", "DT_QUINT8", 1;
    Qint32 = 13, "qint32", "DT_QINT32", 4;
    Bfloat16 = 14, "bfloat16", "DT_BFLOAT16", 2;
    Qint16 = 15, "qint16", "DT_QINT16", 2;
    Quint16 = 16, "quint16", "DT_QUINT16", 2;
    Uint16 = 17, "uint16", "DT_UINT16", 2;
    Complex128 = 18, "complex128", "DT_COMPLEX128", 16;
    Half = 19, "half", "DT_HALF", 2;
    Resource = 20, "resource", "DT_RESOURCE", 0;
    Variant = 21, "variant", "DT_VARIANT", 0;
    Uint32 = 22, "uint32", "DT_UINT32", 4;
    Uint64 = 23, "uint64", "DT_UINT64", 8;
    Float8E5m2 = 24, "float8_e5m2", "DT_FLOAT8_E5M2", 1;
    Float8E4m3fn = 25, "float8_e4m3fn", "DT_FLOAT8_E4M3FN", 1;
    Float8E4m3fnuz = 26, "float8_e4m3fnuz", "DT_FLOAT8_E4M3FNUZ", 1;
    Float8E4m3b11fnuz = 27, "float8_e4m3b11fnuz", "DT_FLOAT8_E4M3B11FNUZ", 1;
    Float8E5m2fnuz = 28, "float8_e5m2fnuz", "DT_FLOAT8_E5M2FNUZ", 1;
    Int4 = 29, "int4", "DT_INT4", 1;
    Uint4 = 30, "uint4", "DT_UINT4", 1;
    Int2 = 31, "int2", "DT_INT2", 1;
    Uint2 = 32, "uint2", "DT_UINT2", 1;
    Float4E2m1fn = 33, "float4_e2m1fn", "DT_FLOAT4_E2M1FN", 1;
}
