//! What the trace of a run says: whether its operations are long enough to be worth several cores each.

use std::time::Duration;

use crate::error::Result;
use crate::wire::{Fields, Value};

/// Waking the threads of a pool and waiting for the last of them takes 20 to 60 us, so an operation has to be this long
/// to gain much. Measured on two cores: of ResNet50's run 0.87 is spent in such operations and it becomes 1.5 times as
/// fast, of MobileNetV2's 0.09 and it becomes 1.4 times as slow.
const LONG: Duration = Duration::from_micros(250);

/// The share of a run, 0 to 1, that is spent in long operations; `metadata` is its serialized `RunMetadata`.
pub fn long_share(metadata: &[u8]) -> Result<f64> {
    let (mut long, mut all) = (0, 0);
    // RunMetadata.step_stats = 1, StepStats.dev_stats = 1, DeviceStepStats.node_stats = 2
    for step_stats in nested(metadata, 1)? {
        for device in nested(step_stats, 1)? {
            for node in nested(device, 2)? {
                let micros = operation_micros(node)?;
                all += micros;
                long += if u128::from(micros) >= LONG.as_micros() { micros } else { 0 };
            }
        }
    }
    Ok(if all == 0 { 0.0 } else { long as f64 / all as f64 })
}

/// How long a kernel computed: `NodeExecStats.op_end_rel_micros = 4` less `op_start_rel_micros = 3`.
fn operation_micros(stats: &[u8]) -> Result<u64> {
    let (mut start, mut end) = (0, 0);
    for field in Fields::new(stats) {
        match field? {
            (3, Value::Varint(micros)) => start = micros,
            (4, Value::Varint(micros)) => end = micros,
            _ => {}
        }
    }
    Ok(end.saturating_sub(start))
}

fn nested(message: &[u8], number: u32) -> Result<Vec<&[u8]>> {
    let mut found = Vec::new();
    for field in Fields::new(message) {
        if let (at, Value::Bytes(bytes)) = field?
            && at == number
        {
            found.push(bytes);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{write_bytes, write_varint};

    fn metadata(operations: &[(u64, u64)]) -> Vec<u8> {
        let wrap = |number, bytes: &[u8]| {
            let mut out = Vec::new();
            write_bytes(&mut out, number, bytes);
            out
        };
        let node = |(start, end): &(u64, u64)| {
            let mut stats = Vec::new();
            for (number, micros) in [(3, *start), (4, *end)] {
                stats.push(number << 3);
                write_varint(&mut stats, micros);
            }
            wrap(2, &stats)
        };
        let device = operations.iter().flat_map(node).collect::<Vec<_>>();
        wrap(1, &wrap(1, &device))
    }

    #[test]
    fn the_share_is_one_of_time_and_not_of_operations() {
        let run = metadata(&[(0, 10), (2, 22), (5, 305), (0, 70)]);
        assert_eq!(long_share(&run).expect("readable"), 300.0 / 400.0);
    }

    #[test]
    fn a_run_without_operations_has_no_long_ones() {
        assert_eq!(long_share(&metadata(&[])).expect("readable"), 0.0);
        assert_eq!(long_share(&[]).expect("readable"), 0.0);
        assert!(long_share(&[0x0a, 0x7f]).is_err());
    }
}
