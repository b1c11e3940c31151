# The few things one does here. `just --list` shows them.

# Format, lints as CI runs them
check:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets -- -D warnings

# Everything that runs without real data and without root; more where both are there
test:
    cargo test --workspace

# The same, where a skipped system test is a failure (needs root, XPKG_REAL_DATA and the tools .ci/setup installs)
system:
    XPKG_REQUIRE=all cargo test --workspace

# Times and memory beside the native managers, written to docs/benchmarks.md
bench:
    cargo build --release
    benches/compare

# Thousands of made-up universes for opkg, its decisions and ours side by side (needs root and XPKG_REAL_DATA)
fidelity-opkg seeds="1..5001":
    XPKG_FIDELITY={{seeds}} cargo test --release -p xpkg-tests --test fidelity_opkg

# Feed every parser mutated real files for a while
fuzz seconds="60":
    PROPTEST_CASES=20000 cargo test --release -p xpkg-formats -- hostile

# The book's API part
docs:
    cargo doc --workspace --no-deps --document-private-items

# Our apk decisions beside the real apk's on universes of these seeds, and what is left of those that are really installed
# (needs root and XPKG_REAL_DATA)
fidelity seeds="1..5001" commits="1..176":
    XPKG_FIDELITY={{seeds}} XPKG_COMMITS={{commits}} cargo test --release -p xpkg-tests --test fidelity_apk
