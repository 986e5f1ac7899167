//! One error type with a canonical code; the three small tables that turn it into a gRPC status, an HTTP status and a
//! Python exception stand here side by side.

use std::fmt;

/// The canonical status codes, with gRPC's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    const ALL: [(Code, &'static str, u16); 16] = [
        (Code::Cancelled, "CANCELLED", 499),
        (Code::Unknown, "UNKNOWN", 500),
        (Code::InvalidArgument, "INVALID_ARGUMENT", 400),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", 504),
        (Code::NotFound, "NOT_FOUND", 404),
        (Code::AlreadyExists, "ALREADY_EXISTS", 409),
        (Code::PermissionDenied, "PERMISSION_DENIED", 403),
        (Code::ResourceExhausted, "RESOURCE_EXHAUSTED", 429),
        (Code::FailedPrecondition, "FAILED_PRECONDITION", 400),
        (Code::Aborted, "ABORTED", 409),
        (Code::OutOfRange, "OUT_OF_RANGE", 400),
        (Code::Unimplemented, "UNIMPLEMENTED", 501),
        (Code::Internal, "INTERNAL", 500),
        (Code::Unavailable, "UNAVAILABLE", 503),
        (Code::DataLoss, "DATA_LOSS", 500),
        (Code::Unauthenticated, "UNAUTHENTICATED", 401),
    ];

    /// The code with this number; an unknown one is `Unknown`.
    pub fn from_number(number: i32) -> Code {
        Self::ALL.iter().map(|row| row.0).find(|code| *code as i32 == number).unwrap_or(Code::Unknown)
    }

    fn row(self) -> (Code, &'static str, u16) {
        Self::ALL[self as usize - 1]
    }

    /// The name as upstream prints it, e.g. `NOT_FOUND`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status of a REST reply.
    pub fn http_status(self) -> u16 {
        self.row().2
    }
}

/// A failure that a client, or the person who starts the server, gets to read.
#[derive(Clone, Debug)]
pub struct Error {
    pub code: Code,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(Code::InvalidArgument, message)
    }

    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Code::Internal, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Error {}

/// gRPC: messages longer than 1024 bytes are cut as upstream cuts them, since they travel in a header.
impl From<Error> for tonic::Status {
    fn from(error: Error) -> tonic::Status {
        const LIMIT: usize = 1024;
        const MARK: &str = "...TRUNCATED";
        let mut message = error.message;
        if message.len() > LIMIT {
            let mut end = LIMIT - MARK.len();
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.truncate(end);
            message.push_str(MARK);
        }
        tonic::Status::new(tonic::Code::from_i32(error.code as i32), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_row_of_its_number() {
        for (index, (code, _, _)) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, index + 1);
            assert_eq!(Code::from_number(*code as i32), *code);
        }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let status = tonic::Status::from(Error::invalid("é".repeat(1000)));
        assert!(status.message().len() <= 1024 && status.message().ends_with("é...TRUNCATED"));
    }
}
