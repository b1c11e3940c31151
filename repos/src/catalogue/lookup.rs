//! From a name to the packages that bear it, provide it, or are triggered by it: hashes in packed buckets, no row per
//! dependency. A hash may lie; whoever asks compares the name itself.

use super::codec::{Bad, Reader, put_int};

/// What a name is looked up as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Provide,
    InstallIf,
}

/// In the order of their row ids.
pub(super) const KINDS: [Kind; 3] = [Kind::Name, Kind::Provide, Kind::InstallIf];

/// Bits of a name's hash that are kept: at 100,000 names, a name that is not there meets a false hit once in 170 times.
const HASH_BITS: u32 = 24;
/// Entries of an average bucket: one page of the file holds two or three.
const PER_BUCKET: usize = 256;

/// FNV-1a, 64 bits. Not against malice: a bad hash makes a lookup slow, not wrong.
pub struct Fnv(u64);

impl Fnv {
    /// The empty hash.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash.
    pub fn finish(&self) -> u64 {
        self.0
    }
}

fn hash(name: &str) -> u32 {
    let mut fnv = Fnv::new();
    fnv.write(name.as_bytes());
    let h = fnv.finish();
    ((h ^ (h >> 32)) as u32).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)
}

/// Collects entries while an index streams by: eight bytes each.
#[derive(Default)]
pub(super) struct Collector(Vec<(u32, u32)>);

impl Collector {
    pub fn add(&mut self, name: &str, ordinal: u32) {
        self.0.push((hash(name), ordinal));
    }

    /// Hands out the packed buckets; returns the number of bits that choose one.
    pub fn buckets<E>(mut self, mut sink: impl FnMut(u32, &[u8]) -> Result<(), E>) -> Result<u32, E> {
        self.0.sort_unstable();
        self.0.dedup();
        let bits = (self.0.len() / PER_BUCKET).max(1).next_power_of_two().trailing_zeros().min(HASH_BITS);
        let (mut out, mut rest) = (Vec::new(), self.0.as_slice());
        while let Some((first, _)) = rest.first() {
            let bucket = bucket_of(*first, bits);
            let end = rest.partition_point(|(h, _)| bucket_of(*h, bits) == bucket);
            let (here, after) = rest.split_at(end);
            out.clear();
            let mut last = first_hash(bucket, bits);
            for (h, ordinal) in here {
                put_int(&mut out, u64::from(h - last));
                put_int(&mut out, u64::from(*ordinal));
                last = *h;
            }
            sink(bucket, &out)?;
            rest = after;
        }
        Ok(bits)
    }
}

fn bucket_of(hash: u32, bits: u32) -> u32 {
    hash.checked_shr(HASH_BITS - bits.min(HASH_BITS)).unwrap_or(0)
}

fn first_hash(bucket: u32, bits: u32) -> u32 {
    bucket.checked_shl(HASH_BITS - bits.min(HASH_BITS)).unwrap_or(0)
}

/// The bucket in which a name would be.
pub(super) fn bucket(name: &str, bits: u32) -> u32 {
    bucket_of(hash(name), bits)
}

/// The ordinals in a bucket that may belong to a name, ascending.
pub(super) fn ordinals(packed: &[u8], name: &str, bits: u32) -> Result<Vec<u32>, Bad> {
    let wanted = hash(name);
    let (mut reader, mut last, mut found) = (Reader(packed), first_hash(bucket_of(wanted, bits), bits), Vec::new());
    while !reader.0.is_empty() {
        last = last.checked_add(reader.int32()?).ok_or(Bad("a hash is too large"))?;
        let ordinal = reader.int32()?;
        if last == wanted {
            found.push(ordinal);
        }
        if last > wanted {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_name_finds_its_packages() {
        for n in [0, 1, 300, 20_000] {
            let mut collector = Collector::default();
            for i in 0..n {
                collector.add(&format!("name-{}", i / 2), i);
            }
            let mut stored = BTreeMap::new();
            let bits = collector
                .buckets(|id, bytes| {
                    stored.insert(id, bytes.to_vec());
                    Ok::<_, ()>(())
                })
                .unwrap();
            for i in 0..n {
                let name = format!("name-{}", i / 2);
                assert!(ordinals(&stored[&bucket(&name, bits)], &name, bits).unwrap().contains(&i));
            }
        }
    }
}
