//! Universe to plan, explanations, and the ABI verdicts. Pure: no files, no network.
