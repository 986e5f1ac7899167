//! The thread that writes records to files.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::Files;
use super::record::Record;
use super::{Outcomes, Target};
use crate::background::Work;
use crate::error::Code;
use crate::report::{Level, Report};

/// After a failure records are given up for so long, before the disk is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the thread is told.
pub enum Order {
    Write(Record),
    /// Only these prefixes are still logged to, with so many bytes each; close all other files.
    Keep(HashSet<PathBuf>, u64),
}

pub struct Writer {
    sinks: HashMap<PathBuf, Sink>,
    max_bytes: u64,
    outcomes: Outcomes,
    report: Report,
}

/// The files of one prefix, and what is on its way into them.
struct Sink {
    files: Files,
    /// The records that are not written yet, by where they came from.
    pending: Vec<Arc<Target>>,
    failed_at: Option<Instant>,
}

impl Writer {
    pub fn new(outcomes: Outcomes, report: Report) -> Writer {
        Writer { sinks: HashMap::new(), max_bytes: 0, outcomes, report }
    }

    fn write(&mut self, record: &Record) {
        let prefix = &record.target.prefix;
        if !self.sinks.contains_key(prefix) {
            let files = Files::new(prefix.clone(), self.max_bytes);
            self.sinks.insert(prefix.clone(), Sink { files, pending: Vec::new(), failed_at: None });
        }
        let Some(sink) = self.sinks.get_mut(prefix) else { return };
        if !sink.files.fits(record.len()) {
            self.outcomes.count(&record.target.model, Some(Code::OutOfRange), 1);
            return;
        }
        if sink.failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            self.outcomes.count(&record.target.model, Some(Code::Unavailable), 1);
            return;
        }
        sink.pending.push(Arc::clone(&record.target));
        if let Err(error) = sink.files.append(record.len(), |out| record.write(out)) {
            sink.fail(prefix, &error, &self.outcomes, &self.report);
        }
    }
}

impl Work for Writer {
    type Item = Order;

    fn take(&mut self, order: Order) {
        match order {
            Order::Write(record) => self.write(&record),
            Order::Keep(prefixes, max_bytes) => {
                self.rest();
                self.sinks.retain(|prefix, _| prefixes.contains(prefix));
                self.max_bytes = max_bytes;
            }
        }
    }

    fn rest(&mut self) {
        for (prefix, sink) in &mut self.sinks {
            match sink.files.flush() {
                Ok(()) => sink.succeed(prefix, &self.outcomes, &self.report),
                Err(error) => sink.fail(prefix, &error, &self.outcomes, &self.report),
            }
        }
    }

    fn refused(&mut self, count: u64) {
        (self.report)(Level::Warning, &format!("{count} requests were not logged: too many wait to be written"));
    }
}

impl Sink {
    fn succeed(&mut self, prefix: &std::path::Path, outcomes: &Outcomes, report: &Report) {
        if self.pending.is_empty() {
            return;
        }
        self.pending.drain(..).for_each(|target| outcomes.count(&target.model, None, 1));
        if self.failed_at.take().is_some() {
            report(Level::Info, &format!("the request log `{}` is written again", prefix.display()));
        }
    }

    fn fail(&mut self, prefix: &std::path::Path, error: &io::Error, outcomes: &Outcomes, report: &Report) {
        self.pending.drain(..).for_each(|target| outcomes.count(&target.model, Some(Code::Unavailable), 1));
        // Every further attempt fails alike; only the first is worth a line.
        if self.failed_at.replace(Instant::now()).is_none() {
            let what = "cannot be written, requests go on without it";
            report(Level::Error, &format!("the request log `{}` {what}: {error}", prefix.display()));
        }
    }
}
