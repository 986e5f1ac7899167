//! The queues with pieces that are nothing but numbers.

use proptest::prelude::*;

use super::*;
use crate::scheduling::{Fit, Limits};

/// Rows `first..first + rows` of request `id`.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    /// Ten queues are a group.
    queue: u8,
    id: usize,
    first: usize,
    rows: usize,
    dead: bool,
    limits: Limits,
}

impl Piece for Item {
    fn rows(&self) -> usize {
        self.rows
    }
    fn group(&self) -> usize {
        usize::from(self.queue / 10)
    }
    fn shares_queue(&self, other: &Item) -> bool {
        self.queue == other.queue
    }
    fn is_abandoned(&self) -> bool {
        self.dead
    }
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn limits(&self) -> &Limits {
        &self.limits
    }
    fn costs(&self) -> Fit {
        Fit::default()
    }
    fn cut(&mut self, rows: usize) -> Option<Item> {
        let head = Item { rows, ..self.clone() };
        (self.first, self.rows) = (self.first + rows, self.rows - rows);
        Some(head)
    }
}

const LIMITS: Limits =
    Limits { largest_task: 8, largest_batch: 8, most_batches: 2, timeout: Duration::ZERO, splits: false };
const SPLITTING: Limits = Limits { largest_task: 20, largest_batch: 4, splits: true, ..LIMITS };
const PATIENT: Limits = Limits { timeout: Duration::from_secs(1), ..LIMITS };

fn item(queue: u8, id: usize, rows: usize, limits: Limits) -> Item {
    Item { queue, id, first: 0, rows, dead: false, limits }
}

/// Queues that one thread takes from.
fn new() -> (Queues<Item>, Instant) {
    let now = Instant::now();
    (Queues::new(1, now), now)
}

/// Ids and rows of the next batch.
fn popped(queues: &mut Queues<Item>, now: Instant) -> Vec<(usize, usize)> {
    match queues.pop(0, now) {
        Next::Batch(batch) => batch.iter().map(|item| (item.id, item.rows)).collect(),
        other => panic!("no batch but {other:?}"),
    }
}

#[test]
fn what_does_not_fit_begins_the_next_batch() {
    let (mut queues, now) = new();
    for (id, rows) in [(0, 5), (1, 3), (2, 1), (3, 7)] {
        queues.push(item(0, id, rows, LIMITS), now).expect("room");
    }
    assert_eq!(popped(&mut queues, now), [(0, 5), (1, 3)]);
    assert_eq!(popped(&mut queues, now), [(2, 1), (3, 7)]);
    assert_eq!(queues.pop(0, now), Next::Idle);
    assert!(!queues.need_threads());
}

#[test]
fn a_batch_waits_for_its_timeout_or_until_it_is_full() {
    let (mut queues, now) = new();
    assert!(queues.push(item(0, 0, 5, PATIENT), now).expect("room"), "a batch began");
    assert_eq!(queues.pop(0, now), Next::Wait(now + PATIENT.timeout));
    let later = now + PATIENT.timeout / 2;
    assert!(!queues.push(item(0, 1, 1, PATIENT), later).expect("room"), "nothing new for a thread");
    assert_eq!(queues.pop(0, later), Next::Wait(now + PATIENT.timeout), "the first piece counts");
    assert!(queues.push(item(0, 2, 2, PATIENT), later).expect("room"), "full");
    assert_eq!(popped(&mut queues, later), [(0, 5), (1, 1), (2, 2)]);
    queues.push(item(0, 3, 1, PATIENT), now).expect("room");
    assert_eq!(popped(&mut queues, now + PATIENT.timeout), [(3, 1)]);
}

#[test]
fn a_full_queue_refuses() {
    let (mut queues, now) = new();
    for id in 0..2 {
        queues.push(item(0, id, 6, LIMITS), now).expect("room");
    }
    let (_, refusal) = queues.push(item(0, 2, 3, LIMITS), now).expect_err("full");
    let full = Full { rows: 3, capacity: 2, batches: 2, most_batches: 2, open_batch_rows: 6, largest_batch: 8 };
    assert_eq!(refusal, Refusal::Full(full));
    queues.push(item(0, 3, 2, LIMITS), now).expect("the open batch has room for two");
    queues.push(item(1, 4, 8, LIMITS), now).expect("another queue");
}

#[test]
fn too_large_a_request_is_refused() {
    let (_, refusal) = new().0.push(item(0, 0, 9, LIMITS), Instant::now()).expect_err("too large");
    assert_eq!(refusal, Refusal::TooLarge { rows: 9, largest: 8 });
}

#[test]
fn queues_take_turns() {
    let (mut queues, now) = new();
    for (queue, id) in [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4)] {
        queues.push(item(queue, id, 8, LIMITS), now).expect("room");
    }
    let order: Vec<_> = (0..5).map(|_| popped(&mut queues, now)[0].0).collect();
    assert_eq!(order, [0, 2, 4, 1, 3]);
}

#[test]
fn groups_take_turns_whatever_the_number_of_their_queues() {
    let (mut queues, now) = new();
    for (queue, id) in [(0, 0), (1, 1), (2, 2), (0, 3), (10, 4), (10, 5)] {
        queues.push(item(queue, id, 8, LIMITS), now).expect("room");
    }
    let order: Vec<_> = (0..6).map(|_| popped(&mut queues, now)[0].0).collect();
    assert_eq!(order, [0, 4, 1, 5, 2, 3]);
}

