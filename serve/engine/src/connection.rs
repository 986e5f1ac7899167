//! A connection whose requests are begun together, as those of HTTP/2 may come.
//!
//! hyper gives each request a task of its own, and tokio runs the connection as soon as the first of them has answered: a
//! reply that is there at once costs a task, and mostly a write to the socket as well. Here the requests that came
//! together are begun by the connection's own task, and the replies leave in one write. A request that has to wait gets its
//! own task then, and so does what is left when the time is up, so that other threads can take it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::rt::Executor;

/// A stream may send this much before the server must have read it. HTTP/2's default of 64 KiB makes a large tensor wait
/// for a round trip every 64 KiB.
pub const WINDOW_BYTES: u32 = 4 << 20;

/// How long a connection begins requests before it leaves the others to other threads.
const TURN: Duration = Duration::from_micros(250);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Requests that have come and are not begun yet; hyper hands them over.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<Task>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Requests {
    fn execute(&self, request: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(request));
    }
}

impl Requests {
    fn take(&self) -> Vec<Task> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// hyper's connection, and the requests that it reads. It ends as that does.
pub struct Connection<C> {
    http: Pin<Box<C>>,
    requests: Requests,
    /// Requests with a task of their own.
    waiting: Arc<AtomicUsize>,
    has_given_way: bool,
    turn: Duration,
}

impl<C> Connection<C> {
    /// `requests` is the executor of `http`.
    pub fn new(http: C, requests: Requests) -> Connection<C> {
        Connection { http: Box::pin(http), requests, waiting: Arc::default(), has_given_way: false, turn: TURN }
    }

    /// hyper's connection.
    pub fn http(&mut self) -> Pin<&mut C> {
        self.http.as_mut()
    }

    /// Poll a request for the first time, here if there is time for it.
    fn begin(&self, mut request: Task, end: Instant) {
        if Instant::now() >= end {
            return self.spawn(request);
        }
        // Its task polls it again, with a waker that counts.
        let mut context = Context::from_waker(Waker::noop());
        // A panic ends the request and no other.
        match catch_unwind(AssertUnwindSafe(|| request.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => self.spawn(request),
            Ok(Poll::Ready(())) | Err(_) => {}
        }
    }

    fn spawn(&self, request: Task) {
        let waits = Waits::begin(&self.waiting);
        tokio::spawn(async move {
            request.await;
            drop(waits);
        });
    }
}

/// A request with a task of its own, for as long as it has one.
struct Waits(Arc<AtomicUsize>);

impl Waits {
    fn begin(waiting: &Arc<AtomicUsize>) -> Waits {
        waiting.fetch_add(1, Ordering::Relaxed);
        Waits(Arc::clone(waiting))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<C: Future> Future for Connection<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        // Once behind whatever is ready to run on this thread, if that may be requests of this connection: their replies
        // are then there to leave with the first one.
        self.has_given_way = !self.has_given_way && self.waiting.load(Ordering::Relaxed) > 0;
        if self.has_given_way {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let end = Instant::now() + self.turn;
        loop {
            if let Poll::Ready(outcome) = self.http.as_mut().poll(context) {
                self.requests.take().into_iter().for_each(|request| self.spawn(request));
                return Poll::Ready(outcome);
            }
            let requests = self.requests.take();
            if requests.is_empty() {
                return Poll::Pending;
            }
            requests.into_iter().for_each(|request| self.begin(request, end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that reads some requests when it is polled first, and ends when it finds all of them answered.
    struct Http {
        requests: Requests,
        unread: Vec<Task>,
        answered: Arc<AtomicUsize>,
        wanted: usize,
        /// How many were answered whenever it was polled.
        seen: Vec<usize>,
    }

    impl Future for Http {
        type Output = Vec<usize>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<usize>> {
            for request in std::mem::take(&mut self.unread) {
                self.requests.execute(request);
            }
            let answered = self.answered.load(Ordering::SeqCst);
            self.seen.push(answered);
            if answered == self.wanted {
                return Poll::Ready(std::mem::take(&mut self.seen));
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    /// Longer than a busy machine keeps a thread waiting.
    const ENDLESS: Duration = Duration::from_secs(60);

    async fn answer(count: usize, turn: Duration, request: impl Fn(usize, Arc<AtomicUsize>) -> Task) -> Vec<usize> {
        let (requests, answered) = (Requests::default(), Arc::<AtomicUsize>::default());
        let unread = (0..count).map(|number| request(number, Arc::clone(&answered))).collect();
        let http = Http { requests: requests.clone(), unread, answered, wanted: count, seen: Vec::new() };
        Connection { turn, ..Connection::new(http, requests) }.await
    }

    #[tokio::test]
    async fn replies_that_are_there_at_once_leave_together() {
        let seen = answer(10, ENDLESS, |_, answered| {
            Box::pin(async move {
                answered.fetch_add(1, Ordering::SeqCst);
            })
        })
        .await;
        assert_eq!(seen, [0, 10]);
    }

    #[tokio::test]
    async fn a_request_that_waits_keeps_nobody() {
        let seen = answer(10, ENDLESS, |number, answered| {
            Box::pin(async move {
                if number == 3 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                answered.fetch_add(1, Ordering::SeqCst);
            })
        })
        .await;
        assert_eq!((seen[0], seen[1], seen.last()), (0, 9, Some(&10)));
    }

    #[tokio::test]
    async fn a_panic_ends_no_other_request() {
        let seen = answer(10, ENDLESS, |number, answered| {
            Box::pin(async move {
                answered.fetch_add(1, Ordering::SeqCst);
                if number % 4 == 3 {
                    tokio::task::yield_now().await;
                }
                assert!(number % 4 < 2, "on purpose");
            })
        })
        .await;
        assert_eq!(seen.last(), Some(&10));
    }

    #[tokio::test]
    async fn what_does_not_fit_into_a_turn_goes_to_other_tasks() {
        let turn = Duration::from_millis(50);
        let seen = answer(3, turn, |_, answered| {
            Box::pin(async move {
                std::thread::sleep(2 * turn);
                answered.fetch_add(1, Ordering::SeqCst);
            })
        })
        .await;
        assert_eq!((seen[0], seen[1], seen.last()), (0, 1, Some(&3)));
    }
}
