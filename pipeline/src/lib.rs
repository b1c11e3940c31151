//! The way of the data, written once. Never prints.