#[test]
fn the_dead_never_leave_and_keep_no_place() {
    let (mut queues, now) = new();
    queues.push(Item { dead: true, ..item(0, 0, 8, LIMITS) }, now).expect("room");
    queues.push(item(0, 1, 8, LIMITS), now).expect("room");
    queues.push(item(0, 2, 8, LIMITS), now).expect("the place of the dead one");
    assert_eq!(queues.take_leftovers().dead.len(), 1);
    assert_eq!(popped(&mut queues, now), [(1, 8)]);
    assert_eq!(popped(&mut queues, now), [(2, 8)]);
    queues.push(Item { dead: true, ..item(0, 3, 1, LIMITS) }, now).expect("room");
    assert_eq!(queues.pop(0, now), Next::Idle);
}

#[test]
fn pieces_without_rows_do_not_go_on_for_ever() {
    let (mut queues, now) = new();
    let outcomes: Vec<_> = (0..20).map(|id| queues.push(item(0, id, 0, LIMITS), now).is_ok()).collect();
    assert_eq!(outcomes.iter().filter(|taken| **taken).count(), 16);
}

#[test]
fn a_large_request_is_split_into_the_room_there_is() {
    let (mut queues, now) = new();
    let limits = Limits { most_batches: 3, ..SPLITTING };
    queues.push(item(0, 0, 3, limits.clone()), now).expect("room");
    queues.push(item(0, 1, 7, limits.clone()), now).expect("room");
    let (_, refusal) = queues.push(item(0, 2, 3, limits), now).expect_err("two rows are left");
    assert!(matches!(refusal, Refusal::Full(Full { capacity: 2, .. })));
    assert_eq!(popped(&mut queues, now), [(0, 3), (1, 1)]);
    assert_eq!(popped(&mut queues, now), [(1, 4)]);
    assert_eq!(popped(&mut queues, now), [(1, 2)]);
}

fn gathered(queues: &mut Queues<Item>, id: usize, rows: usize, now: Instant) -> Gathered<Item> {
    queues.gather(item(0, id, rows, LIMITS), now).expect("room")
}

#[test]
fn what_gathers_is_for_its_leader() {
    let (mut queues, now) = new();
    let Gathered::Leads(leader) = gathered(&mut queues, 0, 2, now) else { panic!("the first leads") };
    assert_eq!(gathered(&mut queues, 1, 3, now), Gathered::Follows);
    assert_eq!(queues.pop(0, now), Next::Idle, "nothing for the threads");
    assert!(!queues.need_threads());
    let taken = queues.take_led(leader, now);
    assert_eq!(taken.batch.iter().map(|item| item.id).collect::<Vec<_>>(), [0, 1]);
    assert!(!taken.more_waits);
    assert!(queues.take_led(leader, now).batch.is_empty(), "once");
    assert!(matches!(gathered(&mut queues, 2, 1, now), Gathered::Leads(next) if next != leader));
}

#[test]
fn a_full_batch_does_not_wait_for_its_leader() {
    let (mut queues, now) = new();
    let Gathered::Leads(leader) = gathered(&mut queues, 0, 5, now) else { panic!("the first leads") };
    let Gathered::Full(batch) = gathered(&mut queues, 1, 3, now) else { panic!("eight rows are a batch") };
    assert_eq!(batch.iter().map(|item| item.id).collect::<Vec<_>>(), [0, 1]);
    assert!(queues.take_led(leader, now).batch.is_empty());
}

#[test]
fn what_a_leader_leaves_is_for_the_threads() {
    let (mut queues, now) = new();
    let Gathered::Leads(leader) = gathered(&mut queues, 0, 5, now) else { panic!("the first leads") };
    assert!(queues.release(leader).is_some());
    assert_eq!(gathered(&mut queues, 1, 1, now), Gathered::Waits { is_news: false });
    assert_eq!(popped(&mut queues, now), [(0, 5), (1, 1)]);
    assert!(queues.release(leader).is_none());
}

proptest! {
    #[test]
    fn every_row_leaves_once_and_in_order(
        pushes in prop::collection::vec((0u8..3, 0usize..12), 1..60), splits: bool, largest in 1usize..6
    ) {
        let largest_batch = if splits { largest } else { 12 };
        let limits = Limits { largest_task: 12, largest_batch, most_batches: 1000, timeout: Duration::ZERO, splits };
        let (mut queues, now) = new();
        for (id, (queue, rows)) in pushes.iter().enumerate() {
            queues.push(item(*queue, id, *rows, limits.clone()), now).expect("room for all");
        }
        let mut seen = vec![Vec::new(); pushes.len()];
        while let Next::Batch(batch) = queues.pop(0, now) {
            prop_assert!(batch.iter().map(Piece::rows).sum::<usize>() <= largest_batch);
            prop_assert!(batch.iter().all(|item| item.queue == batch[0].queue));
            for item in batch {
                seen[item.id].extend(item.first..item.first + item.rows);
            }
        }
        for (rows, (_, wanted)) in seen.iter().zip(&pushes) {
            prop_assert_eq!(rows, &(0..*wanted).collect::<Vec<_>>());
        }
    }
}
