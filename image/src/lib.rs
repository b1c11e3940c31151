//! Virtual roots and the images made of them. No root rights needed.
