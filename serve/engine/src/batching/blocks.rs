//! Rows of several tensors put one after the other, and what padding adds to them. Plain slices, no TensorFlow here.

/// The elements of one tensor, row-major. A number of N bytes is N elements of `u8`, `unit` says how many.
#[derive(Clone, Debug)]
pub struct Block<'t, T> {
    /// The shape, at least of rank 1.
    pub dims: &'t [i64],
    pub elements: &'t [T],
    /// Elements of `T` in one value.
    pub unit: usize,
}

impl<'t, T: Copy> Block<'t, T> {
    /// Elements of `T` in one row.
    pub fn row_len(&self) -> usize {
        self.dims.iter().skip(1).map(|dim| *dim as usize).product::<usize>() * self.unit
    }

    /// The elements of some rows.
    pub fn rows(&self, first: usize, count: usize) -> &'t [T] {
        let len = self.row_len();
        &self.elements[first * len..(first + count) * len]
    }

    /// Append `count` rows, each padded at the end of each dimension to the shape `inner` with the block's own first
    /// value.
    pub fn append_rows(&self, first: usize, count: usize, inner: &[i64], out: &mut Vec<T>) {
        let rows = self.rows(first, count);
        if self.dims[1..] == *inner {
            out.extend_from_slice(rows);
            return;
        }
        let fill = &rows[..self.unit.min(rows.len())];
        for row in rows.chunks_exact(self.row_len().max(1)) {
            append_padded(row, &self.dims[1..], inner, fill, out);
        }
    }
}

/// Append `values` of shape `dims` as a tensor of the shape `target`, which is no smaller in any dimension.
fn append_padded<T: Copy>(values: &[T], dims: &[i64], target: &[i64], fill: &[T], out: &mut Vec<T>) {
    let ([dim, inner_dims @ ..], [wanted, inner_target @ ..]) = (dims, target) else {
        out.extend_from_slice(values);
        return;
    };
    let (dim, wanted) = (*dim as usize, *wanted as usize);
    let slice_len = values.len() / dim.max(1);
    for index in 0..dim {
        append_padded(&values[index * slice_len..(index + 1) * slice_len], inner_dims, inner_target, fill, out);
    }
    let missing = (wanted - dim) * inner_target.iter().map(|dim| *dim as usize).product::<usize>();
    for _ in 0..missing {
        out.extend_from_slice(fill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shorter_rows_are_padded_at_the_end_with_the_first_value() {
        let block = Block { dims: &[2, 2], elements: &[1, 2, 3, 4], unit: 1 };
        let mut out = Vec::new();
        block.append_rows(0, 2, &[3], &mut out);
        assert_eq!(out, [1, 2, 1, 3, 4, 1]);
    }

    #[test]
    fn every_dimension_is_padded() {
        let block = Block { dims: &[1, 2, 1], elements: &[7, 8], unit: 1 };
        let mut out = Vec::new();
        block.append_rows(0, 1, &[3, 2], &mut out);
        assert_eq!(out, [7, 7, 8, 7, 7, 7]);
    }

    #[test]
    fn a_value_of_several_bytes_stays_whole() {
        let block = Block { dims: &[1, 1], elements: &[1, 2], unit: 2 };
        let mut out = Vec::new();
        block.append_rows(0, 1, &[2], &mut out);
        assert_eq!(out, [1, 2, 1, 2]);
    }

    /// Rows, then row shape, then unit.
    fn shapes() -> impl Strategy<Value = (Vec<usize>, Vec<i64>, usize)> {
        (prop::collection::vec(0usize..5, 1..6), prop::collection::vec(1i64..4, 0..4), 1usize..9)
    }

    fn values(rows: usize, inner: &[i64], unit: usize, seed: usize) -> Vec<u8> {
        let len = rows * inner.iter().map(|dim| *dim as usize).product::<usize>() * unit;
        (0..len).map(|index| (seed * 31 + index * 7) as u8).collect()
    }

    fn with_rows(rows: usize, inner: &[i64]) -> Vec<i64> {
        [&[rows as i64][..], inner].concat()
    }

    proptest! {
        #[test]
        fn what_was_merged_and_split_is_what_each_had((sizes, inner, unit) in shapes()) {
            let parts: Vec<_> = sizes.iter().enumerate().map(|(i, rows)| values(*rows, &inner, unit, i)).collect();
            let mut merged = Vec::new();
            for (rows, elements) in sizes.iter().zip(&parts) {
                let dims = with_rows(*rows, &inner);
                Block { dims: &dims, elements, unit }.append_rows(0, *rows, &inner, &mut merged);
            }
            let dims = with_rows(sizes.iter().sum(), &inner);
            let whole = Block { dims: &dims, elements: &merged, unit };
            let mut first = 0;
            for (rows, elements) in sizes.iter().zip(&parts) {
                prop_assert_eq!(whole.rows(first, *rows), &elements[..]);
                first += rows;
            }
            prop_assert_eq!(first * whole.row_len(), merged.len());
        }

        #[test]
        fn padding_keeps_each_value_at_its_place(
            inner in prop::collection::vec(1i64..4, 1..5), more in prop::collection::vec(0i64..3, 5), rows in 1usize..4
        ) {
            let target: Vec<_> = inner.iter().zip(&more).map(|(dim, more)| dim + more).collect();
            let elements = values(rows, &inner, 1, 1);
            let dims = with_rows(rows, &inner);
            let mut out = Vec::new();
            Block { dims: &dims, elements: &elements, unit: 1 }.append_rows(0, rows, &target, &mut out);
            let padded_dims = with_rows(rows, &target);
            prop_assert_eq!(out.len() as i64, padded_dims.iter().product::<i64>());
            for (index, value) in out.iter().enumerate() {
                // The coordinates in the padded tensor, innermost first.
                let (mut rest, mut source, mut stride, mut inside) = (index as i64, 0, 1, true);
                for (dim, padded) in dims.iter().zip(&padded_dims).rev() {
                    let at = rest % padded;
                    (rest, inside) = (rest / padded, inside && at < *dim);
                    source += at * stride;
                    stride *= dim;
                }
                prop_assert_eq!(*value, if inside { elements[source as usize] } else { elements[0] });
            }
        }
    }
}
