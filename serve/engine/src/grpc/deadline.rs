//! The deadline that a client gives its call.

use std::time::{Duration, Instant};

use http::HeaderMap;

/// The most that an answer may be ahead of the client's own clock.
const MAX_MARGIN: Duration = Duration::from_millis(5);

/// The `grpc-timeout` of a call (`100m` is 100 ms) as a point in time, a little early: the answer has to be on its way when
/// the client's own clock runs out.
pub fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    let timeout = match unit {
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    Instant::now().checked_add(timeout - (timeout / 10).min(MAX_MARGIN))
}
