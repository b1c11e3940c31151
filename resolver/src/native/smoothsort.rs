//! Smoothsort (Dijkstra, EWD 796a), as the C library of OpenWrt and Alpine sorts (musl's qsort). It is not stable, and where
//! opkg or apk 3 sorts what compares equal, their output shows the order that this very algorithm leaves it in.

use std::cmp::Ordering;

/// Sorts in place, ties as musl leaves them.
pub(super) fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let Some(high) = items.len().checked_sub(1) else { return };
    let mut heaps = Heaps { items, compare, sizes: sizes(high + 1) };
    let mut forest = Forest { roots: 1, order: 1 };
    let mut head = 0;
    while head < high {
        if forest.roots & 3 == 3 {
            heaps.sift(head, forest.order);
            forest.shrink(2);
        } else {
            if heaps.sizes[forest.order - 1] >= high - head {
                heaps.trinkle(head, forest, false);
            } else {
                heaps.sift(head, forest.order);
            }
            let by = if forest.order == 1 { 1 } else { forest.order - 1 };
            forest.grow(by);
        }
        forest.roots |= 1;
        head += 1;
    }
    heaps.trinkle(head, forest, false);
    while forest.order != 1 || forest.roots != 1 {
        if forest.order <= 1 {
            forest.shrink(forest.gap());
        } else {
            forest.grow(2);
            forest.roots ^= 7;
            forest.roots >>= 1;
            let left = Forest { roots: forest.roots, order: forest.order + 1 };
            heaps.trinkle(head - heaps.sizes[forest.order] - 1, left, true);
            forest.roots = forest.roots << 1 | 1;
            heaps.trinkle(head - 1, forest, true);
        }
        head -= 1;
    }
}

/// Sizes of the heaps by order: 1, 1, 3, 5, 9, … (Leonardo numbers).
fn sizes(length: usize) -> Vec<usize> {
    let mut sizes = vec![1, 1];
    while let [.., a, b] = sizes[..] {
        sizes.push(a + b + 1);
        if a + b + 1 >= length {
            sizes.push(a + b + b + 2);
            break;
        }
    }
    sizes
}

/// Which orders have a heap: bit 0 is for `order`, higher bits for higher orders.
#[derive(Clone, Copy)]
struct Forest {
    roots: u128,
    order: usize,
}

impl Forest {
    fn shrink(&mut self, by: usize) {
        self.roots >>= by;
        self.order += by;
    }

    fn grow(&mut self, by: usize) {
        self.roots <<= by;
        self.order -= by;
    }

    /// Distance to the next heap.
    fn gap(self) -> usize {
        match (self.roots - 1).trailing_zeros() {
            zeros if zeros < u128::BITS => zeros as usize,
            _ => 0,
        }
    }
}

struct Heaps<'a, T, F> {
    items: &'a mut [T],
    compare: F,
    sizes: Vec<usize>,
}

impl<T, F: Fn(&T, &T) -> Ordering> Heaps<'_, T, F> {
    fn compare(&self, a: usize, b: usize) -> Ordering {
        (self.compare)(&self.items[a], &self.items[b])
    }

    /// Moves the first item of a path to its end, the others one up.
    fn rotate(&mut self, path: &[usize]) {
        for pair in path.windows(2) {
            self.items.swap(pair[0], pair[1]);
        }
    }

    /// Sinks a root into its heap.
    fn sift(&mut self, root: usize, mut order: usize) {
        let (mut head, mut path) = (root, vec![root]);
        while order > 1 {
            let right = head - 1;
            let left = head - 1 - self.sizes[order - 2];
            if self.compare(root, left).is_ge() && self.compare(root, right).is_ge() {
                break;
            }
            (head, order) = if self.compare(left, right).is_ge() { (left, order - 1) } else { (right, order - 2) };
            path.push(head);
        }
        self.rotate(&path);
    }

    /// Moves a root to the heap whose root it is fit to be. `trusty`: its own heap is in order already.
    fn trinkle(&mut self, root: usize, mut forest: Forest, mut trusty: bool) {
        let (mut head, mut path) = (root, vec![root]);
        while forest.roots != 1 {
            let stepson = head - self.sizes[forest.order];
            if self.compare(stepson, root).is_le() {
                break;
            }
            if !trusty && forest.order > 1 {
                let right = head - 1;
                let left = head - 1 - self.sizes[forest.order - 2];
                if self.compare(right, stepson).is_ge() || self.compare(left, stepson).is_ge() {
                    break;
                }
            }
            path.push(stepson);
            head = stepson;
            forest.shrink(forest.gap());
            trusty = false;
        }
        if !trusty {
            self.rotate(&path);
            self.sift(head, forest.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sort_by;

    #[test]
    fn sorts_everything() {
        let mut state = 7_u64;
        for length in 0..200_usize {
            let mut items: Vec<u64> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    state >> 57
                })
                .collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sort_by(&mut items, Ord::cmp);
            assert_eq!(items, expected);
        }
    }
}
