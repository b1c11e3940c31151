//! Reading the values of an ADB block. Every offset is checked, nothing is followed on its own (the schema's reader says what
//! it expects next, so nothing recurses), and the work that shared values can cause is bounded.

use super::store::Source;
use crate::Error;

/// Bytes of the heap's own header.
pub(crate) const HEADER: u64 = 8;
/// A reader of one item (package, directory entry) may read so many bytes: values may be shared, so a small file could
/// otherwise unfold to any size.
const ITEM_BUDGET: u64 = 8 << 20;
/// A walk over the whole heap may read it so many times over. A dependency that all packages share costs ten times the four
/// bytes that refer to it.
const WALK_FACTOR: u64 = 64;

/// A value as stored: kind in the upper four bits, immediate or offset in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Value(pub(crate) u32);

impl Value {
    /// Absent.
    pub(crate) const NULL: Self = Self(0);

    pub(crate) const fn is_null(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn kind(self) -> u32 {
        self.0 >> 28
    }

    pub(crate) const fn immediate(self) -> u32 {
        self.0 & 0x0fff_ffff
    }
}

/// Kinds of values.
pub(crate) mod kind {
    pub(crate) const INT: u32 = 1;
    pub(crate) const INT32: u32 = 2;
    pub(crate) const INT64: u32 = 3;
    pub(crate) const BLOB8: u32 = 8;
    pub(crate) const BLOB16: u32 = 9;
    pub(crate) const BLOB32: u32 = 10;
    pub(crate) const ARRAY: u32 = 13;
    pub(crate) const OBJECT: u32 = 14;
}

/// The fields of an object that its schema knows; slots count from 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Vec<Value>);

impl Object {
    /// The field in a slot; absent fields are null.
    pub(crate) fn get(&self, slot: usize) -> Value {
        slot.checked_sub(1).and_then(|i| self.0.get(i)).copied().unwrap_or_default()
    }
}

/// Where the elements of an array lie.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Array {
    at: u64,
    /// Number of elements.
    pub(crate) len: u32,
}

/// A value heap.
pub(crate) struct Heap {
    source: Box<dyn Source>,
    what: String,
    root: Value,
    walk_left: u64,
    item_left: u64,
}

impl Heap {
    /// Reads the header.
    pub(crate) fn open(mut source: Box<dyn Source>, what: &str) -> Result<Self, Error> {
        let mut header = [0; HEADER as usize];
        source.read_at(0, &mut header).map_err(|e| Error::io(what, e))?;
        let [compatible, _, _, _, root @ ..] = header;
        if compatible != 0 {
            return Err(Error::malformed(what, format!("its values have the unknown layout version {compatible}")));
        }
        let root = Value(u32::from_le_bytes(root));
        let mut heap = Self { source, what: what.to_owned(), root, walk_left: 0, item_left: 0 };
        heap.begin_walk();
        Ok(heap)
    }

    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    pub(crate) fn root(&self) -> Value {
        self.root
    }

    /// Bytes of the heap.
    pub(crate) fn len(&self) -> u64 {
        self.source.len()
    }

    /// Before everything is read once (again).
    pub(crate) fn begin_walk(&mut self) {
        self.walk_left = self.source.len().saturating_mul(WALK_FACTOR).saturating_add(ITEM_BUDGET);
        self.begin_item();
    }

    /// Before one item of many.
    pub(crate) fn begin_item(&mut self) {
        self.item_left = ITEM_BUDGET;
    }

    /// The bytes from an offset on, unchecked against any value's kind.
    pub(crate) fn raw(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.source.read_at(at, buf).map_err(|e| Error::io(&self.what, e))
    }

    fn bad(&self, reason: impl Into<String>) -> Error {
        Error::malformed(&self.what, reason)
    }

    /// Checks that `len` bytes at an offset exist, and pays for them.
    fn claim(&mut self, at: u64, len: u64) -> Result<(), Error> {
        if at < HEADER || at.checked_add(len).is_none_or(|end| end > self.source.len()) {
            return Err(self.bad("a value points outside of its block"));
        }
        let cost = len.saturating_add(4);
        match (self.walk_left.checked_sub(cost), self.item_left.checked_sub(cost)) {
            (Some(walk), Some(item)) => {
                (self.walk_left, self.item_left) = (walk, item);
                Ok(())
            }
            (_, None) => Err(Error::limit(&self.what, "the metadata of one entry", ITEM_BUDGET)),
            (None, _) => Err(Error::limit(&self.what, "the metadata with all shared values unfolded", WALK_FACTOR)),
        }
    }

