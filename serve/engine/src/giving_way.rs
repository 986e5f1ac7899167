//! Threads that let others run first: a version that is loaded should cost those that serve nothing but idle time.

use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};
use std::thread;

use crate::error::{Code, Error, Result};

/// What the system knows a thread by.
pub type ThreadId = i32;

/// Has the control plane make threads give way to all others for as long as they live. It is told whether they may start
/// threads that stay, which inherit it: it makes those as they were, or these not give way.
pub type GiveWay = Arc<dyn Fn(&[ThreadId], StartsThreads) + Send + Sync>;

/// Whether work may start threads that outlive it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartsThreads {
    Yes,
    No,
}

/// The calling thread, for whoever makes it give way. It is done from another one: what this one held meanwhile, such as
/// Python's lock, others would wait for until it had idle time.
pub fn this_thread() -> ThreadId {
    #[cfg(target_os = "linux")]
    return rustix::thread::gettid().as_raw_nonzero().get();
    // Nowhere else do threads have priorities that others can set by a number.
    #[cfg(not(target_os = "linux"))]
    return 0;
}

/// Do `work` on a thread that gives way, and wait for it.
pub fn behind_others<T: Send>(
    give_way: &GiveWay,
    starts_threads: StartsThreads,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let (tell, told) = mpsc::channel();
    let (begin, may_begin) = mpsc::channel::<()>();
    let wait_and_work = move || {
        // Nobody is told only if this function has ended.
        let _ = tell.send(this_thread());
        let _ = may_begin.recv();
        work()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("tfs-behind".to_owned()).spawn_scoped(scope, wait_and_work);
        let thread = thread.map_err(|error| {
            Error::new(Code::ResourceExhausted, format!("cannot start a thread to load or free a version: {error}"))
        })?;
        if let Ok(id) = told.recv() {
            give_way(&[id], starts_threads);
        }
        drop(begin);
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_result_comes_back_and_a_panic_too() {
        let gave_way = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&gave_way);
        let give_way: GiveWay = Arc::new(move |threads, starts_threads| {
            assert_eq!(starts_threads, StartsThreads::No);
            noted.lock().expect("no panic").extend_from_slice(threads);
        });
        let own =
            || (thread::current().name().map(str::to_owned), this_thread(), gave_way.lock().map(|ids| ids.len()).ok());
        let (name, id, before) = behind_others(&give_way, StartsThreads::No, || Ok(own())).expect("started");
        assert_eq!((name.as_deref(), before), (Some("tfs-behind"), Some(1)));
        assert_eq!(*gave_way.lock().expect("no panic"), [id]);
        let fails = || behind_others::<()>(&give_way, StartsThreads::No, || Err(Error::invalid("no")));
        assert_eq!(fails().expect_err("failed").message, "no");
        let panics = || behind_others::<()>(&give_way, StartsThreads::No, || panic!("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    }
}
