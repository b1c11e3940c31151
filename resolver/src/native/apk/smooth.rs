//! Smoothsort (E. W. Dijkstra, EWD 796a), which is what musl's qsort(3) does. It is not stable, and where apk 3 sorts entries
//! that compare equal its output shows the order that this very algorithm leaves them in.

use std::cmp::Ordering;

/// Sorts as musl's qsort does, ties included.
pub(super) fn sort_by<T: Clone>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let mut leonardo = vec![1usize, 1];
    while leonardo[leonardo.len() - 1] < items.len() {
        leonardo.push(leonardo[leonardo.len() - 1] + leonardo[leonardo.len() - 2] + 1);
    }
    let mut heap = Heap { items, order, leonardo };
    let last = heap.items.len() - 1;
    // The forest: bit 0 of `trees` stands for a tree of order `small`, the next bit for one of the next order …
    let (mut trees, mut small) = (1u128, 1usize);
    for head in 0..last {
        if trees & 3 == 3 {
            heap.sift(small, head);
            trees >>= 2;
            small += 2;
        } else {
            if heap.leonardo[small - 1] >= last - head {
                heap.trinkle(trees, small, head, false);
            } else {
                heap.sift(small, head);
            }
            if small == 1 {
                trees <<= 1;
                small = 0;
            } else {
                trees <<= small - 1;
                small = 1;
            }
        }
        trees |= 1;
    }
    heap.trinkle(trees, small, last, false);
    let mut head = last;
    while small != 1 || trees != 1 {
        if small <= 1 {
            let gap = (trees - 1).trailing_zeros();
            trees >>= gap;
            small += gap as usize;
        } else {
            trees = (trees << 2) ^ 7;
            small -= 2;
            let left = head - heap.leonardo[small] - 1;
            heap.trinkle(trees >> 1, small + 1, left, true);
            trees |= 1;
            heap.trinkle(trees, small, head - 1, true);
        }
        head -= 1;
    }
}

struct Heap<'a, T, F> {
    items: &'a mut [T],
    order: F,
    leonardo: Vec<usize>,
}

impl<T: Clone, F: Fn(&T, &T) -> Ordering> Heap<'_, T, F> {
    fn less(&self, a: usize, b: usize) -> bool {
        (self.order)(&self.items[a], &self.items[b]).is_lt()
    }

    /// Puts the root of one tree where it belongs within the tree.
    fn sift(&mut self, mut order: usize, mut head: usize) {
        let moving = self.items[head].clone();
        while order > 1 {
            let right = head - 1;
            let left = head - 1 - self.leonardo[order - 2];
            let not_below = |heap: &Self, child: usize| (heap.order)(&moving, &heap.items[child]).is_ge();
            if not_below(self, left) && not_below(self, right) {
                break;
            }
            let (child, less) = if self.less(left, right) { (right, 2) } else { (left, 1) };
            self.items[head] = self.items[child].clone();
            (head, order) = (child, order - less);
        }
        self.items[head] = moving;
    }

    /// Puts the root of the last tree where it belongs among the roots, then within its tree.
    fn trinkle(&mut self, mut trees: u128, mut order: usize, mut head: usize, trusted: bool) {
        let moving = self.items[head].clone();
        let mut trusted = trusted;
        while trees != 1 {
            let next = head - self.leonardo[order];
            if (self.order)(&self.items[next], &moving).is_le() {
                break;
            }
            if !trusted && order > 1 {
                let right = head - 1;
                let left = head - 1 - self.leonardo[order - 2];
                if !self.less(right, next) || !self.less(left, next) {
                    break;
                }
            }
            self.items[head] = self.items[next].clone();
            head = next;
            let gap = (trees - 1).trailing_zeros();
            trees >>= gap;
            order += gap as usize;
            trusted = false;
        }
        if !trusted {
            self.items[head] = moving;
            self.sift(order, head);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sorts() {
        for length in 0..80usize {
            let mut items: Vec<usize> = (0..length).map(|i| i * 37 % 41).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            super::sort_by(&mut items, Ord::cmp);
            assert_eq!(items, expected, "{length} items");
        }
    }
}
