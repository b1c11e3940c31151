//! What the native managers' own command lines ask for, as values: only the native side is looked at and solved. The words
//! are the command line's. Never prints.
