//! Every byte layout that OpenWrt and Alpine use: packages, indexes, signatures, native databases, ELF.
