//! Threads that run one session and no other.
//!
//! oneDNN prepares an operation for some number of threads, and TensorFlow keeps what was prepared: for each thread that
//! runs operations, by their shapes and not by that number. So a thread that has run a session with one intra-op thread
//! runs the same operations of a session with several as if there was one, on filters in an order that suits neither.
//! Measured so, ResNet50 took 67 ms with a plan that serves it in 31.

use std::sync::{Arc, mpsc};

use crate::error::{Code, Error, Result};
use crate::giving_way::{GiveWay, StartsThreads, this_thread};
use crate::scheduling::guarded;

type Task = Box<dyn FnOnce() + Send>;

/// They end with it.
pub struct Crew {
    threads: Vec<mpsc::Sender<Task>>,
}

impl Crew {
    /// Start `count` threads, which give way to all others if they are told how.
    pub fn start(count: usize, give_way: Option<&GiveWay>) -> Result<Crew> {
        let start_one = |_| {
            let (sender, tasks) = mpsc::channel::<Task>();
            let work = move || tasks.into_iter().for_each(|task| task());
            std::thread::Builder::new().name("tfs-measure".to_owned()).spawn(work).map(|_| sender)
        };
        let threads = (0..count).map(start_one).collect::<std::io::Result<_>>().map_err(|error| {
            Error::new(Code::ResourceExhausted, format!("cannot start a thread to measure with: {error}"))
        })?;
        let crew = Crew { threads };
        if let Some(give_way) = give_way {
            give_way(&crew.together(|| Ok(this_thread()))?, StartsThreads::No);
        }
        Ok(crew)
    }

    /// Do `work` on all threads at the same time, and wait for all of them.
    pub fn together<T: Send + 'static>(&self, work: impl Fn() -> Result<T> + Send + Sync + 'static) -> Result<Vec<T>> {
        on_each(&self.threads, work)
    }

    /// Do `work` on the thread whose turn it is, and wait for it.
    pub fn alone<T: Send + 'static>(
        &self,
        turn: usize,
        work: impl Fn() -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let thread = turn % self.threads.len();
        on_each(&self.threads[thread..=thread], work)?
            .pop()
            .ok_or_else(|| Error::internal("a thread of a crew has ended"))
    }
}

fn on_each<T: Send + 'static>(
    threads: &[mpsc::Sender<Task>],
    work: impl Fn() -> Result<T> + Send + Sync + 'static,
) -> Result<Vec<T>> {
    let (done, results) = mpsc::channel();
    let work = Arc::new(work);
    for thread in threads {
        let (work, done) = (Arc::clone(&work), done.clone());
        // A thread that has ended, or a caller that has not waited, is noticed by the lack of a result.
        let _ = thread.send(Box::new(move || {
            let _ = done.send(guarded(&*work));
        }));
    }
    drop(done);
    results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn all_threads_work_at_the_same_time_and_always_the_same_ones() {
        let crew = Crew::start(3, None).expect("threads start");
        let barrier = Arc::new(Barrier::new(3));
        let ids = || -> HashSet<_> {
            let barrier = Arc::clone(&barrier);
            let work = move || {
                barrier.wait();
                Ok(thread::current().id())
            };
            crew.together(work).expect("they work").into_iter().collect()
        };
        let first = ids();
        assert_eq!(first.len(), 3);
        assert_eq!(first, ids());
        let alone = |turn| crew.alone(turn, || Ok(thread::current().id())).expect("it works");
        assert_eq!(first, (0..3).map(alone).collect());
        assert_eq!(alone(1), alone(4));
    }

    #[test]
    fn a_failure_or_a_panic_is_returned_and_ends_no_thread() {
        let crew = Crew::start(2, None).expect("threads start");
        let failed: Result<Vec<()>> = crew.together(|| Err(Error::invalid("no")));
        assert_eq!(failed.expect_err("failed").code, Code::InvalidArgument);
        let panicked: Result<()> = crew.alone(0, || panic!("on purpose"));
        assert_eq!(panicked.expect_err("panicked").code, Code::Internal);
        assert_eq!(crew.together(|| Ok(7)).expect("they live on"), [7, 7]);
    }
}