    fn bytes<const N: usize>(&mut self, at: u64) -> Result<[u8; N], Error> {
        self.claim(at, N as u64)?;
        let mut out = [0; N];
        self.raw(at, &mut out)?;
        Ok(out)
    }

    fn count(&mut self, value: Value) -> Result<u64, Error> {
        if !matches!(value.kind(), kind::ARRAY | kind::OBJECT) {
            return Err(self.bad("a list or object is expected where another value stands"));
        }
        let at = u64::from(value.immediate());
        let slots = u64::from(u32::from_le_bytes(self.bytes(at)?));
        let end = at.checked_add(slots.saturating_mul(4));
        if slots == 0 || end.is_none_or(|end| end > self.source.len()) {
            return Err(self.bad("a list or object does not fit into its block"));
        }
        Ok(slots - 1)
    }

    /// An object's first `slots` fields; later ones belong to newer schemas. Null is the empty object.
    pub(crate) fn object(&mut self, value: Value, slots: usize) -> Result<Object, Error> {
        if value.is_null() {
            return Ok(Object::default());
        }
        let have = usize::try_from(self.count(value)?).unwrap_or(usize::MAX).min(slots);
        let at = u64::from(value.immediate()) + 4;
        self.claim(at, have as u64 * 4)?;
        let mut bytes = vec![0; have * 4];
        self.raw(at, &mut bytes)?;
        let words = bytes.as_chunks::<4>().0.iter();
        Ok(Object(words.map(|word| Value(u32::from_le_bytes(*word))).collect()))
    }

    /// An array of at most `most` elements. apk writes most arrays with the kind of an object. Null is the empty array.
    pub(crate) fn array(&mut self, value: Value, most: u64, part: &str) -> Result<Array, Error> {
        if value.is_null() {
            return Ok(Array::default());
        }
        let len = self.count(value)?;
        if len > most {
            return Err(Error::limit(&self.what, part, most));
        }
        let len = u32::try_from(len).map_err(|_| Error::limit(&self.what, part, most))?;
        Ok(Array { at: u64::from(value.immediate()) + 4, len })
    }

    /// One element of an array, counted from 0.
    pub(crate) fn element(&mut self, array: &Array, index: u32) -> Result<Value, Error> {
        if index >= array.len {
            return Ok(Value::NULL);
        }
        Ok(Value(u32::from_le_bytes(self.bytes(array.at + u64::from(index) * 4)?)))
    }

    /// Where a blob's bytes lie.
    pub(crate) fn blob_range(&mut self, value: Value) -> Result<(u64, u64), Error> {
        let at = u64::from(value.immediate());
        match value.kind() {
            kind::BLOB8 => Ok((at + 1, u64::from(u8::from_le_bytes(self.bytes(at)?)))),
            kind::BLOB16 => Ok((at + 2, u64::from(u16::from_le_bytes(self.bytes(at)?)))),
            kind::BLOB32 => Ok((at + 4, u64::from(u32::from_le_bytes(self.bytes(at)?)))),
            _ => Err(self.bad("bytes are expected where another value stands")),
        }
    }

    /// A blob of at most `most` bytes. Null is the empty blob.
    pub(crate) fn blob(&mut self, value: Value, most: u64, part: &str) -> Result<Vec<u8>, Error> {
        if value.is_null() {
            return Ok(Vec::new());
        }
        let (at, len) = self.blob_range(value)?;
        if len > most {
            return Err(Error::limit(&self.what, part, most));
        }
        self.claim(at, len)?;
        let mut out = vec![0; len as usize];
        self.raw(at, &mut out)?;
        Ok(out)
    }

    /// A number. Null is 0.
    pub(crate) fn int(&mut self, value: Value) -> Result<u64, Error> {
        let at = u64::from(value.immediate());
        match value.kind() {
            _ if value.is_null() => Ok(0),
            kind::INT => Ok(at),
            kind::INT32 => Ok(u64::from(u32::from_le_bytes(self.bytes(at)?))),
            kind::INT64 => Ok(u64::from_le_bytes(self.bytes(at)?)),
            _ => Err(self.bad("a number is expected where another value stands")),
        }
    }
}
