//! Threads that let others run first: a version that is loaded should cost those that serve nothing but idle time.

use std::panic::resume_unwind;
use std::thread;

use crate::error::{Code, Error, Result};

/// A tenth of the time of a thread that answers requests where both want the same core, and all of a core that is idle.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Let other threads run before this one and those that it starts, for good: not everybody may take niceness back.
pub fn give_way() {
    // Linux keeps it for each thread (setpriority(2), "C library/kernel differences"). Other systems would mean the whole
    // process. Nobody is denied it, and if somebody is, this thread runs as all others do.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Do `work` on a thread that gives way, and wait for it. It must start no threads that others use.
pub fn behind_others<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let give_way_and_work = || {
            give_way();
            work()
        };
        let thread = thread::Builder::new().name("tfs-behind".to_owned()).spawn_scoped(scope, give_way_and_work);
        let thread = thread.map_err(|error| {
            Error::new(Code::ResourceExhausted, format!("cannot start a thread to load or free a version: {error}"))
        })?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_comes_back_and_a_panic_too() {
        let name = || thread::current().name().map(str::to_owned);
        assert_eq!(behind_others(|| Ok(name())).expect("started").as_deref(), Some("tfs-behind"));
        assert_eq!(behind_others::<()>(|| Err(Error::invalid("no"))).expect_err("failed").message, "no");
        let panicked = std::panic::catch_unwind(|| behind_others::<()>(|| panic!("on purpose")));
        assert!(panicked.is_err());
    }
}
