//! Threads that let others run first: a version that is loaded should cost those that serve nothing but idle time.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use crate::error::{Code, Error, Result};

/// Has the control plane make the calling thread, and those that it will start, give way to all others for good: not
/// everybody may take that back.
pub type GiveWay = Arc<dyn Fn() + Send + Sync>;

/// Do `work` on a thread that gives way, and wait for it. It must start no threads that others use.
pub fn behind_others<T: Send>(give_way: &GiveWay, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
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
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn the_result_comes_back_and_a_panic_too() {
        let give_way: GiveWay = Arc::new(|| {});
        let name = || thread::current().name().map(str::to_owned);
        assert_eq!(behind_others(&give_way, || Ok(name())).expect("started").as_deref(), Some("tfs-behind"));
        assert_eq!(behind_others::<()>(&give_way, || Err(Error::invalid("no"))).expect_err("failed").message, "no");
        let panics = || behind_others::<()>(&give_way, || panic!("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    }
}
