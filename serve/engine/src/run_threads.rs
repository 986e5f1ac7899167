//! The threads that run models, so that the threads that read and write sockets never wait for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::{Code, Error, Result};
use crate::scheduling::{Costs, Fit, Limits, OnEach, Piece, Pool, Refusal, Work, guarded};

/// Requests to one version that may wait for a run thread. Past it a client is told to come back, instead of waiting for
/// longer than it would care to: at 1 ms a run and two threads this is half a second of work for each thousand.
const QUEUE_CAPACITY: usize = 4096;

/// A request is a batch of one row.
const LIMITS: Limits =
    Limits { largest_task: 1, largest_batch: 1, most_batches: QUEUE_CAPACITY, timeout: Duration::ZERO, splits: false };

/// A fixed number of threads, for which the requests to each version wait in a queue of their own; cheap to clone. The
/// threads end with the last clone.
#[derive(Clone)]
pub struct RunThreads {
    pool: Arc<Pool<Job>>,
}

/// What the queue of one version is known by. Cheap to clone.
#[derive(Clone, Default)]
pub struct RunQueue {
    costs: Arc<Costs>,
}

impl RunThreads {
    /// Start `count` threads; 0 means one for each CPU.
    pub fn start(count: usize) -> std::io::Result<RunThreads> {
        let count = if count == 0 { std::thread::available_parallelism()?.get() } else { count };
        Ok(RunThreads { pool: Arc::new(Pool::start(count, "tfs-run")?) })
    }

    /// Have each thread do `work` once, one after the other; see `Pool::on_each_thread`.
    pub fn on_each(&self, work: &OnEach, until: Instant) {
        self.pool.on_each_thread(work, until);
    }

    /// Requests that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// Run `work` on one of the threads, when the turn of `queue` has come, and wait for its result.
    ///
    /// Work whose deadline has passed or cannot be met, or whose client is gone (this future was dropped), is not begun.
    /// A deadline that passes during the run ends the waiting, not the run.
    pub async fn run<T, F>(&self, queue: &RunQueue, deadline: Option<Instant>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(Waiting { reply, work });
        self.pool.submit(Job { queue: queue.clone(), deadline, request }).map_err(refusal)?;
        let dropped = move || match deadline {
            Some(deadline) if deadline <= Instant::now() => deadline_exceeded(),
            _ => Error::internal("the run thread gave no answer"),
        };
        let answer = async { answer.await.unwrap_or_else(|_| Err(dropped())) };
        match deadline {
            None => answer.await,
            Some(deadline) => {
                tokio::time::timeout_at(deadline.into(), answer).await.unwrap_or_else(|_| Err(deadline_exceeded()))
            }
        }
    }
}

/// A request on its way to a thread.
struct Job {
    queue: RunQueue,
    deadline: Option<Instant>,
    request: Box<dyn Request>,
}

/// A request of any type of result.
trait Request: Send {
    fn run(self: Box<Self>);
    fn refuse(self: Box<Self>, error: Error);
    fn is_abandoned(&self) -> bool;
}

struct Waiting<T, F> {
    reply: oneshot::Sender<Result<T>>,
    work: F,
}

impl<T: Send, F: FnOnce() -> Result<T> + Send> Request for Waiting<T, F> {
    fn run(self: Box<Self>) {
        // An error here only says that the client left during the run.
        let _ = self.reply.send(guarded(self.work));
    }

