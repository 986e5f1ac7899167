//! Running a batch: merge, run, cut apart; and finding the request that is to blame when it fails.

use std::time::Instant;

use super::merge::{Misfit, Rows, check_rows, merge, slice};
use super::task::TaskPiece;
use crate::error::{Code, Error};
use crate::scheduling::Piece;
use crate::tensorflow::Tensor;

enum Failure {
    /// The piece of this index does not fit to the others.
    One(usize, Error),
    /// The session failed, maybe on what one of the pieces has in it.
    Run(Error),
    /// The batch as a whole cannot be answered.
    All(Error),
}

/// Run pieces of one queue as one batch and answer each of them.
pub fn run(pieces: Vec<TaskPiece>) {
    for piece in &pieces {
        piece.start();
        piece.task.batching.threads.metrics.waited(piece.task.submitted.elapsed());
    }
    let mut open = vec![pieces];
    while let Some(mut batch) = open.pop() {
        if batch.is_empty() {
            continue;
        }
        match run_merged(&batch) {
            Ok(answers) => batch.iter().zip(answers).for_each(|(piece, outputs)| piece.succeed(outputs)),
            Err(Failure::One(index, error)) => {
                batch.remove(index).fail(error);
                open.push(batch);
            }
            // Halving finds one bad request among N in about 2 log2 N runs, instead of N single ones.
            Err(Failure::Run(error)) if batch.len() > 1 && is_of_an_input(&error) => {
                let second = batch.split_off(batch.len() / 2);
                open.extend([second, batch]);
            }
            Err(Failure::Run(error) | Failure::All(error)) => batch.iter().for_each(|piece| piece.fail(error.clone())),
        }
    }
}

/// Whether another input might have gone well; the other codes speak of the machine or the clock.
fn is_of_an_input(error: &Error) -> bool {
    !matches!(
        error.code,
        Code::Cancelled | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted | Code::Unavailable
    )
}

/// One run; the outputs of each piece in the order of the task's fetches.
fn run_merged(pieces: &[TaskPiece]) -> Result<Vec<Vec<Tensor>>, Failure> {
    let Some(first) = pieces.first() else { return Ok(Vec::new()) };
    let (servable, options) = (&first.task.servable, &first.task.batching.options);
    let fetches = &first.task.fetches;
    let rows = pieces.iter().map(Piece::rows).sum::<usize>();
    let size = options.padded_size(rows);
    let (start, batching) = (Instant::now(), &first.task.batching);
    batching.threads.metrics.batch(rows, size);
    let only = (pieces.len() == 1 && first.is_whole() && size == rows).then_some(first);
    let outputs = match only {
        Some(piece) => {
            let feeds: Vec<_> = piece.feeds().map(|(endpoint, rows)| (endpoint, rows.tensor)).collect();
            servable.run_merged(&feeds, fetches)
        }
        None => {
            let merged = merge_feeds(pieces, size - rows, options.pad_variable_length_inputs)?;
            let feeds: Vec<_> = first.feeds().map(|(endpoint, _)| endpoint).zip(&merged).collect();
            servable.run_merged(&feeds, fetches)
        }
    };
    let outputs = outputs.map_err(Failure::Run)?;
    outputs.iter().try_for_each(|output| check_rows(output, size)).map_err(Failure::All)?;
    batching.costs.note(rows, start.elapsed());
    if only.is_some() {
        return Ok(vec![outputs]);
    }
    let mut at = 0;
    let cut = |piece: &TaskPiece| {
        let (first, count) = (at, piece.rows());
        at += count;
        let rows = outputs.iter().map(|tensor| Rows { tensor, first, count });
        rows.zip(fetches).map(|(rows, endpoint)| slice(|| servable.tensor_name(*endpoint), rows)).collect()
    };
    pieces.iter().map(cut).collect::<Result<_, _>>().map_err(Failure::All)
}

fn merge_feeds(pieces: &[TaskPiece], extra: usize, pad: bool) -> Result<Vec<Tensor>, Failure> {
    let mut feeds: Vec<_> = pieces.iter().map(TaskPiece::feeds).collect();
    let mut merged = Vec::new();
    loop {
        // The same feed of every piece: all have the same in the same order.
        let parts: Vec<_> = feeds.iter_mut().filter_map(Iterator::next).collect();
        let Some((endpoint, _)) = parts.first() else { return Ok(merged) };
        let name = pieces[0].task.servable.tensor_name(*endpoint);
        let parts: Vec<_> = parts.iter().map(|(_, rows)| *rows).collect();
        merged.push(merge(name, &parts, extra, pad).map_err(|misfit| match misfit {
            Misfit::One(index, error) => Failure::One(index, error),
            Misfit::All(error) => Failure::All(error),
        })?);
    }
}
