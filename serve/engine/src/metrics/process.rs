//! What is measured of the process itself: its age, its memory, and the devices it computes on.

use std::time::Instant;

use prometheus::{IntGauge, IntGaugeVec};

use super::Maker;
use crate::tensorflow::Device;

pub struct ProcessMetrics {
    started: Instant,
    resident_memory: IntGauge,
    uptime: IntGauge,
    devices: IntGaugeVec,
}

impl ProcessMetrics {
    pub fn register(make: &Maker) -> prometheus::Result<ProcessMetrics> {
        Ok(ProcessMetrics {
            started: Instant::now(),
            resident_memory: make.gauge("process_resident_memory_bytes", "Memory of the server.")?,
            uptime: make.gauge("tfs_uptime_seconds", "Seconds since the engine started.")?,
            devices: make.gauges("tfs_device_info", "1 for each device of TensorFlow.", &["device", "type"])?,
        })
    }

    pub fn show_devices(&self, devices: &[Device]) {
        for device in devices {
            self.devices.with_label_values(&[&device.name, &device.kind]).set(1);
        }
    }

    /// Set the gauges that change by themselves.
    pub fn refresh(&self) {
        self.uptime.set(self.started.elapsed().as_secs() as i64);
        self.resident_memory.set(resident_memory());
    }
}

/// In bytes, from /proc where there is one; 0 elsewhere.
fn resident_memory() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<i64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
