//! Writing the values of an ADB block. Equal values are stored once, in the order first written, so the same input always
//! gives the same bytes.

use std::collections::HashMap;

use super::heap::{HEADER, Value, kind};
use crate::Error;

/// Offsets have 28 bits.
const MAX_OFFSET: usize = 0x0fff_ffff;

/// A heap being written.
pub(crate) struct HeapWriter {
    bytes: Vec<u8>,
    seen: HashMap<(u32, Box<[u8]>), Value>,
    too_large: bool,
}

impl HeapWriter {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEADER as usize], seen: HashMap::new(), too_large: false }
    }

    /// Bytes, shared with equal ones. Empty is null: the format has no empty blob.
    pub(crate) fn blob(&mut self, content: &[u8]) -> Value {
        let (kind, bytes) = match content.len() {
            0 => return Value::NULL,
            1..=0xff => (kind::BLOB8, [&[content.len() as u8], content].concat()),
            0x100..=0xffff => (kind::BLOB16, [&(content.len() as u16).to_le_bytes(), content].concat()),
            len => {
                self.too_large |= len > MAX_OFFSET;
                (kind::BLOB32, [&(len as u32).to_le_bytes(), content].concat())
            }
        };
        self.shared(kind, bytes)
    }

    /// Text, as bytes.
    pub(crate) fn text(&mut self, text: &str) -> Value {
        self.blob(text.as_bytes())
    }

    /// Twenty zero bytes that nothing else shares, and where they lie in the finished heap.
    pub(crate) fn reserve_id(&mut self) -> (Value, usize) {
        let value = self.append(kind::BLOB8, &[&[20][..], &[0; 20]].concat());
        (value, value.immediate() as usize + 1)
    }

    /// A number; 0 is null, as absent fields read as 0.
    pub(crate) fn int(&mut self, number: u64) -> Value {
        match u32::try_from(number) {
            Ok(0) => Value::NULL,
            Ok(small) if small as usize <= MAX_OFFSET => Value((kind::INT << 28) | small),
            Ok(number) => self.shared(kind::INT32, number.to_le_bytes().to_vec()),
            Err(_) => self.shared(kind::INT64, number.to_le_bytes().to_vec()),
        }
    }

    /// A number that is written even when it is 0, as apk writes what it always states.
    pub(crate) fn stated(&mut self, number: u64) -> Value {
        if number == 0 { Value(kind::INT << 28) } else { self.int(number) }
    }

    /// An object with these fields in slots 1, 2, …; null when all are.
    pub(crate) fn object(&mut self, fields: &[Value]) -> Value {
        let used = fields.iter().rposition(|f| !f.is_null()).map_or(0, |last| last + 1);
        self.array(fields.get(..used).unwrap_or_default())
    }

    /// An array; null when empty. Written with the kind of an object, as apk does.
    pub(crate) fn array(&mut self, elements: &[Value]) -> Value {
        if elements.is_empty() {
            return Value::NULL;
        }
        let mut bytes = Vec::with_capacity(elements.len() * 4 + 4);
        bytes.extend((elements.len() as u32 + 1).to_le_bytes());
        bytes.extend(elements.iter().flat_map(|e| e.0.to_le_bytes()));
        self.shared(kind::OBJECT, bytes)
    }

    fn shared(&mut self, kind: u32, bytes: Vec<u8>) -> Value {
        let key = (kind, bytes.into_boxed_slice());
        if let Some(value) = self.seen.get(&key) {
            return *value;
        }
        let value = self.append(kind, &key.1);
        self.seen.insert(key, value);
        value
    }

    fn append(&mut self, kind: u32, bytes: &[u8]) -> Value {
        let alignment = match kind {
            kind::BLOB8 => 1,
            kind::BLOB16 => 2,
            _ => 4,
        };
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
        let at = self.bytes.len();
        if at + bytes.len() > MAX_OFFSET || self.too_large {
            self.too_large = true;
            return Value::NULL;
        }
        self.bytes.extend_from_slice(bytes);
        Value((kind << 28) | at as u32)
    }

    /// The block's payload.
    pub(crate) fn finish(mut self, root: Value, what: &str) -> Result<Vec<u8>, Error> {
        if self.too_large {
            let reason = "its metadata is larger than the 256 MiB that the format can address".to_owned();
            return Err(Error::Unwritable { what: what.to_owned(), reason });
        }
        if let Some(slot) = self.bytes.get_mut(4..8) {
            slot.copy_from_slice(&root.0.to_le_bytes());
        }
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::adb::heap::Heap;
    use crate::adb::store::Memory;

    fn open(bytes: Vec<u8>) -> Result<Heap, Error> {
        Heap::open(Box::new(Memory(bytes)), "x")
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in prop::collection::vec(any::<u64>().prop_map(|n| n >> (n % 64)), 1..20),
            blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..20),
        ) {
            let mut writer = HeapWriter::new();
            let mut values: Vec<Value> = numbers.iter().map(|n| writer.int(*n)).collect();
            values.extend(blobs.iter().map(|b| writer.blob(b)));
            let again: Vec<Value> = blobs.iter().map(|b| writer.blob(b)).collect();
            prop_assert_eq!(&values[numbers.len()..], &again[..]);
            let root = writer.array(&values);
            let mut heap = open(writer.finish(root, "x").unwrap()).unwrap();
            let array = heap.array(heap.root(), 1000, "it").unwrap();
            prop_assert_eq!(array.len as usize, values.len());
            for (i, number) in numbers.iter().enumerate() {
                let value = heap.element(&array, i as u32).unwrap();
                prop_assert_eq!(heap.int(value).unwrap(), *number);
            }
            for (i, blob) in blobs.iter().enumerate() {
                let value = heap.element(&array, (numbers.len() + i) as u32).unwrap();
                prop_assert_eq!(&heap.blob(value, 600, "it").unwrap(), blob);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), word in any::<u32>()) {
            if let Ok(mut heap) = open(bytes) {
                for value in [heap.root(), Value(word)] {
                    let _ = heap.int(value);
                    let _ = heap.blob(value, 100, "it");
                    let _ = heap.object(value, 22);
                    if let Ok(array) = heap.array(value, 100, "it") {
                        for i in 0..array.len {
                            let _ = heap.element(&array, i);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn large_blobs_and_wrong_kinds() {
        let mut writer = HeapWriter::new();
        let large = vec![7; 70_000];
        let blob = writer.blob(&large);
        let object = writer.object(&[Value::NULL, blob, Value::NULL]);
        let mut heap = open(writer.finish(object, "x").unwrap()).unwrap();
        let fields = heap.object(object, 22).unwrap();
        assert!(fields.get(1).is_null() && fields.get(3).is_null() && fields.get(22).is_null());
        assert_eq!(heap.blob(fields.get(2), 70_000, "it").unwrap(), large);
        assert!(matches!(heap.blob(fields.get(2), 69_999, "it"), Err(Error::Limit { .. })));
        assert!(heap.int(blob).is_err() && heap.object(blob, 3).is_err() && heap.blob(object, 9, "it").is_err());
        assert!(heap.object(Value(0xe000_0000), 3).is_err(), "into the header");
        assert!(heap.blob(Value(0x8fff_ffff), 9, "it").is_err(), "past the end");
    }

    #[test]
    fn shared_values_cannot_unfold_without_end() {
        let mut writer = HeapWriter::new();
        let large = writer.blob(&vec![7; 900_000]);
        let list = writer.array(&[large; 100]);
        let mut heap = open(writer.finish(list, "x").unwrap()).unwrap();
        let array = heap.array(list, 100, "it").unwrap();
        let all: Result<Vec<_>, _> = (0..100)
            .map(|i| {
                let value = heap.element(&array, i)?;
                heap.blob(value, 1 << 20, "it")
            })
            .collect();
        assert!(matches!(all, Err(Error::Limit { .. })));
    }
}
