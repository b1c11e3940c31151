//! Sources, trust, transport, cache and catalogue. The only crate that uses the network.
