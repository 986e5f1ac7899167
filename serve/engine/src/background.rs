//! Work that must never hold up a request: done in order by a thread of its own, behind a queue that is bounded in items and
//! in bytes. What does not fit is refused, and said later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

/// What the thread does.
pub trait Work: Send + 'static {
    type Item: Send + 'static;

    fn take(&mut self, item: Self::Item);

    /// Nothing waits at the moment: write what was held back.
    fn rest(&mut self);

    /// So many items were refused since this was last called.
    fn refused(&mut self, count: u64);
}

/// Refusals are told at most so often.
const PAUSE: Duration = Duration::from_secs(1);

enum Job<T> {
    Item { item: T, bytes: usize },
    Flush(Sender<()>),
}

#[derive(Default)]
struct Counts {
    queued_bytes: AtomicUsize,
    refused: AtomicU64,
}

/// The way to the thread, which ends with it.
pub struct Background<T> {
    jobs: Sender<Job<T>>,
    counts: Arc<Counts>,
    max_bytes: usize,
}

impl<T: Send + 'static> Background<T> {
    /// Start a thread for which up to `items` may wait, with up to `max_bytes` in them.
    pub fn start<W: Work<Item = T>>(name: &str, items: usize, max_bytes: usize, work: W) -> std::io::Result<Self> {
        let (jobs, waiting) = bounded(items);
        let counts = Arc::<Counts>::default();
        let mut thread = Thread { jobs: waiting, counts: Arc::clone(&counts), work, told: None };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || thread.run())?;
        Ok(Background { jobs, counts, max_bytes })
    }

    /// Whether an item of so many bytes would be taken now. One that is larger than all the room is taken alone.
    pub fn has_room(&self, bytes: usize) -> bool {
        let queued = self.counts.queued_bytes.load(Ordering::Relaxed);
        !self.jobs.is_full() && (queued == 0 || queued.saturating_add(bytes) <= self.max_bytes)
    }

    /// Hand an item over if there is room; never waits. False if it was refused, which has been counted.
    pub fn offer(&self, item: T, bytes: usize) -> bool {
        if self.has_room(bytes) {
            // Before it is sent, or the thread would subtract first. Requests that come at the same time may together go
            // beyond the bound by one item each.
            self.counts.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
            if self.jobs.try_send(Job::Item { item, bytes }).is_ok() {
                return true;
            }
            self.counts.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.refuse();
        false
    }

    /// Count an item as refused that was not even offered.
    pub fn refuse(&self) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Hand over an item that must not be refused; waits for up to `patience`.
    pub fn insist(&self, item: T, patience: Duration) -> bool {
        self.jobs.send_timeout(Job::Item { item, bytes: 0 }, patience).is_ok()
    }

    /// Wait until everything that was taken is done; false if that is not so after `patience`.
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, finished) = bounded(1);
        let deadline = Instant::now() + patience;
        self.jobs.send_timeout(Job::Flush(done), patience).is_ok() && finished.recv_deadline(deadline).is_ok()
    }
}

struct Thread<W: Work> {
    jobs: Receiver<Job<W::Item>>,
    counts: Arc<Counts>,
    work: W,
    /// When refusals were last told.
    told: Option<Instant>,
}

impl<W: Work> Thread<W> {
    fn run(&mut self) {
        while let Some(job) = self.next() {
            match job {
                Job::Item { item, bytes } => {
                    self.work.take(item);
                    self.counts.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                    if self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
                        self.tell_refused();
                    }
                }
                Job::Flush(done) => {
                    self.work.rest();
                    self.tell_refused();
                    // Whoever asked may have lost patience.
                    let _ = done.send(());
                }
            }
        }
    }

    /// Wait for a job; None at the end.
    fn next(&mut self) -> Option<Job<W::Item>> {
        match self.jobs.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => self.work.rest(),
        }
        while self.counts.refused.load(Ordering::Relaxed) > 0 {
            match self.jobs.recv_timeout(PAUSE) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.tell_refused(),
            }
        }
        self.jobs.recv().ok()
    }

    fn tell_refused(&mut self) {
        let count = self.counts.refused.swap(0, Ordering::Relaxed);
        if count > 0 {
            self.told = Some(Instant::now());
            self.work.refused(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Notes what it is told to do; waits at an item `u32::MAX` until the gate opens.
    struct Notes {
        told: Arc<Mutex<Vec<String>>>,
        gate: Receiver<()>,
    }

    impl Notes {
        fn note(&self, text: String) {
            self.told.lock().expect("no panic").push(text);
        }
    }

    impl Work for Notes {
        type Item = u32;

        fn take(&mut self, item: u32) {
            if item == u32::MAX {
                let _ = self.gate.recv();
            }
            self.note(format!("take {item}"));
        }

        fn rest(&mut self) {
            self.note("rest".to_owned());
        }

        fn refused(&mut self, count: u64) {
            self.note(format!("refused {count}"));
        }
    }

    fn start(items: usize, bytes: usize) -> (Background<u32>, Arc<Mutex<Vec<String>>>, Sender<()>) {
        let (open, gate) = bounded(1);
        let told = Arc::<Mutex<Vec<String>>>::default();
        let work = Notes { told: Arc::clone(&told), gate };
        (Background::start("test", items, bytes, work).expect("a thread"), told, open)
    }

    fn without_rests(told: &Mutex<Vec<String>>) -> Vec<String> {
        told.lock().expect("no panic").iter().filter(|text| *text != "rest").cloned().collect()
    }

    #[test]
    fn items_are_done_in_order_before_a_flush_ends() {
        let (background, told, _gate) = start(10, 100);
        assert!((0..5).all(|item| background.offer(item, 1)));
        assert!(background.flush(Duration::from_secs(10)));
        assert_eq!(without_rests(&told), ["take 0", "take 1", "take 2", "take 3", "take 4"]);
        assert_eq!(told.lock().expect("no panic").last().map(String::as_str), Some("rest"));
    }

    #[test]
    fn what_does_not_fit_is_refused_at_once_and_told() {
        let (background, told, open) = start(100, 10);
        assert!(background.offer(u32::MAX, 10), "it fills the room until it is done");
        assert!(!background.offer(1, 1));
        assert!(!background.offer(2, 1));
        assert!(!background.flush(Duration::from_millis(20)), "the thread waits at the gate");
        open.send(()).expect("the thread waits");
        assert!(background.flush(Duration::from_secs(10)));
        assert!(background.offer(3, 1000), "larger than all the room, but alone");
        assert!(background.flush(Duration::from_secs(10)));
        let told = without_rests(&told);
        assert_eq!((&told[0][..5], &told[1..]), ("take ", &["refused 2".to_owned(), "take 3".to_owned()][..]));
    }

    #[test]
    fn the_number_of_items_is_bounded_too() {
        let (background, _told, open) = start(2, 1000);
        assert!(background.offer(u32::MAX, 0));
        let taken = (0..10).filter(|item| background.offer(*item, 0)).count();
        assert!((1..=2).contains(&taken), "{taken}");
        open.send(()).expect("the thread waits");
    }
}
