//! The threads that run models, so that the threads that read and write sockets never wait for one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::error::{Code, Error, Result};

/// Requests that may wait for a run thread. Past it a client is told to come back, instead of waiting for longer than
/// it would care to: at 1 ms a run and two threads this is half a second of work for each thousand.
const QUEUE_CAPACITY: usize = 4096;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads behind one bounded queue; cheap to clone. The threads end with the last clone.
#[derive(Clone)]
pub struct RunThreads {
    queue: Sender<Job>,
}

impl RunThreads {
    /// Start `count` threads; 0 means one for each CPU.
    pub fn start(count: usize) -> std::io::Result<RunThreads> {
        let count = if count == 0 { std::thread::available_parallelism()?.get() } else { count };
        let (queue, jobs) = bounded::<Job>(QUEUE_CAPACITY);
        for index in 0..count {
            let jobs: Receiver<Job> = jobs.clone();
            std::thread::Builder::new()
                .name(format!("tfs-run-{index}"))
                .spawn(move || jobs.iter().for_each(|job| job()))?;
        }
        Ok(RunThreads { queue })
    }

    /// Run `work` on one of the threads and wait for its result.
    ///
    /// Work whose deadline has passed, or whose client is gone (this future was dropped), is not begun. A deadline that
    /// passes during the run ends the waiting, not the run.
    pub async fn run<T, F>(&self, deadline: Option<Instant>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            if !reply.is_closed() {
                let expired = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                // An error here only says that the client left during the run.
                let _ = reply.send(if expired { Err(deadline_exceeded()) } else { guarded(work) });
            }
        });
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::new(Code::ResourceExhausted, "too many requests wait for a run thread"),
            TrySendError::Disconnected(_) => Error::new(Code::Unavailable, "the server is stopping"),
        })?;
        let answer = async { answer.await.unwrap_or_else(|_| Err(Error::internal("the run thread gave no answer"))) };
        match deadline {
            None => answer.await,
            Some(deadline) => {
                tokio::time::timeout_at(deadline.into(), answer).await.unwrap_or_else(|_| Err(deadline_exceeded()))
            }
        }
    }
}

/// Run `work` here; a panic becomes an error of this request and nothing else.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::internal("the engine failed on this request; please report it")))
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
        let threads = RunThreads::start(1).expect("threads start");
        let failed: Result<()> = threads.run(None, || panic!("on purpose")).await;
        assert_eq!(failed.expect_err("panicked").code, Code::Internal);
        assert_eq!(threads.run(None, || Ok(7)).await.expect("the thread lives on"), 7);
    }

    #[tokio::test]
    async fn expired_work_is_answered_and_never_begun() {
        let threads = RunThreads::start(1).expect("threads start");
        let begun = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&begun);
        let late = threads.run(Some(Instant::now()), move || {
            flag.store(true, Ordering::SeqCst);
            Ok(())
        });
        assert_eq!(late.await.expect_err("too late").code, Code::DeadlineExceeded);
        threads.run(None, || Ok(())).await.expect("the queue is empty now");
        assert!(!begun.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_full_queue_is_an_answer() {
        let threads = RunThreads::start(1).expect("threads start");
        let (release, gate) = bounded::<()>(0);
        let clone = threads.clone();
        let blocked = tokio::spawn(async move { clone.run(None, move || Ok(gate.recv().is_ok())).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut waiting = Vec::new();
        for _ in 0..QUEUE_CAPACITY {
            let mut future = Box::pin(threads.run(None, || Ok(())));
            // Polled once, so that it stands in the queue.
            assert!(tokio::time::timeout(Duration::ZERO, &mut future).await.is_err());
            waiting.push(future);
        }
        assert_eq!(threads.run(None, || Ok(())).await.expect_err("full").code, Code::ResourceExhausted);
        release.send(()).expect("the first job waits");
        assert!(blocked.await.expect("no panic").expect("released"));
        for future in waiting {
            future.await.expect("served in turn");
        }
    }
}