    fn refuse(self: Box<Self>, error: Error) {
        let _ = self.reply.send(Err(error));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

impl Piece for Job {
    fn rows(&self) -> usize {
        1
    }

    fn group(&self) -> usize {
        Arc::as_ptr(&self.queue.costs).addr()
    }

    fn shares_queue(&self, _: &Job) -> bool {
        true
    }

    fn is_abandoned(&self) -> bool {
        self.request.is_abandoned()
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn limits(&self) -> &Limits {
        &LIMITS
    }

    fn costs(&self) -> Fit {
        self.queue.costs.fit()
    }
}

impl Work for Job {
    fn run(jobs: Vec<Job>) {
        for job in jobs {
            let start = Instant::now();
            job.request.run();
            job.queue.costs.note(1, start.elapsed());
        }
    }

    fn refuse(self) {
        self.request.refuse(refusal(Refusal::Late));
    }
}

fn refusal(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Late => Error::new(Code::ResourceExhausted, "too many requests wait to answer in time"),
        Refusal::Stopping => Error::new(Code::Unavailable, "the server is stopping"),
        Refusal::TooLarge { .. } | Refusal::Full(_) => {
            Error::new(Code::ResourceExhausted, "too many requests wait for a run thread")
        }
    }
}

/// The answer to a request whose deadline has passed.
pub fn deadline_exceeded() -> Error {
    Error::new(Code::DeadlineExceeded, "the deadline of the request has passed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn a_panic_is_an_error_of_one_request() {
        let (threads, queue) = (RunThreads::start(1).expect("threads start"), RunQueue::default());
        let failed: Result<()> = threads.run(&queue, None, || panic!("on purpose")).await;
        assert_eq!(failed.expect_err("panicked").code, Code::Internal);
        assert_eq!(threads.run(&queue, None, || Ok(7)).await.expect("the thread lives on"), 7);
    }

    #[tokio::test]
    async fn expired_work_is_answered_and_never_begun() {
        let (threads, queue) = (RunThreads::start(1).expect("threads start"), RunQueue::default());
        let begun = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&begun);
        let late = threads.run(&queue, Some(Instant::now()), move || {
            flag.store(true, Ordering::SeqCst);
            Ok(())
        });
        assert_eq!(late.await.expect_err("too late").code, Code::DeadlineExceeded);
        threads.run(&queue, None, || Ok(())).await.expect("the queue is empty now");
        assert!(!begun.load(Ordering::SeqCst));
    }

    #[test]
    fn each_thread_does_it_once_and_one_that_is_busy_later() {
        let threads = RunThreads::start(3).expect("threads start");
        let (tell, told) = std::sync::mpsc::channel();
        let tell = std::sync::Mutex::new(tell);
        let work: OnEach = Arc::new(move || {
            let _ = tell.lock().expect("no panic").send(std::thread::current().name().map(str::to_owned));
        });
        threads.on_each(&work, Instant::now() + Duration::from_secs(60));
        let names: Vec<_> = told.try_iter().flatten().collect();
        assert_eq!(names, ["tfs-run-0", "tfs-run-1", "tfs-run-2"]);
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let blocked: OnEach = Arc::new(move || {
            let _ = gate.lock().expect("no panic").recv();
        });
        threads.on_each(&blocked, Instant::now() + Duration::from_millis(20));
        threads.on_each(&work, Instant::now() + Duration::from_millis(20));
        assert!(told.try_recv().is_err(), "the first thread is busy, and the others wait for it");
        drop(release);
        let late = told.recv_timeout(Duration::from_secs(60)).expect("done later").expect("has a name");
        assert_eq!(late, "tfs-run-0");
    }

    #[tokio::test]
    async fn a_full_queue_is_an_answer() {
        let (threads, queue) = (RunThreads::start(1).expect("threads start"), RunQueue::default());
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let (clone, same) = (threads.clone(), queue.clone());
        let blocked = tokio::spawn(async move { clone.run(&same, None, move || Ok(gate.recv().is_ok())).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut waiting = Vec::new();
        for _ in 0..QUEUE_CAPACITY {
            let mut future = Box::pin(threads.run(&queue, None, || Ok(())));
            // Polled once, so that it stands in the queue.
            assert!(tokio::time::timeout(Duration::ZERO, &mut future).await.is_err());
            waiting.push(future);
        }
        assert_eq!(threads.run(&queue, None, || Ok(())).await.expect_err("full").code, Code::ResourceExhausted);
        release.send(()).expect("the first job waits");
        assert!(blocked.await.expect("no panic").expect("released"));
        for future in waiting {
            future.await.expect("served in turn");
        }
    }
}
