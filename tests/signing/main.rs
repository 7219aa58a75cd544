//! Signatures and attestations that real clients make.
